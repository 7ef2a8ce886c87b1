-- What was ordered, summed by list price. Kept in step with
-- migrations/sqlite/0013_spend.sql. A file that was released is never edited: its
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
