-- What an order needs so that the provider's word counts however late it
-- comes. Kept in step with migrations/sqlite/0004_late_evidence.sql.
--
-- Instants are microseconds since 1970-01-01 UTC, spans are microseconds. A
-- file that was released is never edited: its checksum is in every database.

-- JSON list of the subscriptions that were on the SIM before the first
-- attempt; absent where that is `baseline` itself.
ALTER TABLE orders ADD COLUMN first_baseline TEXT;

-- The process that carries the attempt out.
ALTER TABLE orders ADD COLUMN owner TEXT COLLATE "C";

-- When somebody last looked what became of the order.
ALTER TABLE orders ADD COLUMN checked_at BIGINT;

-- For how long, by the clocks of those who looked, nothing of it has shown.
ALTER TABLE orders ADD COLUMN absent_for BIGINT NOT NULL DEFAULT 0;

-- For how long it has been looked for in its state.
ALTER TABLE orders ADD COLUMN watched_for BIGINT NOT NULL DEFAULT 0;

-- Until when time has certainly passed. What is deleted for its age is
-- counted from here, because a clock may be wrong by months.
ALTER TABLE event_log ADD COLUMN aged_until BIGINT;
