-- What lists of orders and of operations on SIMs need. Kept in step with
-- migrations/sqlite/0005_lists.sql. A file that was released is never edited:
-- its checksum is in every database.

-- Orders with a caller's reference, newest first.
CREATE INDEX orders_by_reference ON orders (reference, id) WHERE reference <> '';

-- Operations on SIMs, newest first: few among many orders.
CREATE INDEX orders_operations ON orders (id) WHERE product_id = '';
