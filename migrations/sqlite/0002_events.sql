-- The log of events. Kept in step with migrations/postgres/0002_events.sql.
--
-- Instants are microseconds since 1970-01-01 UTC. A file that was released is
-- never edited: its checksum is in every database.

-- One row. Whoever appends locks it, so that numbers are in the order of
-- commits and without gaps.
CREATE TABLE event_log (
    only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- Names this log in resume tokens.
    id             TEXT NOT NULL,
    last_sequence  INTEGER NOT NULL CHECK (last_sequence >= 0)
) STRICT;

INSERT INTO event_log (only_row, id, last_sequence)
VALUES (1, lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(6))), 0);

CREATE TABLE events (
    sequence         INTEGER PRIMARY KEY CHECK (sequence >= 1),
    -- The provider's.
    event_id         TEXT NOT NULL,
    type             TEXT NOT NULL,
    occurred_at      INTEGER,
    received_at      INTEGER NOT NULL,
    iccid            TEXT,
    msisdn           TEXT,
    subscription_id  TEXT,
    product_id       TEXT,
    -- The order whose reference it carries, and that order's request.
    order_id         TEXT,
    request_id       TEXT,
    transaction_id   TEXT,
    infrastructure   INTEGER NOT NULL CHECK (infrastructure IN (0, 1)),
    -- JSON, as it came.
    body             TEXT NOT NULL
) STRICT;

-- Each event once, for as long as events are kept.
CREATE UNIQUE INDEX events_once ON events (event_id);

-- What came of an order.
CREATE INDEX events_of_order ON events (order_id) WHERE order_id IS NOT NULL;

-- What was signed and could not be read.
CREATE TABLE unreadable_events (
    id           TEXT PRIMARY KEY,
    received_at  INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    -- The bytes as they came.
    body_base64  TEXT NOT NULL
) STRICT;

-- An operation that an event names by the provider's transaction.
CREATE INDEX orders_by_provider_reference ON orders (provider_reference)
    WHERE state = 'unknown' AND provider_reference IS NOT NULL;
