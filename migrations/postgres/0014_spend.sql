-- What was ordered, summed by list price. Kept in step with
-- migrations/sqlite/0014_spend.sql. A file that was released is never edited: its
-- checksum is in every database.
--
-- It reads all orders once, as 0009_scale.sql does.

-- Nobody changes an order between the sums below and the trigger that keeps them.
-- At once the strongest lock that is needed: a weaker one first could wait for who
-- waits for it.
LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;

-- The day on which the latest attempt was begun, in UTC, since 1970-01-01. Empty
-- for attempts of former releases: the day of the first one counts.
ALTER TABLE orders ADD COLUMN sent_day BIGINT;

-- Purchases that are placed. They stay when the orders are forgotten: there are
-- as many as days, callers and products, not as orders.
CREATE TABLE spend_totals (
    -- Of the next four columns.
    id          TEXT COLLATE "C" PRIMARY KEY,
    day         BIGINT NOT NULL,
    -- Empty when it is not known.
    caller      TEXT NOT NULL,
    product_id  TEXT NOT NULL,
    -- Empty for orders without a list price.
    currency    TEXT NOT NULL,
    orders      BIGINT NOT NULL,
    -- The sum of both parts of the list prices.
    units       BIGINT NOT NULL,
    nanos       BIGINT NOT NULL
);

CREATE INDEX spend_by_day ON spend_totals (day, caller);

INSERT INTO spend_totals (id, day, caller, product_id, currency, orders, units, nanos)
SELECT day || '/' || currency || '/' || length(product_id) || '/' || product_id || '/' || caller,
    day, caller, product_id, currency, COUNT(*), SUM(units), SUM(nanos)
FROM (SELECT COALESCE(sent_day, created_at / 86400000000) AS day, COALESCE(caller, '') AS caller, product_id,
        COALESCE(list_price_currency, '') AS currency, COALESCE(list_price_units, 0) AS units,
        COALESCE(list_price_nanos, 0) AS nanos
    FROM orders WHERE state = 'placed' AND act = 'buy') AS placed
GROUP BY day, caller, product_id, currency;

-- Of a purchase that is placed, what it adds to the sums: changes of orders would
-- wait for each other at a sum. The other changes have no day.
ALTER TABLE order_changes ADD COLUMN day BIGINT;
ALTER TABLE order_changes ADD COLUMN caller TEXT;
ALTER TABLE order_changes ADD COLUMN product_id TEXT;
ALTER TABLE order_changes ADD COLUMN currency TEXT;
ALTER TABLE order_changes ADD COLUMN units BIGINT;
ALTER TABLE order_changes ADD COLUMN nanos BIGINT;

-- As in 0009_scale.sql, with what is spent. What is placed stays placed.
CREATE OR REPLACE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('placed', 'rejected', 'not_placed') THEN
        INSERT INTO order_changes (act, state, writes) VALUES (OLD.act, OLD.state, -1);
    END IF;
    IF NEW.state = 'placed' AND NEW.act = 'buy' THEN
        INSERT INTO order_changes (act, state, writes, day, caller, product_id, currency, units, nanos)
        VALUES (NEW.act, NEW.state, 1, COALESCE(NEW.sent_day, NEW.created_at / 86400000000),
            COALESCE(NEW.caller, ''), NEW.product_id, COALESCE(NEW.list_price_currency, ''),
            COALESCE(NEW.list_price_units, 0), COALESCE(NEW.list_price_nanos, 0));
    ELSIF NEW.state IN ('placed', 'rejected', 'not_placed') THEN
        INSERT INTO order_changes (act, state, writes) VALUES (NEW.act, NEW.state, 1);
    END IF;
    RETURN NULL;
END
$$;

-- The same, with the sums. The totals come first: they keep two at once apart,
-- so that these never wait for each other's sums.
CREATE OR REPLACE FUNCTION total_changes() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    totalled  BIGINT;
BEGIN
    WITH changes AS (
        DELETE FROM order_changes WHERE id IN (SELECT id FROM order_changes FOR UPDATE SKIP LOCKED)
        RETURNING *
    ), spent AS (
        INSERT INTO spend_totals AS total (id, day, caller, product_id, currency, orders, units, nanos)
        SELECT day || '/' || currency || '/' || length(product_id) || '/' || product_id || '/' || caller,
            day, caller, product_id, currency, SUM(writes), SUM(units), SUM(nanos)
        FROM changes WHERE day IS NOT NULL GROUP BY day, caller, product_id, currency ORDER BY 1
        ON CONFLICT (id) DO UPDATE SET orders = total.orders + EXCLUDED.orders,
            units = total.units + EXCLUDED.units, nanos = total.nanos + EXCLUDED.nanos
    )
    INSERT INTO order_totals AS total (id, act, state, writes)
    SELECT act || '/' || state, act, state, SUM(writes) FROM changes GROUP BY act, state ORDER BY 1
    ON CONFLICT (id) DO UPDATE SET writes = total.writes + EXCLUDED.writes;
    GET DIAGNOSTICS totalled = ROW_COUNT;
    RETURN totalled;
END
$$;

-- As in 0013_list_price.sql, with the day.
CREATE OR REPLACE FUNCTION begin_order(new_id TEXT, new_request_id TEXT, new_iccid TEXT, new_msisdn TEXT, new_product_id TEXT,
    new_activation TEXT, new_reference TEXT, new_max_price_currency TEXT, new_max_price_units BIGINT,
    new_max_price_nanos BIGINT, new_caller TEXT, new_created_at BIGINT, new_updated_at BIGINT, new_baseline TEXT,
    new_sent_by BIGINT, new_lease_until BIGINT, new_act TEXT, new_details TEXT, new_owner TEXT,
    new_activation_used TEXT, new_list_price_currency TEXT, new_list_price_units BIGINT,
    new_list_price_nanos BIGINT, new_list_price_as_of BIGINT, new_list_price_version TEXT, expected BIGINT) RETURNS SETOF orders LANGUAGE plpgsql AS $$
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
            WHERE msisdn = new_msisdn AND product_id = new_product_id)
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
