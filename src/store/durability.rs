//! How durable a commit is, for operators. Changes nothing and creates no file.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, SqlStr};

use super::postgres::{Servers, Session};
use super::row::{self, values};
use super::session::Session as _;
use crate::config;
use crate::config::{PostgresAddress, StoreUrl};

/// Time limit of the check.
const WITHIN: Duration = Duration::from_secs(5);

/// A role that may not see the state of other sessions sees that there are
/// some, but not whether they are synchronous.
const REPLICATION: SqlStr = SqlStr::from_static(
    "SELECT current_setting('synchronous_commit') AS commit, \
     current_setting('synchronous_standby_names') AS names, COUNT(*) AS standbys, \
     COUNT(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS synchronous, \
     COUNT(sync_state) AS known FROM pg_stat_replication",
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
    let found = connection.row(REPLICATION, values![]).await?;
    connection.close().await?;
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    let number = |column| row::number(&found, column);
    Ok(description(&Replication {
        commit: row::text(&found, "commit")?,
        names: row::text(&found, "names")?,
        standbys: number("standbys")?,
        synchronous: number("synchronous")?,
        known: number("known")?,
    }))
}

struct Replication {
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
    format!("PostgreSQL, synchronous_commit {commit}, {consequence}{connected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_a_failover_can_lose() {
        let found = |commit: &str, names: &str, standbys, known, synchronous| {
            description(&Replication {
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
