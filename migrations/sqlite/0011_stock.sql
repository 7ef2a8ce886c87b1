-- The stock: SIMs that were delivered, in pools, and the requests that have
-- them. Kept in step with migrations/postgres/0011_stock.sql. A file that was
-- released is never edited: its checksum is in every database.
--
-- Instants are microseconds since 1970-01-01 UTC.

CREATE TABLE stock (
    -- The ICCID without its check digit: a card is written in several ways.
    card          TEXT PRIMARY KEY,
    iccid         TEXT NOT NULL,
    msisdn        TEXT,
    pool          TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('available', 'reserved', 'sold', 'set_aside')),
    -- Why it is set aside.
    reason        TEXT,
    -- The request that has it.
    request_id    TEXT,
    -- Those that were delivered first are sold first; one that was given back goes to
    -- the end, so that it does not keep others from being sold.
    place         INTEGER NOT NULL,
    delivered_at  INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    CHECK ((state = 'set_aside') = (reason IS NOT NULL)),
    -- A sold SIM outlives the order that it was sold with.
    CHECK (state <> 'reserved' OR request_id IS NOT NULL),
    CHECK (state IN ('reserved', 'sold') OR request_id IS NULL)
) STRICT;

-- What is taken next.
CREATE INDEX stock_available ON stock (pool, place) WHERE state = 'available';

-- Counts and lists.
CREATE INDEX stock_in_state ON stock (pool, state, reason, card);

-- The SIM of a request, and of a number.
CREATE UNIQUE INDEX stock_of_request ON stock (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX stock_of_number ON stock (msisdn) WHERE msisdn IS NOT NULL;

CREATE TABLE stock_reservations (
    request_id  TEXT PRIMARY KEY,
    pool        TEXT NOT NULL,
    -- Empty while it is being made.
    card        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('held', 'sold', 'released', 'expired', 'refused')),
    -- 1 when it was made to buy at once, 0 when a SIM was reserved for later.
    for_sale    INTEGER NOT NULL CHECK (for_sale IN (0, 1)),
    reference   TEXT NOT NULL,
    caller      TEXT,
    order_id    TEXT,
    created_at  INTEGER NOT NULL,
    -- When the SIM was found to be unused; empty until then.
    looked_at   INTEGER,
    expires_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- What has to be given back, and what is old enough to forget.
CREATE INDEX reservations_held ON stock_reservations (expires_at) WHERE state = 'held';
CREATE INDEX reservations_over ON stock_reservations (updated_at) WHERE state IN ('released', 'expired', 'refused');

-- The pool that an order's SIM was taken from, and the reservation of that SIM.
ALTER TABLE orders ADD COLUMN pool TEXT;
ALTER TABLE orders ADD COLUMN reservation_id TEXT;

-- What becomes of an order decides what becomes of its SIM, in the transaction
-- of the change.

-- It was not sent.
CREATE TRIGGER stock_of_unsent_order AFTER DELETE ON orders
WHEN old.reservation_id IS NOT NULL AND old.state = 'submitting'
BEGIN
    UPDATE stock_reservations SET state = 'held', order_id = NULL
    WHERE request_id = old.reservation_id AND order_id = old.id;
    UPDATE stock SET state = 'reserved' WHERE request_id = old.reservation_id AND state = 'sold';
END;

-- What was not carried out, as far as was seen for all that time, leaves the SIM
-- to others: it is looked at again before it is sold.
CREATE TRIGGER stock_of_forgotten_order AFTER DELETE ON orders
WHEN old.reservation_id IS NOT NULL AND old.state <> 'submitting'
BEGIN
    UPDATE stock SET request_id = NULL, state = CASE old.state WHEN 'placed' THEN 'sold' ELSE 'available' END
    WHERE state = 'sold' AND request_id = old.reservation_id
        AND EXISTS (SELECT 1 FROM stock_reservations AS made
            WHERE made.request_id = old.reservation_id AND made.order_id = old.id);
    DELETE FROM stock_reservations WHERE request_id = old.reservation_id AND order_id = old.id;
END;

-- Attempts before a refused one may have been carried out: that is watched, and
-- the SIM stays with the order.
CREATE TRIGGER stock_of_refused_order AFTER UPDATE OF state ON orders
WHEN new.reservation_id IS NOT NULL AND new.state <> old.state AND new.state = 'rejected' AND new.next_check_at IS NULL
BEGIN
    UPDATE stock_reservations SET state = 'refused', updated_at = new.updated_at
    WHERE request_id = new.reservation_id AND order_id = new.id;
    UPDATE stock SET request_id = NULL, updated_at = new.updated_at, place = new.updated_at,
        state = CASE WHEN new.failure_reason IN ('sim_not_found', 'sim_status_not_eligible')
            THEN 'set_aside' ELSE 'available' END,
        reason = CASE WHEN new.failure_reason IN ('sim_not_found', 'sim_status_not_eligible')
            THEN 'order_refused' END
    WHERE request_id = new.reservation_id AND state = 'sold';
END;

-- It was carried out after all.
CREATE TRIGGER stock_of_late_order AFTER UPDATE OF state ON orders
WHEN new.reservation_id IS NOT NULL AND old.state = 'rejected' AND new.state = 'placed'
BEGIN
    UPDATE stock SET state = 'sold', reason = NULL, request_id = new.reservation_id, updated_at = new.updated_at
    WHERE state IN ('available', 'set_aside')
        AND card = (SELECT card FROM stock_reservations WHERE request_id = new.reservation_id AND order_id = new.id);
    UPDATE stock_reservations SET state = 'sold' WHERE request_id = new.reservation_id AND order_id = new.id;
END;
