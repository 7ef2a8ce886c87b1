-- How an order was sent. Kept in step with
-- migrations/sqlite/0008_activation_used.sql. A file that was released is never
-- edited: its checksum is in every database.

-- How the latest attempt was sent, or was about to be; absent where it is not a
-- purchase, and of orders that are older than this column.
ALTER TABLE orders ADD COLUMN activation_used TEXT
    CHECK (activation_used IN ('on_first_use', 'immediate'));
