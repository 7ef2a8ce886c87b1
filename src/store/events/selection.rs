//! Events by what they are about: conditions of a statement, so that those that
//! are not wanted are neither sent nor decoded.

use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::{Logged, row, statements};
use crate::domain::event::EventType;
use crate::store::row::{Value, values};
use crate::store::session::Session;

/// Selects events: those that fit every member. An empty list does not filter.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// With one of these names as their type, or with one that is not known
    /// when `other_types` is set.
    pub raw_types: Vec<String>,
    /// Also those whose type is not known.
    pub other_types: bool,
    /// About one of these cards, or one of `msisdns`.
    pub iccids: Vec<String>,
    /// About one of these numbers, or one of `iccids`.
    pub msisdns: Vec<String>,
    /// Of one of these requests.
    pub request_ids: Vec<String>,
    /// About one of these subscriptions.
    pub subscription_ids: Vec<String>,
    /// Of what this caller requested.
    pub caller: Option<String>,
    /// Includes those about the provider's own infrastructure.
    pub include_infrastructure: bool,
}

/// A statement with its values.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    /// The places of new values, as a list.
    fn list<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) -> String {
        let places: Vec<String> = { values.into_iter() }
            .map(|value| {
                self.values.push(value.into());
                format!("${}", self.values.len())
            })
            .collect();
        places.join(", ")
    }

    /// One of the conditions has to hold, if there are any.
    fn any_of(&mut self, conditions: &[String]) {
        if !conditions.is_empty() {
            self.sql.push_str(&format!(" AND ({})", conditions.join(" OR ")));
        }
    }

    /// The condition that a column has one of these values, if there are any.
    fn is_one_of(&mut self, column: &str, values: &[String]) -> Option<String> {
        let places = self.list(values.iter().map(String::as_str));
        (!values.is_empty()).then(|| format!("{column} IN ({places})"))
    }
}

pub(in crate::store) async fn read<S: Session>(
    session: &mut S,
    selection: &Selection,
    after: u64,
    until: u64,
    limit: u32,
) -> sqlx::Result<Vec<Logged>> {
    let mut query = Query {
        sql: statements::SELECTED.to_owned(),
        values: values![row::number(after)?, row::number(until)?],
    };
    if !selection.include_infrastructure {
        query.sql.push_str(" AND infrastructure = 0");
    }
    let mut types: Vec<String> = query
        .is_one_of("type", &selection.raw_types)
        .into_iter()
        .collect();
    if selection.other_types {
        let known = query.list(EventType::texts());
        types.push(format!("type NOT IN ({known})"));
    }
    query.any_of(&types);
    let sims = [("iccid", &selection.iccids), ("msisdn", &selection.msisdns)];
    let sims = sims.map(|(column, values)| query.is_one_of(column, values));
    query.any_of(&sims.into_iter().flatten().collect::<Vec<_>>());
    for (column, values) in [
        ("request_id", &selection.request_ids),
        ("subscription_id", &selection.subscription_ids),
    ] {
        let condition = query.is_one_of(column, values);
        query.any_of(&condition.into_iter().collect::<Vec<_>>());
    }
    if let Some(caller) = &selection.caller {
        let place = query.list([caller.as_str()]);
        query.any_of(&[format!("caller = {place}")]);
    }
    query.values.push(i64::from(limit).into());
    let place = query.values.len();
    query.sql.push_str(&format!(" ORDER BY sequence LIMIT ${place}"));
    let sql = AssertSqlSafe(query.sql).into_sql_str();
    let rows = session.rows_once(sql, query.values).await?;
    rows.iter().map(row::logged).collect()
}
