-- The stock: SIMs that were delivered, in pools, and the requests that have
-- them. Kept in step with migrations/sqlite/0011_stock.sql. A file that was
-- released is never edited: its checksum is in every database.
--
-- Instants are microseconds since 1970-01-01 UTC.

CREATE TABLE stock (
    -- The ICCID without its check digit: a card is written in several ways.
    card          TEXT COLLATE "C" PRIMARY KEY,
    iccid         TEXT COLLATE "C" NOT NULL,
    msisdn        TEXT COLLATE "C",
    pool          TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('available', 'reserved', 'sold', 'set_aside')),
    -- Why it is set aside.
    reason        TEXT,
    -- The request that has it.
    request_id    TEXT COLLATE "C",
    -- Those that were delivered first are sold first; one that was given back goes to
    -- the end, so that it does not keep others from being sold.
    place         BIGINT NOT NULL,
    delivered_at  BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CHECK ((state = 'set_aside') = (reason IS NOT NULL)),
    -- A sold SIM outlives the order that it was sold with.
    CHECK (state <> 'reserved' OR request_id IS NOT NULL),
    CHECK (state IN ('reserved', 'sold') OR request_id IS NULL)
);

-- What is taken next.
CREATE INDEX stock_available ON stock (pool, place) WHERE state = 'available';

-- Counts and lists.
CREATE INDEX stock_in_state ON stock (pool, state, reason, card);

-- The SIM of a request, and of a number.
CREATE UNIQUE INDEX stock_of_request ON stock (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX stock_of_number ON stock (msisdn) WHERE msisdn IS NOT NULL;

CREATE TABLE stock_reservations (
    request_id  TEXT COLLATE "C" PRIMARY KEY,
    pool        TEXT COLLATE "C" NOT NULL,
    -- Empty while it is being made.
    card        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('held', 'sold', 'released', 'expired', 'refused')),
    -- 1 when it was made to buy at once, 0 when a SIM was reserved for later.
    for_sale    BIGINT NOT NULL CHECK (for_sale IN (0, 1)),
    reference   TEXT NOT NULL,
    caller      TEXT,
    order_id    TEXT COLLATE "C",
    created_at  BIGINT NOT NULL,
    -- When the SIM was found to be unused; empty until then.
    looked_at   BIGINT,
    expires_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- What has to be given back, and what is old enough to forget.
CREATE INDEX reservations_held ON stock_reservations (expires_at) WHERE state = 'held';
CREATE INDEX reservations_over ON stock_reservations (updated_at) WHERE state IN ('released', 'expired', 'refused');

-- The pool that an order's SIM was taken from, and the reservation of that SIM.
ALTER TABLE orders ADD COLUMN pool TEXT COLLATE "C";
ALTER TABLE orders ADD COLUMN reservation_id TEXT COLLATE "C";

-- What becomes of an order decides what becomes of its SIM, in the transaction
-- of the change.
CREATE FUNCTION stock_follows_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state = 'submitting' THEN
            -- It was not sent.
            UPDATE stock_reservations SET state = 'held', order_id = NULL
            WHERE request_id = OLD.reservation_id AND order_id = OLD.id;
            UPDATE stock SET state = 'reserved' WHERE request_id = OLD.reservation_id AND state = 'sold';
        ELSE
            -- What was not carried out, as far as was seen for all that time, leaves the SIM
            -- to others: it is looked at again before it is sold.
            UPDATE stock SET request_id = NULL,
                state = CASE OLD.state WHEN 'placed' THEN 'sold' ELSE 'available' END
            WHERE state = 'sold' AND request_id = OLD.reservation_id
                AND EXISTS (SELECT 1 FROM stock_reservations AS made
                    WHERE made.request_id = OLD.reservation_id AND made.order_id = OLD.id);
            DELETE FROM stock_reservations WHERE request_id = OLD.reservation_id AND order_id = OLD.id;
        END IF;
    ELSIF NEW.state = 'rejected' THEN
        UPDATE stock_reservations SET state = 'refused', updated_at = NEW.updated_at
        WHERE request_id = NEW.reservation_id AND order_id = NEW.id;
        UPDATE stock SET request_id = NULL, updated_at = NEW.updated_at, place = NEW.updated_at,
            state = CASE WHEN NEW.failure_reason IN ('sim_not_found', 'sim_status_not_eligible')
                THEN 'set_aside' ELSE 'available' END,
            reason = CASE WHEN NEW.failure_reason IN ('sim_not_found', 'sim_status_not_eligible')
                THEN 'order_refused' END
        WHERE request_id = NEW.reservation_id AND state = 'sold';
    ELSE
        -- It was carried out after all.
        UPDATE stock SET state = 'sold', reason = NULL, request_id = NEW.reservation_id, updated_at = NEW.updated_at
        WHERE state IN ('available', 'set_aside')
            AND card = (SELECT card FROM stock_reservations WHERE request_id = NEW.reservation_id AND order_id = NEW.id);
        UPDATE stock_reservations SET state = 'sold' WHERE request_id = NEW.reservation_id AND order_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER stock_of_ended_order AFTER DELETE ON orders FOR EACH ROW
WHEN (OLD.reservation_id IS NOT NULL) EXECUTE FUNCTION stock_follows_order();

-- Attempts before a refused one may have been carried out: that is watched, and
-- the SIM stays with the order.
CREATE TRIGGER stock_of_refused_order AFTER UPDATE OF state ON orders FOR EACH ROW
WHEN (NEW.reservation_id IS NOT NULL AND NEW.state <> OLD.state
    AND (NEW.state = 'rejected' AND NEW.next_check_at IS NULL OR NEW.state = 'placed' AND OLD.state = 'rejected'))
EXECUTE FUNCTION stock_follows_order();
