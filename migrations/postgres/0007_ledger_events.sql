-- Events of the ledger itself, and what events say beyond what they are about.
-- Kept in step with migrations/sqlite/0007_ledger_events.sql. A file that was
-- released is never edited: its checksum is in every database.

-- 1 for an event of the gateway, 0 for one of the provider.
ALTER TABLE events ADD COLUMN by_gateway BIGINT NOT NULL DEFAULT 0 CHECK (by_gateway IN (0, 1));

-- The operation on a SIM that it belongs to.
ALTER TABLE events ADD COLUMN operation_id TEXT;

-- Who requested that order or operation, and the caller's reference of it.
ALTER TABLE events ADD COLUMN caller TEXT;
ALTER TABLE events ADD COLUMN reference TEXT;

-- JSON object of what callers see in fields of their own; absent when empty.
ALTER TABLE events ADD COLUMN details TEXT;

-- An operation by the provider's transaction, which events name.
CREATE INDEX orders_by_transaction ON orders (provider_reference)
    WHERE product_id = '' AND provider_reference IS NOT NULL;

-- Outcomes that are not in the log yet. Every change of an order would wait for
-- the one row of `event_log` until the change before it is on disk; a row here
-- waits for nothing. `publish_outcomes` moves them into the log.
CREATE TABLE outcomes (
    -- Drawn while the order is locked: those of one order are in the order of
    -- its changes.
    turn             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id         TEXT NOT NULL,
    type             TEXT NOT NULL,
    occurred_at      BIGINT NOT NULL,
    iccid            TEXT,
    msisdn           TEXT,
    subscription_id  TEXT,
    product_id       TEXT,
    order_id         TEXT,
    operation_id     TEXT,
    request_id       TEXT,
    caller           TEXT,
    reference        TEXT
);

-- Each outcome is an event of its own, kept in the transaction of the change. A
-- trigger, so that no statement can change a state without it, not even one of
-- a replica of the release before. What was withdrawn before it was sent
-- (submitting to not_placed) has no outcome.
CREATE FUNCTION keep_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named  TEXT := NEW.subscription_id;
BEGIN
    IF NEW.act IN ('cancel_renewal', 'terminate_subscription') THEN
        BEGIN
            named := CAST(NEW.details AS json) ->> 'subscription_id';
        EXCEPTION WHEN data_exception THEN
            -- A text that this database cannot hold must not keep the order
            -- from being settled.
            named := NULL;
        END;
    END IF;
    INSERT INTO outcomes (event_id, type, occurred_at, iccid, msisdn, subscription_id, product_id, order_id,
        operation_id, request_id, caller, reference)
    VALUES (CAST(gen_random_uuid() AS TEXT),
        CASE
            WHEN NEW.product_id <> '' THEN 'GATEWAY/ORDER/' || upper(NEW.state)
            WHEN NEW.state = 'placed' THEN 'GATEWAY/SIM_OPERATION/SUCCEEDED'
            WHEN NEW.state = 'needs_operator' THEN 'GATEWAY/SIM_OPERATION/NEEDS_OPERATOR'
            ELSE 'GATEWAY/SIM_OPERATION/FAILED'
        END,
        NEW.updated_at, NEW.iccid, NEW.msisdn, named,
        nullif(NEW.product_id, ''),
        CASE WHEN NEW.product_id <> '' THEN NEW.id END,
        CASE WHEN NEW.product_id = '' THEN NEW.id END,
        NEW.request_id, NEW.caller, nullif(NEW.reference, ''));
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_outcome AFTER UPDATE OF state ON orders FOR EACH ROW
WHEN (NEW.state <> OLD.state
    AND NEW.state IN ('placed', 'rejected', 'not_placed', 'needs_operator')
    AND NOT (OLD.state = 'submitting' AND NEW.state = 'not_placed'))
EXECUTE FUNCTION keep_outcome();

-- Moves the oldest outcomes into the log, at most `most`, and notifies
-- listeners once. Returns how many. One statement of a client, so that the log
-- is locked for no client that may freeze.
CREATE FUNCTION publish_outcomes(most BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    place  BIGINT;
    moved  BIGINT;
BEGIN
    -- Usually there are none: nobody waits for that.
    IF NOT EXISTS (SELECT 1 FROM outcomes) THEN
        RETURN 0;
    END IF;
    -- Locked until the commit, as by every append: numbers follow the order of
    -- commits. What the transactions before it moved is gone from here on.
    SELECT last_sequence INTO place FROM event_log FOR UPDATE;
    WITH moving AS (
        DELETE FROM outcomes WHERE turn IN (SELECT turn FROM outcomes ORDER BY turn LIMIT most) RETURNING *
    )
    INSERT INTO events (sequence, event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id,
        product_id, order_id, operation_id, request_id, caller, reference, infrastructure, body, by_gateway)
    SELECT place + ROW_NUMBER() OVER (ORDER BY turn), event_id, type, occurred_at, occurred_at, iccid, msisdn,
        subscription_id, product_id, order_id, operation_id, request_id, caller, reference, 0, '{}', 1
    FROM moving;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved > 0 THEN
        UPDATE event_log SET last_sequence = place + moved;
        PERFORM pg_notify('transatel_gateway_events', '');
    END IF;
    RETURN moved;
END
$$;
