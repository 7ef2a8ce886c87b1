-- What keeps lists, counts and upkeep fast however many orders there are. Kept
-- in step with migrations/postgres/0009_scale.sql. A file that was released is never
-- edited: its checksum is in every database.
--
-- It reads all orders once, about twenty seconds for a million. With PostgreSQL
-- nobody can write orders meanwhile: indexes cannot be built concurrently in the
-- transaction of a migration.

-- Orders of a product, of a caller and of a rarer kind, newest first.
CREATE INDEX orders_of_product ON orders (product_id, id) WHERE product_id <> '';
CREATE INDEX orders_of_caller ON orders (caller, id) WHERE caller IS NOT NULL;
CREATE INDEX orders_of_kind ON orders (act, id) WHERE act <> 'buy';

-- Orders by state, newest first. Most are placed: a page of those is never far
-- in the order of creation.
CREATE INDEX orders_in_state ON orders (state, id) WHERE product_id <> '' AND state <> 'placed';

-- Operations on SIMs by state and by card, newest first.
CREATE INDEX operations_in_state ON orders (state, id) WHERE product_id = '';
CREATE INDEX operations_of_card ON orders (iccid, id) WHERE product_id = '';

-- What is in flight, to count it and to take it over: few rows. What is over,
-- by age, to forget it. Together they replace an index of every order.
CREATE INDEX orders_in_flight ON orders (state, updated_at)
    WHERE state IN ('submitting', 'unknown', 'needs_operator');
CREATE INDEX orders_over ON orders (updated_at) WHERE state IN ('placed', 'rejected', 'not_placed');
DROP INDEX orders_by_state;

-- How many orders are over, by kind and state. What is in flight is counted when
-- it is asked for.
CREATE TABLE order_totals (
    -- Kind and state.
    id      TEXT PRIMARY KEY,
    act     TEXT NOT NULL,
    state   TEXT NOT NULL,
    writes  INTEGER NOT NULL
) STRICT;

INSERT INTO order_totals (id, act, state, writes)
SELECT act || '/' || state, act, state, COUNT(*) FROM orders WHERE state IN ('placed', 'rejected', 'not_placed') GROUP BY act, state;

CREATE TRIGGER orders_counted AFTER UPDATE OF state ON orders WHEN new.state <> old.state
BEGIN
    UPDATE order_totals SET writes = writes - 1 WHERE id = old.act || '/' || old.state;
    INSERT INTO order_totals (id, act, state, writes)
    SELECT new.act || '/' || new.state, new.act, new.state, 1 WHERE new.state IN ('placed', 'rejected', 'not_placed')
    ON CONFLICT (id) DO UPDATE SET writes = writes + 1;
END;

CREATE TRIGGER orders_forgotten AFTER DELETE ON orders
BEGIN
    UPDATE order_totals SET writes = writes - 1 WHERE id = old.act || '/' || old.state;
END;
