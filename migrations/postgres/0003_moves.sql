-- Moves of everything that is kept here to another database, or from one.
-- Kept in step with migrations/sqlite/0003_moves.sql.
--
-- Instants are microseconds since 1970-01-01 UTC. A file that was released is
-- never edited: its checksum is in every database.

CREATE TABLE moves (
    -- The same on both sides.
    id         TEXT COLLATE "C" PRIMARY KEY,
    direction  TEXT NOT NULL CHECK (direction IN ('to', 'from')),
    -- Address of the other side, without its password.
    other      TEXT NOT NULL,
    -- Name of the other side's log of events when the move began: it tells
    -- that database from any other.
    other_log  TEXT NOT NULL,
    begun_at   BIGINT NOT NULL,
    -- Absent for as long as the other side may hold nothing.
    ended_at   BIGINT
);

-- A ledger goes to one place.
CREATE UNIQUE INDEX moves_one_to ON moves (direction) WHERE direction = 'to';
