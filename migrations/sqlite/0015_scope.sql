-- What callers need that see only what they requested themselves. Kept in step with
-- migrations/postgres/0015_scope.sql. A file that was released is never edited: its
-- checksum is in every database.
--
-- It reads all orders once, as 0009_scale.sql does.

-- Of one caller, newest first: orders of a product, and operations on SIMs, which
-- have none.
CREATE INDEX orders_of_caller_and_product ON orders (caller, product_id, id) WHERE caller IS NOT NULL;

-- Orders of one caller by rarer kinds and states, as in 0009_scale.sql.
CREATE INDEX orders_of_caller_and_kind ON orders (caller, act, id) WHERE act <> 'buy' AND caller IS NOT NULL;
CREATE INDEX orders_of_caller_in_state ON orders (caller, state, id)
    WHERE product_id <> '' AND state <> 'placed' AND caller IS NOT NULL;

-- Operations on SIMs of one caller by state.
CREATE INDEX operations_of_caller_in_state ON orders (caller, state, id) WHERE product_id = '' AND caller IS NOT NULL;
