-- Events of the ledger itself, and what events say beyond what they are about.
-- Kept in step with migrations/postgres/0007_ledger_events.sql. A file that was
-- released is never edited: its checksum is in every database.

-- 1 for an event of the gateway, 0 for one of the provider.
ALTER TABLE events ADD COLUMN by_gateway INTEGER NOT NULL DEFAULT 0 CHECK (by_gateway IN (0, 1));

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
-- trigger, so that no statement can change a state without it. What was
-- withdrawn before it was sent (submitting to not_placed) has no outcome.
CREATE TRIGGER orders_outcome AFTER UPDATE OF state ON orders
WHEN new.state <> old.state
    AND new.state IN ('placed', 'rejected', 'not_placed', 'needs_operator')
    AND NOT (old.state = 'submitting' AND new.state = 'not_placed')
BEGIN
    UPDATE event_log SET last_sequence = last_sequence + 1;
    INSERT INTO events (sequence, event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id,
        product_id, order_id, operation_id, request_id, caller, reference, infrastructure, body, by_gateway)
    SELECT last_sequence,
        lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'
            || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
        CASE
            WHEN new.product_id <> '' THEN 'GATEWAY/ORDER/' || upper(new.state)
            WHEN new.state = 'placed' THEN 'GATEWAY/SIM_OPERATION/SUCCEEDED'
            WHEN new.state = 'needs_operator' THEN 'GATEWAY/SIM_OPERATION/NEEDS_OPERATOR'
            ELSE 'GATEWAY/SIM_OPERATION/FAILED'
        END,
        new.updated_at, new.updated_at, new.iccid, new.msisdn,
        CASE
            WHEN new.act NOT IN ('cancel_renewal', 'terminate_subscription') THEN new.subscription_id
            WHEN json_valid(new.details) THEN new.details ->> 'subscription_id'
        END,
        nullif(new.product_id, ''),
        CASE WHEN new.product_id <> '' THEN new.id END,
        CASE WHEN new.product_id = '' THEN new.id END,
        new.request_id, new.caller, nullif(new.reference, ''), 0, '{}', 1
    FROM event_log;
END;
