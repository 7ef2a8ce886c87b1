-- Which pools of the stock are low, and when SIM Search is read for one. Kept in
-- step with migrations/sqlite/0017_stock_levels.sql. A file that was released is
-- never edited: its checksum is in every database.
--
-- Instants are microseconds since 1970-01-01 UTC.

-- What was last reported of a pool.
CREATE TABLE stock_levels (
    pool        TEXT COLLATE "C" PRIMARY KEY,
    -- 1: fewer SIMs were available than the threshold of then.
    is_low      BIGINT NOT NULL CHECK (is_low IN (0, 1)),
    threshold   BIGINT NOT NULL,
    available   BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- Each report is an event, kept in the transaction of the change and moved into
-- the log as outcomes of orders are. A trigger, so that no statement can change it
-- without one.
CREATE FUNCTION keep_stock_level() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outcomes (event_id, type, occurred_at, details)
    VALUES (CAST(gen_random_uuid() AS TEXT),
        CASE NEW.is_low WHEN 1 THEN 'GATEWAY/STOCK/LOW' ELSE 'GATEWAY/STOCK/FILLED' END,
        NEW.updated_at,
        CAST(json_build_object('stock', json_build_object(
            'pool', NEW.pool, 'available', NEW.available, 'threshold', NEW.threshold)) AS TEXT));
    RETURN NULL;
END
$$;

CREATE TRIGGER stock_level_reported AFTER UPDATE OF is_low, threshold ON stock_levels FOR EACH ROW
WHEN (NEW.is_low <> OLD.is_low OR NEW.is_low = 1 AND NEW.threshold <> OLD.threshold)
EXECUTE FUNCTION keep_stock_level();

-- When SIM Search is read next for a pool: whoever moves that forward reads it.
CREATE TABLE stock_searches (
    pool     TEXT COLLATE "C" PRIMARY KEY,
    next_at  BIGINT NOT NULL,
    -- The page to begin with.
    page     BIGINT NOT NULL
);
