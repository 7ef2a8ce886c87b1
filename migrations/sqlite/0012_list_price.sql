-- The list price of orders, in the ledger and on the events of their outcomes.
-- Kept in step with migrations/postgres/0012_list_price.sql. A file that was
-- released is never edited: its checksum is in every database.

-- What the catalog said of the product when an attempt at a purchase was begun:
-- a list price, most probably with VAT. Empty where nothing is known.
ALTER TABLE orders ADD COLUMN list_price_currency TEXT;
ALTER TABLE orders ADD COLUMN list_price_units INTEGER;
ALTER TABLE orders ADD COLUMN list_price_nanos INTEGER;
-- When the provider gave that catalog, in microseconds since 1970-01-01 UTC, and
-- its content.
ALTER TABLE orders ADD COLUMN list_price_as_of INTEGER;
ALTER TABLE orders ADD COLUMN list_price_version TEXT;

-- As in 0007_ledger_events.sql, with the list price.
DROP TRIGGER orders_outcome;

CREATE TRIGGER orders_outcome AFTER UPDATE OF state ON orders
WHEN new.state <> old.state
    AND new.state IN ('placed', 'rejected', 'not_placed', 'needs_operator')
    AND NOT (old.state = 'submitting' AND new.state = 'not_placed')
BEGIN
    UPDATE event_log SET last_sequence = last_sequence + 1;
    INSERT INTO events (sequence, event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id,
        product_id, order_id, operation_id, request_id, caller, reference, infrastructure, body, by_gateway, details)
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
        new.request_id, new.caller, nullif(new.reference, ''), 0, '{}', 1,
        CASE WHEN new.list_price_currency IS NOT NULL THEN json_object('list_price', json_object(
            'currency', new.list_price_currency, 'units', new.list_price_units, 'nanos', new.list_price_nanos,
            'as_of', new.list_price_as_of, 'version', new.list_price_version)) END
    FROM event_log;
END;
