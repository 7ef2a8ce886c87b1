//! How durable a commit is, for operators. Changes nothing and creates no file.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, SqlStr};

use super::postgres::{Servers, Session};
use super::row::{self, values};
use super::session::Session as _;
use crate::config;
use crate::config::{PostgresAddress, StoreUrl};

/// Time limit of the check.
const WITHIN: Duration = Duration::from_secs(5);

/// From this difference of clocks on it is named.
const CLOCK_NOTICED: SignedDuration = SignedDuration::from_secs(3);

/// A role that may not see the state of other sessions sees that there are
/// some, but not whether they are synchronous.
const REPLICATION: SqlStr = SqlStr::from_static(
    "SELECT current_setting('synchronous_commit') AS commit, \
     current_setting('synchronous_standby_names') AS names, COUNT(*) AS standbys, \
     COUNT(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS synchronous, \
     COUNT(sync_state) AS known, current_setting('server_version') AS version, \
     CAST(CASE WHEN has_schema_privilege(current_schema(), 'CREATE') THEN 1 ELSE 0 END AS BIGINT) AS creates, \
     CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS clock FROM pg_stat_replication",
);

/// Describes what happens to a committed order when the database is lost.
pub async fn durability(config: &config::Store) -> String {
    let query = async {
        match &config.url {
            StoreUrl::Memory => Ok("SQLite in memory: every order is forgotten with the process".to_owned()),
            StoreUrl::File(path) if !path.exists() => Ok("SQLite, a file that does not exist yet".to_owned()),
            StoreUrl::File(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                sqlite(&options).await
            }
            StoreUrl::Postgres(address) => postgres(address).await,
        }
    };
    let answer = tokio::time::timeout(WITHIN, query).await;
    match answer {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("cannot be asked: {}", super::Error::from(error)),
        Err(_) => "cannot be asked: no answer in time".to_owned(),
    }
}

async fn sqlite(options: &SqliteConnectOptions) -> sqlx::Result<String> {
    let mut connection: SqliteConnection = options.connect().await?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(format!(
        "SQLite, journal_mode {mode}, synchronous full (set by the gateway): a commit is on this machine's disk, \
         and nowhere else"
    ))
}

async fn postgres(address: &PostgresAddress) -> sqlx::Result<String> {
    let servers = Servers::new(address, |options| options)?;
    let mut connection = servers.connect(WITHIN, Session::AsItIs).await?;
    let before = Timestamp::now();
    let found = connection.row(REPLICATION, values![]).await?;
    let after = Timestamp::now();
    connection.close().await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    let number = |column| row::number(&found, column);
    let clock =
        Timestamp::from_millisecond(number("clock")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(description(&Replication {
        version: row::text(&found, "version")?,
        path: path(address).await,
        creates: number("creates")? == 1,
        // What is certain of the difference.
        ahead: clock
            .duration_since(after)
            .max(before.duration_since(clock))
            .max(SignedDuration::ZERO),
        commit: row::text(&found, "commit")?,
        names: row::text(&found, "names")?,
        standbys: number("standbys")?,
        synchronous: number("synchronous")?,
        known: number("known")?,
    }))
}

/// Whether the server itself answers, or a pooler in front of it: what a
/// connection sets as it begins reaches a server, and no pooler passes on a
/// setting that it does not know.
async fn path(address: &PostgresAddress) -> Path {
    let probe = async {
        let servers = Servers::new(address, |options| options.options([(PROBE, "1")]))?;
        let mut connection = servers.connect(WITHIN, Session::AsItIs).await?;
        let found = connection.row(PROBED, values![]).await?;
        connection.close().await?;
        let found = found.ok_or(sqlx::Error::RowNotFound)?;
        row::text(&found, "probed")
    };
    match probe.await {
        Ok(probed) if probed == "1" => Path::Direct,
        Ok(_) => Path::Pooled,
        // The second when it gives the statements of a connection to several servers.
        Err(error)
            if ["startup parameter", "prepared statement"]
                .iter()
                .any(|said| error.to_string().contains(said)) =>
        {
            Path::Pooled
        }
        Err(_) => Path::Unknown,
    }
}

const PROBE: &str = "transatel_gateway.probe";
const PROBED: SqlStr =
    SqlStr::from_static("SELECT COALESCE(current_setting('transatel_gateway.probe', true), '') AS probed");

/// What is between the gateway and the server.
enum Path {
    Direct,
    Pooled,
    Unknown,
}

struct Replication {
    version: String,
    path: Path,
    creates: bool,
    ahead: SignedDuration,
    commit: String,
    names: String,
    standbys: i64,
    synchronous: i64,
    known: i64,
}

fn description(found: &Replication) -> String {
    let Replication { commit, names, .. } = found;
    let commit = match commit.as_str() {
        "off" => "on (set by the gateway, off in the database)",
        other => other,
    };
    let connected = match (found.standbys, found.known) {
        (0, _) => "no standby is connected".to_owned(),
        (standbys, 0) => format!("{standbys} standbys are connected, whose state this user may not see"),
        (standbys, _) => format!(
            "{standbys} standbys are connected, {} of them synchronous",
            found.synchronous
        ),
    };
    let consequence = if names.is_empty() {
        "no synchronous standby: a failover can lose orders that were sent; ".to_owned()
    } else if commit == "local" {
        format!(
            "synchronous_standby_names {names:?}, and commits do not wait for them: a failover can lose orders that were sent; "
        )
    } else {
        format!("synchronous_standby_names {names:?}: a failover to one of them loses no order; ")
    };
    let path = match found.path {
        Path::Direct => "",
        Path::Pooled => ", through a pooler such as PgBouncer",
        Path::Unknown => ", perhaps through a pooler",
    };
    let creates = match found.creates {
        true => "this user may create tables, as an upgrade does",
        false => {
            "this user may not create tables: a start that has to, such as the first one and some upgrades, fails"
        }
    };
    let clock = match found.ahead >= CLOCK_NOTICED {
        true => format!(
            "; its clock and this machine's differ by {} s",
            found.ahead.as_secs()
        ),
        false => String::new(),
    };
    let version = &found.version;
    format!(
        "PostgreSQL {version}{path}, synchronous_commit {commit}, {consequence}{connected}; {creates}{clock}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_a_failover_can_lose() {
        let found = |commit: &str, names: &str, standbys, known, synchronous| {
            description(&Replication {
                version: "15.1".into(),
                path: Path::Direct,
                creates: true,
                ahead: SignedDuration::ZERO,
                commit: commit.into(),
                names: names.into(),
                standbys,
                synchronous,
                known,
            })
        };
        for (text, parts) in [
            (
                found("on", "", 0, 0, 0),
                [
                    "synchronous_commit on, no synchronous standby",
                    "no standby is connected",
                ],
            ),
            (
                found("off", "", 2, 2, 0),
                [
                    "on (set by the gateway",
                    "2 standbys are connected, 0 of them synchronous",
                ],
            ),
            (
                found("on", "ANY 1 (a, b)", 2, 2, 1),
                [
                    "loses no order",
                    "2 standbys are connected, 1 of them synchronous",
                ],
            ),
            (
                found("local", "a", 1, 0, 0),
                ["commits do not wait for them", "may not see"],
            ),
        ] {
            for part in parts {
                assert!(text.contains(part), "{part} not in {text}");
            }
        }
    }
}
