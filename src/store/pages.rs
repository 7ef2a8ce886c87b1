//! Pages of orders and of operations on SIMs, newest first. Every filter is a
//! condition of the statement.
//!
//! A page costs what it holds, not what the ledger holds: for every filter there
//! is an index in the order of ids, also together with a caller: one that sees
//! only its own has that filter in every list. Only another combination of filters
//! may have to pass over what one of them admits and another does not.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::kind;
use super::row::{self, Value};
use super::session::Session;
use super::statements::{columns, names};
use crate::domain::sim_operation::State as OperationState;
use crate::domain::write::{OrderAction, State, Write, WriteId};
use crate::domain::{Msisdn, SimRef};

/// An id has the time of its creation. It was drawn by another clock than
/// `created_at` before the release that derives one from the other: they may
/// differ by this much.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(600);

/// Selects orders. What is absent does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this SIM.
    pub msisdn: Option<Msisdn>,
    /// In one of these states; empty for all.
    pub states: Vec<State>,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_until: Option<Timestamp>,
    /// With this reference of the caller's; not empty.
    pub reference: Option<String>,
    /// Of this product.
    pub product_id: Option<String>,
    /// That do this.
    pub action: Option<OrderAction>,
    /// That this caller requested.
    pub caller: Option<String>,
}

/// Selects operations on SIMs. What is absent does not filter.
#[derive(Clone, Debug, Default)]
pub struct OperationFilter {
    /// On this SIM, by the identifier that it had when they were requested.
    pub sim: Option<SimRef>,
    /// In one of these states; empty for all.
    pub states: Vec<OperationState>,
    /// An accepted operation that has not changed since is no longer pending.
    pub given_up_since: Timestamp,
    /// That only an operator can settle.
    pub needs_operator: bool,
    /// Created at or after.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_until: Option<Timestamp>,
    /// That this caller requested.
    pub caller: Option<String>,
}

/// A statement with its values.
struct Query {
    conditions: String,
    values: Vec<Value>,
    /// Conditions of which a row fulfils one at most; none when all rows are
    /// wanted.
    parts: Vec<String>,
}

impl Query {
    /// Of the rows of one kind, beginning after one of them.
    fn new(kind: &str, after: Option<WriteId>) -> Self {
        let mut query = Self {
            conditions: kind.to_owned(),
            values: Vec::new(),
            parts: Vec::new(),
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
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
    }

    /// Compares with a value, when there is one.
    fn compare(&mut self, comparison: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let place = self.place(value.into());
            self.add(&format!("{comparison} ${place}"));
        }
    }

    /// Created within these bounds, which bound the ids too.
    fn created(&mut self, from: Option<Timestamp>, until: Option<Timestamp>) {
        let earliest = from.and_then(|from| from.checked_sub(CLOCKS_DIFFER_BY).ok());
        let latest = until.and_then(|until| until.checked_add(CLOCKS_DIFFER_BY).ok());
        self.compare("id >=", earliest.map(WriteId::least_at));
        self.compare("id <", latest.map(WriteId::least_at));
        self.compare("created_at >=", from);
        self.compare("created_at <", until);
    }

    /// The statement. Each part is read on its own, in the order of its index: no
    /// database merges them by itself.
    fn finish(mut self, limit: i64) -> (String, Vec<Value>) {
        let place = self.place(limit.max(0).into());
        let newest = format!("ORDER BY id DESC LIMIT ${place}");
        let conditions = &self.conditions;
        let select = |part: &str| {
            let columns = columns!();
            format!("SELECT {columns} FROM orders WHERE {conditions}{part} {newest}")
        };
        let sql = match self.parts.as_slice() {
            [] => select(""),
            [part] => select(&format!(" AND {part}")),
            parts => {
                let parts = parts.iter().enumerate().map(|(number, part)| {
                    let part = select(&format!(" AND {part}"));
                    format!("SELECT * FROM ({part}) AS part_{number}")
                });
                format!("{} {newest}", parts.collect::<Vec<_>>().join(" UNION ALL "))
            }
        };
        (sql, self.values)
    }

    async fn page<S: Session>(self, session: &mut S, limit: i64) -> sqlx::Result<Vec<Write>> {
        let (sql, values) = self.finish(limit);
        let rows = session
            .rows_once(AssertSqlSafe(sql).into_sql_str(), values)
            .await?;
        rows.iter().map(|found| Ok(row::record(found)?.write)).collect()
    }
}

