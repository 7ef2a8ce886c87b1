//! The statements of the history of the catalog. Both databases run them as
//! they are.

use sqlx::SqlStr;

pub(super) const NEWEST: SqlStr = SqlStr::from_static(
    "SELECT sequence, seen_at, known, CAST((SELECT COUNT(*) FROM catalog_versions AS other \
     WHERE other.language = $1 AND other.version = $2 AND other.sequence >= \
     (SELECT COALESCE(MAX(changed.sequence), 0) FROM catalog_versions AS changed \
     WHERE changed.language = $1 AND changed.changes <> '[]')) AS BIGINT) AS recorded \
     FROM catalog_versions WHERE language = $1 ORDER BY sequence DESC LIMIT 1",
);

/// `$5` is the newest version that this one was compared with. Two that are
/// appended at the same time have the same number, and the later commit is the
/// one that does nothing.
pub(super) const APPEND: SqlStr = SqlStr::from_static(
    "INSERT INTO catalog_versions (sequence, language, version, seen_at, confirmed_at, changes, known) \
     SELECT (SELECT COALESCE(MAX(sequence), 0) + 1 FROM catalog_versions), $1, $2, $3, $3, $4, $6 \
     WHERE (SELECT COALESCE(MAX(sequence), 0) FROM catalog_versions WHERE language = $1) = $5 \
     ON CONFLICT (sequence) DO NOTHING",
);

/// Only the newest version of a language is compared with.
pub(super) const DROP_KNOWN: SqlStr = SqlStr::from_static(
    "UPDATE catalog_versions SET known = NULL WHERE language = $1 AND known IS NOT NULL \
     AND sequence < (SELECT MAX(sequence) FROM catalog_versions WHERE language = $1)",
);

/// `$3` spares a write for every refresh.
pub(super) const CONFIRM: SqlStr = SqlStr::from_static(
    "UPDATE catalog_versions SET confirmed_at = $2 WHERE confirmed_at < $3 \
     AND sequence = (SELECT MAX(sequence) FROM catalog_versions WHERE language = $1)",
);

pub(super) const FIND_VERSION: SqlStr = SqlStr::from_static(
    "SELECT MAX(sequence) AS sequence FROM catalog_versions WHERE language = $1 AND version = $2",
);

pub(super) const FIND_TIME: SqlStr = SqlStr::from_static(
    "SELECT MAX(sequence) AS sequence FROM catalog_versions WHERE language = $1 AND seen_at <= $2",
);

pub(super) const FROM: SqlStr = SqlStr::from_static(
    "SELECT sequence, version, seen_at, changes FROM catalog_versions \
     WHERE language = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3",
);

/// All before the version that was current at `$2`.
pub(super) const FORGET_OLD: SqlStr = SqlStr::from_static(
    "DELETE FROM catalog_versions WHERE language = $1 AND sequence < \
     (SELECT MAX(sequence) FROM catalog_versions WHERE language = $1 AND sequence < \
     COALESCE((SELECT MIN(sequence) FROM catalog_versions WHERE language = $1 AND seen_at >= $2), \
     9223372036854775807))",
);

/// All but the newest `$2`.
pub(super) const FORGET_MANY: SqlStr = SqlStr::from_static(
    "DELETE FROM catalog_versions WHERE language = $1 AND sequence <= \
     (SELECT sequence FROM catalog_versions WHERE language = $1 ORDER BY sequence DESC LIMIT 1 OFFSET $2)",
);

/// Languages that were not read since `$1`, and all but the `$2` that were read
/// last.
pub(super) const FORGET_LANGUAGES: SqlStr = SqlStr::from_static(
    "DELETE FROM catalog_versions WHERE language IN \
     (SELECT language FROM catalog_versions GROUP BY language HAVING MAX(confirmed_at) < $1) \
     OR language NOT IN (SELECT language FROM catalog_versions GROUP BY language \
     ORDER BY MAX(confirmed_at) DESC, language LIMIT $2)",
);
