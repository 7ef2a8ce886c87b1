-- Which pools of the stock are low, and when SIM Search is read for one. Kept in
-- step with migrations/postgres/0017_stock_levels.sql. A file that was released is
-- never edited: its checksum is in every database.
--
-- Instants are microseconds since 1970-01-01 UTC.

-- What was last reported of a pool.
CREATE TABLE stock_levels (
    pool        TEXT PRIMARY KEY,
    -- 1: fewer SIMs were available than the threshold of then.
    is_low      INTEGER NOT NULL CHECK (is_low IN (0, 1)),
    threshold   INTEGER NOT NULL,
    available   INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- Each report is an event, in the transaction of the change. A trigger, so that
-- no statement can change it without one.
CREATE TRIGGER stock_level_reported AFTER UPDATE OF is_low, threshold ON stock_levels
WHEN new.is_low <> old.is_low OR new.is_low = 1 AND new.threshold <> old.threshold
BEGIN
    UPDATE event_log SET last_sequence = last_sequence + 1;
    INSERT INTO events (sequence, event_id, type, occurred_at, received_at, infrastructure, body, by_gateway, details)
    SELECT last_sequence,
        lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'
            || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
        CASE new.is_low WHEN 1 THEN 'GATEWAY/STOCK/LOW' ELSE 'GATEWAY/STOCK/FILLED' END,
        new.updated_at, new.updated_at, 0, '{}', 1,
        json_object('stock', json_object('pool', new.pool, 'available', new.available, 'threshold', new.threshold))
    FROM event_log;
END;

-- When SIM Search is read next for a pool: whoever moves that forward reads it.
CREATE TABLE stock_searches (
    pool     TEXT PRIMARY KEY,
    next_at  INTEGER NOT NULL,
    -- The page to begin with.
    page     INTEGER NOT NULL
) STRICT;