/// The condition for a state. Most orders are placed, and the index of states
/// leaves those out.
fn is_in(state: State) -> String {
    let unless = match state {
        State::Done => "",
        _ => "state <> 'placed' AND ",
    };
    format!("{unless}state = {}", names([state].into_iter()))
}

/// The comparison with a caller, for an index or, where another filter admits few
/// rows, for none: a caller may have most of all rows.
fn by_caller(has_few: bool) -> &'static str {
    match has_few {
        false => "caller =",
        true => "COALESCE(caller, '') =",
    }
}

/// The same of a product, of which a database may expect fewer rows than of a SIM.
fn by_product(has_few: bool) -> &'static str {
    match has_few {
        false => "product_id =",
        true => "product_id || '' =",
    }
}

pub(super) async fn orders<S: Session>(
    session: &mut S,
    filter: &Filter,
    after: Option<WriteId>,
    limit: i64,
) -> sqlx::Result<Vec<Write>> {
    of_orders(filter, after).page(session, limit).await
}

pub(super) async fn operations<S: Session>(
    session: &mut S,
    filter: &OperationFilter,
    after: Option<WriteId>,
    limit: i64,
) -> sqlx::Result<Vec<Write>> {
    of_operations(filter, after).page(session, limit).await
}

fn of_orders(filter: &Filter, after: Option<WriteId>) -> Query {
    // Orders have a product.
    let mut query = Query::new("product_id <> ''", after);
    query.compare("msisdn =", filter.msisdn.as_ref().map(|msisdn| msisdn.as_str()));
    query.created(filter.created_from, filter.created_until);
    // The first condition is that of the partial index.
    query.compare("reference <> '' AND reference =", filter.reference.as_deref());
    let has_few = filter.msisdn.is_some() || filter.reference.is_some();
    query.compare(by_product(has_few), filter.product_id.as_deref());
    // Most orders buy, and the index of kinds leaves those out.
    let kind = match filter.action {
        Some(OrderAction::Subscription(_)) => "act <> 'buy' AND act =",
        Some(OrderAction::Buy) | None => "act =",
    };
    query.compare(kind, filter.action.map(kind::order_name));
    query.compare(by_caller(has_few), filter.caller.as_deref());
    let states = { State::ALL.into_iter() }.filter(|state| filter.states.contains(state));
    query.parts = states.map(is_in).collect();
    query
}

fn of_operations(filter: &OperationFilter, after: Option<WriteId>) -> Query {
    // The condition of the partial indexes.
    let mut query = Query::new("product_id = ''", after);
    match &filter.sim {
        Some(SimRef::Iccid(iccid)) => query.compare("iccid =", Some(iccid.as_str())),
        Some(SimRef::Msisdn(msisdn)) => query.compare("msisdn =", Some(msisdn.as_str())),
        None => {}
    }
    query.created(filter.created_from, filter.created_until);
    query.compare(by_caller(filter.sim.is_some()), filter.caller.as_deref());
    if filter.needs_operator {
        query.add(&format!("state = {}", names([State::NeedsOperator].into_iter())));
    }
    if !filter.states.is_empty() {
        let given_up_since = query.place(filter.given_up_since.into());
        let wanted = OperationState::ALL
            .into_iter()
            .filter(|state| filter.states.contains(state));
        query.parts = wanted
            .flat_map(|state| operation_is_in(state, given_up_since))
            .collect();
    }
    query
}

/// The conditions for a state, as [`SimOperation::of`] determines it.
/// `given_up_since` is the place of that value.
///
/// [`SimOperation::of`]: crate::domain::SimOperation::of
fn operation_is_in(state: OperationState, given_up_since: usize) -> Vec<String> {
    let unchanged = format!("updated_at <= ${given_up_since}");
    match state {
        OperationState::Pending => vec![
            "state = 'submitting'".to_owned(),
            format!("state = 'unknown' AND provider_reference IS NOT NULL AND NOT {unchanged}"),
        ],
        OperationState::Unknown => vec![
            "state = 'needs_operator'".to_owned(),
            format!("state = 'unknown' AND (provider_reference IS NULL OR {unchanged})"),
        ],
        OperationState::Succeeded => vec!["state = 'placed'".to_owned()],
        OperationState::Failed => vec!["state = 'rejected'".to_owned(), "state = 'not_placed'".to_owned()],
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
