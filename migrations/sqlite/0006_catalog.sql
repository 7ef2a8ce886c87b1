-- The history of the catalog. Kept in step with
-- migrations/postgres/0006_catalog.sql. A file that was released is never
-- edited: its checksum is in every database.
--
-- Instants are microseconds since 1970-01-01 UTC.

-- The versions of the catalog that were read, one row each.
CREATE TABLE catalog_versions (
    -- In the order of commits, of all languages together.
    sequence      INTEGER PRIMARY KEY CHECK (sequence >= 1),
    language      TEXT NOT NULL,
    version       TEXT NOT NULL,
    seen_at       INTEGER NOT NULL,
    -- When the language was last read, a day exactly.
    confirmed_at  INTEGER NOT NULL,
    -- JSON list of what changed since the version before it in its language.
    changes       TEXT NOT NULL,
    -- JSON list of the products that have been on sale; only of the newest
    -- version of a language.
    known         TEXT
) STRICT;

CREATE INDEX catalog_versions_of_language ON catalog_versions (language, sequence);
