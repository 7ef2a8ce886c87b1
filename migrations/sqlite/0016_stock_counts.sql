-- Counts of the stock that do not read it. Kept in step with
-- migrations/postgres/0016_stock_counts.sql. A file that was released is never
-- edited: its checksum is in every database.

-- How many SIMs there are, by pool, state and reason.
CREATE TABLE stock_counts (
    -- Pool, state and reason.
    id      TEXT PRIMARY KEY,
    pool    TEXT NOT NULL,
    state   TEXT NOT NULL,
    reason  TEXT,
    sims    INTEGER NOT NULL
) STRICT;

INSERT INTO stock_counts (id, pool, state, reason, sims)
SELECT pool || '/' || state || '/' || coalesce(reason, ''), pool, state, reason, COUNT(*)
FROM stock GROUP BY pool, state, reason;

CREATE TRIGGER stock_delivery_counted AFTER INSERT ON stock
BEGIN
    INSERT INTO stock_counts (id, pool, state, reason, sims)
    VALUES (new.pool || '/' || new.state || '/' || coalesce(new.reason, ''), new.pool, new.state, new.reason, 1)
    ON CONFLICT (id) DO UPDATE SET sims = sims + 1;
END;

CREATE TRIGGER stock_change_counted AFTER UPDATE OF pool, state, reason ON stock
WHEN new.pool <> old.pool OR new.state <> old.state OR new.reason IS NOT old.reason
BEGIN
    UPDATE stock_counts SET sims = sims - 1
    WHERE id = old.pool || '/' || old.state || '/' || coalesce(old.reason, '');
    INSERT INTO stock_counts (id, pool, state, reason, sims)
    VALUES (new.pool || '/' || new.state || '/' || coalesce(new.reason, ''), new.pool, new.state, new.reason, 1)
    ON CONFLICT (id) DO UPDATE SET sims = sims + 1;
END;

CREATE TRIGGER stock_deletion_counted AFTER DELETE ON stock
BEGIN
    UPDATE stock_counts SET sims = sims - 1
    WHERE id = old.pool || '/' || old.state || '/' || coalesce(old.reason, '');
END;

-- Nothing is counted by the reason any more: lists of a pool and state are in the
-- order of cards.
DROP INDEX stock_in_state;
CREATE INDEX stock_in_state ON stock (pool, state, card);
