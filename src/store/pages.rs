//! Pages of orders and of operations on SIMs, newest first. Every filter is a
//! condition of the statement.

use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::row::{self, Value};
use super::session::Session;
use super::statements::{columns, names};
use super::{Filter, OperationFilter, kind};
use crate::domain::SimRef;
use crate::domain::sim_operation::State as OperationState;
use crate::domain::write::{State, Write, WriteId};

/// A statement with its values.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    /// Of the rows of one kind, beginning after one of them.
    fn new(kind: &str, after: Option<WriteId>) -> Self {
        let mut query = Self {
            sql: format!(concat!("SELECT ", columns!(), " FROM orders WHERE {}"), kind),
            values: Vec::new(),
        };
        query.compare("id <", after);
        query
    }

    /// The place of a new value.
    fn place(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len()
    }

    fn add(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// Compares with a value, when there is one.
    fn compare(&mut self, comparison: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let place = self.place(value.into());
            self.add(&format!("{comparison} ${place}"));
        }
    }

    async fn page<S: Session>(mut self, session: &mut S, limit: i64) -> sqlx::Result<Vec<Write>> {
        let place = self.place(limit.max(0).into());
        self.sql.push_str(&format!(" ORDER BY id DESC LIMIT ${place}"));
        let sql = AssertSqlSafe(self.sql).into_sql_str();
        let rows = session.rows(sql, self.values).await?;
        rows.iter().map(|found| Ok(row::record(found)?.write)).collect()
    }
}

pub(super) async fn orders<S: Session>(
    session: &mut S,
    filter: &Filter,
    after: Option<WriteId>,
    limit: i64,
) -> sqlx::Result<Vec<Write>> {
    // Orders have a product.
    let mut query = Query::new("product_id <> ''", after);
    query.compare("msisdn =", filter.msisdn.as_ref().map(|msisdn| msisdn.as_str()));
    query.compare("created_at >=", filter.created_from);
    query.compare("created_at <", filter.created_until);
    // The first condition is that of the partial index.
    query.compare("reference <> '' AND reference =", filter.reference.as_deref());
    query.compare("product_id =", filter.product_id.as_deref());
    query.compare("act =", filter.action.map(kind::order_name));
    query.compare("caller =", filter.caller.as_deref());
    if !filter.states.is_empty() {
        let states = names(filter.states.iter().copied());
        query.add(&format!("state IN ({states})"));
    }
    query.page(session, limit).await
}

pub(super) async fn operations<S: Session>(
    session: &mut S,
    filter: &OperationFilter,
    after: Option<WriteId>,
    limit: i64,
) -> sqlx::Result<Vec<Write>> {
    // The condition of the partial index.
    let mut query = Query::new("product_id = ''", after);
    match &filter.sim {
        Some(SimRef::Iccid(iccid)) => query.compare("iccid =", Some(iccid.as_str())),
        Some(SimRef::Msisdn(msisdn)) => query.compare("msisdn =", Some(msisdn.as_str())),
        None => {}
    }
    query.compare("created_at >=", filter.created_from);
    query.compare("created_at <", filter.created_until);
    if filter.needs_operator {
        query.add(&format!(
            "state IN ({})",
            names([State::NeedsOperator].into_iter())
        ));
    }
    if !filter.states.is_empty() {
        let given_up_since = query.place(filter.given_up_since.into());
        let wanted = OperationState::ALL
            .into_iter()
            .filter(|state| filter.states.contains(state));
        let conditions: Vec<_> = wanted.map(|state| is_in(state, given_up_since)).collect();
        query.add(&format!("({})", conditions.join(" OR ")));
    }
    query.page(session, limit).await
}

/// The condition for a state, as [`SimOperation::of`] determines it.
/// `given_up_since` is the place of that value.
///
/// [`SimOperation::of`]: crate::domain::SimOperation::of
fn is_in(state: OperationState, given_up_since: usize) -> String {
    let unchanged = format!("updated_at <= ${given_up_since}");
    match state {
        OperationState::Pending => format!(
            "state = 'submitting' OR state = 'unknown' AND provider_reference IS NOT NULL AND NOT {unchanged}"
        ),
        OperationState::Unknown => format!(
            "state = 'needs_operator' OR state = 'unknown' AND (provider_reference IS NULL OR {unchanged})"
        ),
        OperationState::Succeeded => "state = 'placed'".to_owned(),
        OperationState::Failed => "state IN ('rejected', 'not_placed')".to_owned(),
    }
}
