-- What was ordered, summed by list price. Kept in step with
-- migrations/postgres/0013_spend.sql. A file that was released is never edited: its
-- checksum is in every database.
--
-- It reads all orders once, as 0009_scale.sql does.

-- The day on which the latest attempt was begun, in UTC, since 1970-01-01. Empty
-- for attempts of former releases: the day of the first one counts.
ALTER TABLE orders ADD COLUMN sent_day INTEGER;

-- Purchases that are placed. They stay when the orders are forgotten: there are
-- as many as days, callers and products, not as orders.
CREATE TABLE spend_totals (
    -- Of the next four columns.
    id          TEXT PRIMARY KEY,
    day         INTEGER NOT NULL,
    -- Empty when it is not known.
    caller      TEXT NOT NULL,
    product_id  TEXT NOT NULL,
    -- Empty for orders without a list price.
    currency    TEXT NOT NULL,
    orders      INTEGER NOT NULL,
    -- The sum of both parts of the list prices.
    units       INTEGER NOT NULL,
    nanos       INTEGER NOT NULL
) STRICT;

CREATE INDEX spend_by_day ON spend_totals (day, caller);

INSERT INTO spend_totals (id, day, caller, product_id, currency, orders, units, nanos)
SELECT day || '/' || currency || '/' || length(product_id) || '/' || product_id || '/' || caller,
    day, caller, product_id, currency, COUNT(*), SUM(units), SUM(nanos)
FROM (SELECT COALESCE(sent_day, created_at / 86400000000) AS day, COALESCE(caller, '') AS caller, product_id,
        COALESCE(list_price_currency, '') AS currency, COALESCE(list_price_units, 0) AS units,
        COALESCE(list_price_nanos, 0) AS nanos
    FROM orders WHERE state = 'placed' AND act = 'buy') AS placed
GROUP BY day, caller, product_id, currency;

-- What is placed stays placed.
CREATE TRIGGER orders_spent AFTER UPDATE OF state ON orders
WHEN new.state = 'placed' AND old.state <> 'placed' AND new.act = 'buy'
BEGIN
    INSERT INTO spend_totals (id, day, caller, product_id, currency, orders, units, nanos)
    SELECT day || '/' || currency || '/' || length(product_id) || '/' || product_id || '/' || caller,
        day, caller, product_id, currency, 1, units, nanos
    FROM (SELECT COALESCE(new.sent_day, new.created_at / 86400000000) AS day, COALESCE(new.caller, '') AS caller,
        new.product_id AS product_id, COALESCE(new.list_price_currency, '') AS currency,
        COALESCE(new.list_price_units, 0) AS units, COALESCE(new.list_price_nanos, 0) AS nanos)
    WHERE true
    ON CONFLICT (id) DO UPDATE SET orders = orders + 1, units = units + excluded.units,
        nanos = nanos + excluded.nanos;
END;
