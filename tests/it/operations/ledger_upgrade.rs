//! A ledger whose tables a newer gateway has made: usable as long as each newer
//! migration says so, because old replicas live through a rollout.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqliteConnection};
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::Clock;
use transatel_gateway::store;

use crate::support::postgres;

/// Why a ledger cannot be opened; `None` when it can.
async fn refusal(url: &str) -> Option<String> {
    let config = Store {
        url: StoreUrl::parse(url).unwrap(),
        connections: 2,
        operation_timeout: postgres::OPERATION_TIMEOUT,
    };
    let opened = store::open(&config, Clock::system()).await;
    opened.err().map(|error| error.to_string())
}

macro_rules! newer_migrations {
    ($connection:ty, $url:expr, $address:expr, $checksum:literal) => {{
        let (url, address): (String, String) = ($url, $address);
        assert_eq!(refusal(&url).await, None);
        let mut database = <$connection>::connect(&address).await.unwrap();
        let newest = "SELECT MAX(version) FROM _sqlx_migrations";
        let newest: i64 = database.fetch_one(newest).await.unwrap().get(0);
        let mut migrate = async |version: i64, name: String| {
            let insert = format!(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES ({version}, '{name}', TRUE, {}, 0)",
                $checksum
            );
            database.execute(AssertSqlSafe(insert)).await.unwrap();
        };
        // Adds something; and takes away what only older ones use.
        migrate(newest + 1, format!("more (readable from {newest})")).await;
        migrate(newest + 2, format!("less (readable from {})", newest - 1)).await;
        assert_eq!(refusal(&url).await, None);
        // Takes away what this one uses.
        migrate(newest + 3, format!("less (readable from {})", newest + 1)).await;
        let text = refusal(&url).await.expect("it is opened");
        let named = format!("made by a newer gateway (migration {} ", newest + 3);
        assert!(text.contains(&named), "{text}");
        // One that says nothing.
        migrate(newest + 4, "other".into()).await;
        let delete = format!("DELETE FROM _sqlx_migrations WHERE version = {}", newest + 3);
        database.execute(AssertSqlSafe(delete)).await.unwrap();
        let text = refusal(&url).await.expect("it is opened");
        let named = format!("made by a newer gateway (migration {} ", newest + 4);
        assert!(text.contains(&named), "{text}");
    }};
}

#[tokio::test]
async fn a_newer_file_is_used_when_every_newer_migration_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db").display().to_string();
    newer_migrations!(
        SqliteConnection,
        format!("sqlite://{path}"),
        format!("sqlite://{path}"),
        "X'00'"
    );
}

#[tokio::test]
async fn a_newer_database_is_used_when_every_newer_migration_allows_it() {
    let Some(address) = postgres::database().await else {
        return;
    };
    newer_migrations!(PgConnection, address.clone(), address, "'\\x00'");
}
