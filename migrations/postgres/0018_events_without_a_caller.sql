-- An event that names an order or an operation is the caller's who requested that, and
-- no caller's when that was requested without a name. Kept in step with
-- migrations/sqlite/0018_events_without_a_caller.sql. A file that was released is never
-- edited: its checksum is in every database.

-- As in 0015_scope.sql, but for the caller.
CREATE OR REPLACE FUNCTION append_events(batch JSONB, apart JSONB)
RETURNS TABLE (new_sequence BIGINT, new_event_id TEXT, new_order_id TEXT) LANGUAGE plpgsql AS $$
DECLARE
    place  BIGINT;
    added  BIGINT;
BEGIN
    -- Locked until the commit: numbers follow the order of commits.
    SELECT last_sequence INTO place FROM event_log FOR UPDATE;
    RETURN QUERY WITH fresh AS (
        SELECT value, ROW_NUMBER() OVER (ORDER BY CAST(key AS BIGINT)) AS turn FROM jsonb_each(batch)
        -- Not NOT EXISTS, for which the whole log is read: each is looked up in the index.
        WHERE (SELECT known.sequence FROM events AS known WHERE known.event_id = value ->> 'event_id') IS NULL
    )
    INSERT INTO events AS appended (sequence, event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id,
        product_id, transaction_id, infrastructure, body, details, order_id, operation_id, request_id, caller,
        reference)
    SELECT place + turn, value ->> 'event_id', value ->> 'type', CAST(value ->> 'occurred_at' AS BIGINT),
        CAST(value ->> 'received_at' AS BIGINT), value ->> 'iccid', value ->> 'msisdn', value ->> 'subscription_id',
        value ->> 'product_id', value ->> 'transaction_id', CAST(value ->> 'infrastructure' AS BIGINT),
        value ->> 'body', value ->> 'details', named.id, moved.id, COALESCE(named.request_id, moved.request_id),
        CASE
            WHEN named.id IS NOT NULL THEN named.caller
            WHEN moved.id IS NOT NULL THEN moved.caller
            ELSE COALESCE(
                (SELECT caller FROM orders
                    WHERE msisdn = value ->> 'msisdn' AND subscription_id = value ->> 'subscription_id'),
                (SELECT CASE WHEN COUNT(*) = COUNT(caller) AND MIN(caller) = MAX(caller) THEN MIN(caller) END
                    FROM (SELECT caller FROM orders WHERE msisdn = COALESCE(value ->> 'msisdn',
                            (SELECT stock.msisdn FROM stock WHERE stock.card = value ->> 'card'))
                        AND act = 'buy' AND state NOT IN ('rejected', 'not_placed')
                        ORDER BY id DESC LIMIT 100) AS bought))
        END,
        NULLIF(named.reference, '')
    FROM fresh
    LEFT JOIN orders AS named ON named.id = value ->> 'reference'
    -- An operation, by the provider's transaction.
    LEFT JOIN LATERAL (SELECT id, request_id, caller FROM orders
        WHERE provider_reference = value ->> 'transaction_id' AND product_id = '' ORDER BY id DESC LIMIT 1) AS moved ON TRUE
    RETURNING appended.sequence, appended.event_id, appended.order_id;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added > 0 THEN
        UPDATE event_log SET last_sequence = place + added;
        PERFORM pg_notify('transatel_gateway_events', '');
    END IF;
    INSERT INTO unreadable_events (id, received_at, reason, body_base64)
    SELECT value ->> 'id', CAST(value ->> 'received_at' AS BIGINT), value ->> 'reason', value ->> 'body_base64'
    FROM jsonb_each(apart);
END
$$;
