//! Finds a connection pooler that shares the sessions of PostgreSQL.
//!
//! Behind one, what a connection sets for its session (that a commit is on
//! disk, timeouts), prepared statements, notifications and the lock of
//! migrations belong to the next client. It looks like PostgreSQL until two
//! clients meet, so that is what is tried here.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use uuid::Uuid;

use super::connect::Session;
use super::servers::Servers;

const MARK: &str = "transatel_gateway.session";

/// Whether two connections share a session: what one sets for its own is seen
/// by the other, or is gone while the other is in a transaction. Only simple
/// statements: a prepared one could collide with another client's.
pub(super) async fn shares_sessions(servers: &Servers, within: Duration) -> sqlx::Result<bool> {
    let mut one = servers.connect(within, Session::AsItIs).await?;
    let mut other = servers.connect(within, Session::AsItIs).await?;
    let own = Uuid::new_v4().simple().to_string();
    let set = format!("SELECT set_config('{MARK}', '{own}', false)");
    one.execute(AssertSqlSafe(set)).await?;
    let shared = async {
        if mark(&mut other).await? == own {
            return Ok(true);
        }
        other.execute("BEGIN").await?;
        Ok::<bool, sqlx::Error>(mark(&mut one).await? != own)
    };
    let shared = shared.await;
    // It would not matter if they were only dropped.
    let _ = one.close().await;
    let _ = other.close().await;
    shared
}

async fn mark(connection: &mut PgConnection) -> sqlx::Result<String> {
    let read = format!("SELECT coalesce(current_setting('{MARK}', true), '')");
    connection.fetch_one(AssertSqlSafe(read)).await?.try_get(0)
}
