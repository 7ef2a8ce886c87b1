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

-- Each outcome is an event of its own, in the transaction of the change. A
-- trigger, so that no statement can change a state without it, not even one of
-- a replica of the release before. What was withdrawn before it was sent
-- (submitting to not_placed) has no outcome.
CREATE FUNCTION append_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place  BIGINT;
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
    -- Locked until the change is committed, as by every append: numbers follow
    -- the order of commits. The order's row is locked before it, and nothing
    -- locks an order after it.
    UPDATE event_log SET last_sequence = last_sequence + 1 RETURNING last_sequence INTO place;
    INSERT INTO events (sequence, event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id,
        product_id, order_id, operation_id, request_id, caller, reference, infrastructure, body, by_gateway)
    VALUES (place,
        CAST(gen_random_uuid() AS TEXT),
        CASE
            WHEN NEW.product_id <> '' THEN 'GATEWAY/ORDER/' || upper(NEW.state)
            WHEN NEW.state = 'placed' THEN 'GATEWAY/SIM_OPERATION/SUCCEEDED'
            WHEN NEW.state = 'needs_operator' THEN 'GATEWAY/SIM_OPERATION/NEEDS_OPERATOR'
            ELSE 'GATEWAY/SIM_OPERATION/FAILED'
        END,
        NEW.updated_at, NEW.updated_at, NEW.iccid, NEW.msisdn, named,
        nullif(NEW.product_id, ''),
        CASE WHEN NEW.product_id <> '' THEN NEW.id END,
        CASE WHEN NEW.product_id = '' THEN NEW.id END,
        NEW.request_id, NEW.caller, nullif(NEW.reference, ''), 0, '{}', 1);
    PERFORM pg_notify('transatel_gateway_events', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_outcome AFTER UPDATE OF state ON orders FOR EACH ROW
WHEN (NEW.state <> OLD.state
    AND NEW.state IN ('placed', 'rejected', 'not_placed', 'needs_operator')
    AND NOT (OLD.state = 'submitting' AND NEW.state = 'not_placed'))
EXECUTE FUNCTION append_outcome();
