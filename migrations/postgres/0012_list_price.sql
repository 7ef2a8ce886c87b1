-- The list price of orders, in the ledger and on the events of their outcomes.
-- Kept in step with migrations/sqlite/0012_list_price.sql. A file that was
-- released is never edited: its checksum is in every database.

-- What the catalog said of the product when an attempt at a purchase was begun:
-- a list price, most probably with VAT. Empty where nothing is known.
ALTER TABLE orders ADD COLUMN list_price_currency TEXT;
ALTER TABLE orders ADD COLUMN list_price_units BIGINT;
ALTER TABLE orders ADD COLUMN list_price_nanos BIGINT;
-- When the provider gave that catalog, in microseconds since 1970-01-01 UTC, and
-- its content.
ALTER TABLE orders ADD COLUMN list_price_as_of BIGINT;
ALTER TABLE orders ADD COLUMN list_price_version TEXT;

-- JSON object of what callers see in fields of their own; absent when empty.
ALTER TABLE outcomes ADD COLUMN details TEXT;

-- As in 0007_ledger_events.sql, with the list price.
CREATE OR REPLACE FUNCTION keep_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
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
        operation_id, request_id, caller, reference, details)
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
        NEW.request_id, NEW.caller, nullif(NEW.reference, ''),
        CASE WHEN NEW.list_price_currency IS NOT NULL THEN CAST(json_build_object('list_price', json_build_object(
            'currency', NEW.list_price_currency, 'units', NEW.list_price_units, 'nanos', NEW.list_price_nanos,
            'as_of', NEW.list_price_as_of, 'version', NEW.list_price_version)) AS TEXT) END);
    RETURN NULL;
END
$$;

-- Moves the oldest outcomes into the log, at most `most`, and notifies
-- listeners once. Returns how many. One statement of a client, so that the log
-- is locked for no client that may freeze.
CREATE OR REPLACE FUNCTION publish_outcomes(most BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
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
        product_id, order_id, operation_id, request_id, caller, reference, infrastructure, body, by_gateway, details)
    SELECT place + ROW_NUMBER() OVER (ORDER BY turn), event_id, type, occurred_at, occurred_at, iccid, msisdn,
        subscription_id, product_id, order_id, operation_id, request_id, caller, reference, 0, '{}', 1, details
    FROM moving;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved > 0 THEN
        UPDATE event_log SET last_sequence = place + moved;
        PERFORM pg_notify('transatel_gateway_events', '');
    END IF;
    RETURN moved;
END
$$;
