-- What keeps lists, counts and upkeep fast however many orders there are. Kept
-- in step with migrations/sqlite/0009_scale.sql. A file that was released is never
-- edited: its checksum is in every database.
--
-- It reads all orders once, about twenty seconds for a million. With PostgreSQL
-- nobody can write orders meanwhile: indexes cannot be built concurrently in the
-- transaction of a migration.

-- Nobody changes an order between the count below and the triggers that keep it.
LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE;

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
    id      TEXT COLLATE "C" PRIMARY KEY,
    act     TEXT NOT NULL,
    state   TEXT NOT NULL,
    writes  BIGINT NOT NULL
);

INSERT INTO order_totals (id, act, state, writes)
SELECT act || '/' || state, act, state, COUNT(*) FROM orders WHERE state IN ('placed', 'rejected', 'not_placed') GROUP BY act, state;

-- Changes that are not in the totals yet: changes of orders would wait for each
-- other at a total.
CREATE TABLE order_changes (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    act     TEXT NOT NULL,
    state   TEXT NOT NULL,
    writes  BIGINT NOT NULL
);

CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_changes (act, state, writes)
    SELECT act, state, writes
    FROM (VALUES (OLD.act, OLD.state, -1), (NEW.act, NEW.state, 1)) AS changed (act, state, writes)
    WHERE state IN ('placed', 'rejected', 'not_placed');
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_counted AFTER UPDATE OF state ON orders FOR EACH ROW
WHEN (NEW.state <> OLD.state
    AND (OLD.state IN ('placed', 'rejected', 'not_placed') OR NEW.state IN ('placed', 'rejected', 'not_placed')))
EXECUTE FUNCTION count_change();

CREATE FUNCTION count_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_changes (act, state, writes)
    SELECT act, state, -COUNT(*) FROM forgotten WHERE state IN ('placed', 'rejected', 'not_placed') GROUP BY act, state;
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_forgotten AFTER DELETE ON orders REFERENCING OLD TABLE AS forgotten
FOR EACH STATEMENT EXECUTE FUNCTION count_forgotten();

-- Adds the changes to the totals. Two at once take different ones.
CREATE FUNCTION total_changes() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    totalled  BIGINT;
BEGIN
    WITH changes AS (
        DELETE FROM order_changes WHERE id IN (SELECT id FROM order_changes FOR UPDATE SKIP LOCKED)
        RETURNING act, state, writes
    )
    INSERT INTO order_totals AS total (id, act, state, writes)
    SELECT act || '/' || state, act, state, SUM(writes) FROM changes GROUP BY act, state ORDER BY 1
    ON CONFLICT (id) DO UPDATE SET writes = total.writes + EXCLUDED.writes;
    GET DIAGNOSTICS totalled = ROW_COUNT;
    RETURN totalled;
END
$$;
