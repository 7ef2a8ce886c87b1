-- Counts of the stock that do not read it. Kept in step with
-- migrations/sqlite/0016_stock_counts.sql. A file that was released is never
-- edited: its checksum is in every database.

-- Nobody changes the stock between the count below and the triggers that keep it.
LOCK TABLE stock IN SHARE ROW EXCLUSIVE MODE;

-- How many SIMs there are, by pool, state and reason.
CREATE TABLE stock_counts (
    -- Pool, state and reason.
    id      TEXT COLLATE "C" PRIMARY KEY,
    pool    TEXT COLLATE "C" NOT NULL,
    state   TEXT COLLATE "C" NOT NULL,
    reason  TEXT COLLATE "C",
    sims    BIGINT NOT NULL
);

INSERT INTO stock_counts (id, pool, state, reason, sims)
SELECT pool || '/' || state || '/' || coalesce(reason, ''), pool, state, reason, COUNT(*)
FROM stock GROUP BY pool, state, reason;

-- Changes that are not in the counts yet: sales from a pool would wait for each
-- other at its count.
CREATE TABLE stock_changes (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool    TEXT COLLATE "C" NOT NULL,
    state   TEXT COLLATE "C" NOT NULL,
    reason  TEXT COLLATE "C",
    sims    BIGINT NOT NULL
);

-- `move-ledger` copies the counts with the SIMs, and says so by a setting of its
-- transaction.
CREATE FUNCTION count_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('transatel_gateway.copying', true), '') <> 'on' THEN
        INSERT INTO stock_changes (pool, state, reason, sims)
        SELECT pool, state, reason, COUNT(*) FROM delivered GROUP BY pool, state, reason;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER stock_delivery_counted AFTER INSERT ON stock REFERENCING NEW TABLE AS delivered
FOR EACH STATEMENT EXECUTE FUNCTION count_delivery();

CREATE FUNCTION count_stock_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stock_changes (pool, state, reason, sims)
    VALUES (OLD.pool, OLD.state, OLD.reason, -1), (NEW.pool, NEW.state, NEW.reason, 1);
    RETURN NULL;
END
$$;

CREATE TRIGGER stock_change_counted AFTER UPDATE OF pool, state, reason ON stock FOR EACH ROW
WHEN (NEW.pool <> OLD.pool OR NEW.state <> OLD.state OR NEW.reason IS DISTINCT FROM OLD.reason)
EXECUTE FUNCTION count_stock_change();

CREATE FUNCTION count_stock_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stock_changes (pool, state, reason, sims)
    SELECT pool, state, reason, -COUNT(*) FROM deleted GROUP BY pool, state, reason;
    RETURN NULL;
END
$$;

CREATE TRIGGER stock_deletion_counted AFTER DELETE ON stock REFERENCING OLD TABLE AS deleted
FOR EACH STATEMENT EXECUTE FUNCTION count_stock_deletion();

-- Adds the changes to the counts. Two at once take different ones.
CREATE FUNCTION total_stock_changes() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    totalled  BIGINT;
BEGIN
    WITH changes AS (
        DELETE FROM stock_changes WHERE id IN (SELECT id FROM stock_changes FOR UPDATE SKIP LOCKED)
        RETURNING pool, state, reason, sims
    )
    INSERT INTO stock_counts AS total (id, pool, state, reason, sims)
    SELECT pool || '/' || state || '/' || coalesce(reason, ''), pool, state, reason, SUM(sims)
    FROM changes GROUP BY pool, state, reason ORDER BY 1
    ON CONFLICT (id) DO UPDATE SET sims = total.sims + EXCLUDED.sims;
    GET DIAGNOSTICS totalled = ROW_COUNT;
    RETURN totalled;
END
$$;

-- Nothing is counted by the reason any more: lists of a pool and state are in the
-- order of cards.
DROP INDEX stock_in_state;
CREATE INDEX stock_in_state ON stock (pool, state, card);
