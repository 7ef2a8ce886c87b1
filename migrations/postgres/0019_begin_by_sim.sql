-- A begin reads the orders of its SIM, and not all of its product. Kept in step with
-- migrations/sqlite/0019_begin_by_sim.sql. A file that was released is never edited:
-- its checksum is in every database.

-- As in 0014_begin.sql, but for the comparison with the product: PostgreSQL expects no
-- orders of a product that its statistics do not know yet, and read all of them by the
-- index of products.
CREATE OR REPLACE FUNCTION begin_order(new_id TEXT, new_request_id TEXT, new_iccid TEXT, new_msisdn TEXT, new_product_id TEXT,
    new_activation TEXT, new_reference TEXT, new_max_price_currency TEXT, new_max_price_units BIGINT,
    new_max_price_nanos BIGINT, new_caller TEXT, new_created_at BIGINT, new_updated_at BIGINT, new_baseline TEXT,
    new_sent_by BIGINT, new_lease_until BIGINT, new_act TEXT, new_details TEXT, new_owner TEXT,
    new_activation_used TEXT, new_list_price_currency TEXT, new_list_price_units BIGINT,
    new_list_price_nanos BIGINT, new_list_price_as_of BIGINT, new_list_price_version TEXT, expected BIGINT)
RETURNS SETOF orders LANGUAGE plpgsql AS $$
BEGIN
    -- Excludes every other begin on the slot until the end of the transaction.
    PERFORM pg_advisory_xact_lock(hashtextextended(new_msisdn || '/' || new_product_id, 0));
    -- Before the generation is read: an order that is forgotten meanwhile is missing
    -- there, or is found here.
    IF NOT EXISTS (SELECT 1 FROM orders WHERE request_id = new_request_id) THEN
        -- Unique indexes refuse a slot with an order in flight, and a request that
        -- has begun on another slot meanwhile.
        RETURN QUERY INSERT INTO orders (id, request_id, iccid, msisdn, product_id, activation, reference,
            max_price_currency, max_price_units, max_price_nanos, caller, created_at, updated_at, baseline, sent_by,
            lease_until, act, details, owner, activation_used, list_price_currency, list_price_units,
            list_price_nanos, list_price_as_of, list_price_version, sent_day, state, attempt, checks)
        SELECT new_id, new_request_id, new_iccid, new_msisdn, new_product_id, new_activation, new_reference,
            new_max_price_currency, new_max_price_units, new_max_price_nanos, new_caller, new_created_at,
            new_updated_at, new_baseline, new_sent_by, new_lease_until, new_act, new_details, new_owner,
            new_activation_used, new_list_price_currency, new_list_price_units, new_list_price_nanos,
            new_list_price_as_of, new_list_price_version, new_updated_at / 86400000000, 'submitting', 1, 0
        WHERE expected = (SELECT COALESCE(SUM(attempt), 0) FROM orders
            WHERE msisdn = new_msisdn AND product_id || '' = new_product_id)
            -- Who has reserved the SIM may be about to sell it.
            AND (new_act <> 'buy' OR NOT EXISTS (SELECT 1 FROM stock
                WHERE stock.msisdn = new_msisdn AND stock.state = 'reserved'))
        ON CONFLICT DO NOTHING RETURNING *;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    -- The same statement before, whose answer was lost with the connection. Ids are
    -- drawn for each first attempt.
    RETURN QUERY SELECT * FROM orders
    WHERE id = new_id AND owner = new_owner AND attempt = 1 AND state = 'submitting';
END
$$;
