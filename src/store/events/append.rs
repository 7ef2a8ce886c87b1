//! A batch of arrivals as one statement takes it: the events as one JSON text,
//! and what could not be read as another.
//!
//! PostgreSQL does it in one statement with its own transaction, so that no
//! lock is held while a process that may freeze has to send the next one: the
//! function `append_events` of migration `0018_events_without_a_caller.sql`. SQLite,
//! whose file has a single writing process, takes a statement per table.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};
use sqlx::SqlStr;
use uuid::Uuid;

use super::{Appended, Arrival, row};
use crate::store::row::{self as cells, Cells, Value, values};
use crate::store::session::Session;

/// The columns of a new event except its number.
macro_rules! columns {
    () => {
        "event_id, type, occurred_at, received_at, iccid, msisdn, subscription_id, product_id, \
         transaction_id, infrastructure, body, details, order_id, operation_id, request_id, caller, reference"
    };
}

/// What goes there; members are named in `row::MEMBERS`. The reference counts
/// when it is an order's, and the transaction when it is an operation's: the event is
/// the caller's who requested that, and no caller's when it was requested without a
/// name. Without either it is the caller's who bought the subscription, or who alone
/// has bought for the SIM.
macro_rules! event {
    () => {
        concat!(
            "value ->> 'event_id', value ->> 'type', CAST(value ->> 'occurred_at' AS BIGINT), \
             CAST(value ->> 'received_at' AS BIGINT), value ->> 'iccid', value ->> 'msisdn', \
             value ->> 'subscription_id', value ->> 'product_id', value ->> 'transaction_id', \
             CAST(value ->> 'infrastructure' AS BIGINT), value ->> 'body', value ->> 'details', ",
            of_order!("id"),
            ", ",
            of_operation!("id"),
            ", COALESCE(",
            of_order!("request_id"),
            ", ",
            of_operation!("request_id"),
            "), CASE WHEN ",
            of_order!("id"),
            " IS NOT NULL THEN ",
            of_order!("caller"),
            " WHEN ",
            of_operation!("id"),
            " IS NOT NULL THEN ",
            of_operation!("caller"),
            " ELSE COALESCE(",
            of_subscription!(),
            ", ",
            of_sim!(),
            ") END, NULLIF(",
            of_order!("reference"),
            ", '')"
        )
    };
}

/// A column of the order that an event names.
macro_rules! of_order {
    ($column:literal) => {
        concat!(
            "(SELECT ",
            $column,
            " FROM orders WHERE id = value ->> 'reference')"
        )
    };
}

/// A column of the operation that an event names, in the index
/// `orders_by_transaction`.
macro_rules! of_operation {
    ($column:literal) => {
        concat!(
            "(SELECT ",
            $column,
            " FROM orders WHERE provider_reference = value ->> 'transaction_id' AND product_id = '' \
             ORDER BY id DESC LIMIT 1)"
        )
    };
}

/// The caller that bought the subscription that an event is about, in the index
/// `orders_one_per_subscription`.
macro_rules! of_subscription {
    () => {
        "(SELECT caller FROM orders WHERE msisdn = value ->> 'msisdn' \
         AND subscription_id = value ->> 'subscription_id')"
    };
}

/// The caller of all purchases, of the newest hundred at most, for the SIM that an
/// event is about, in the index
/// `orders_of_sim`; one that is named by its card alone is found in the stock. A SIM
/// for which several have bought is nobody's.
macro_rules! of_sim {
    () => {
        "(SELECT CASE WHEN COUNT(*) = COUNT(caller) AND MIN(caller) = MAX(caller) THEN MIN(caller) END \
         FROM (SELECT caller FROM orders WHERE msisdn = COALESCE(value ->> 'msisdn', \
         (SELECT msisdn FROM stock WHERE card = value ->> 'card')) AND act = 'buy' \
         AND state NOT IN ('rejected', 'not_placed') ORDER BY id DESC LIMIT 100) AS bought)"
    };
}

/// The events that are not in the log, numbered from 1.
macro_rules! fresh {
    () => {
        "SELECT value, ROW_NUMBER() OVER (ORDER BY CAST(key AS BIGINT)) AS turn FROM json_each($1) \
         WHERE (SELECT sequence FROM events WHERE event_id = value ->> 'event_id') IS NULL"
    };
}

/// `$1` the events, `$2` what could not be read. A row for each new event.
/// PostgreSQL only.
pub(in crate::store) const IN_ONE_STATEMENT: SqlStr = SqlStr::from_static(
    "SELECT new_sequence AS sequence, new_event_id AS event_id, new_order_id AS order_id \
     FROM append_events(CAST($1 AS jsonb), CAST($2 AS jsonb))",
);

const INSERT: SqlStr = SqlStr::from_static(concat!(
    "INSERT INTO events (sequence, ",
    columns!(),
    ") SELECT (SELECT last_sequence FROM event_log) + turn, ",
    event!(),
    " FROM (",
    fresh!(),
    ") RETURNING sequence, event_id, order_id"
));

const ADVANCE: SqlStr = SqlStr::from_static("UPDATE event_log SET last_sequence = last_sequence + $1");

const INSERT_UNREADABLE: SqlStr = SqlStr::from_static(
    "INSERT INTO unreadable_events (id, received_at, reason, body_base64) \
     SELECT value ->> 'id', CAST(value ->> 'received_at' AS BIGINT), value ->> 'reason', \
     value ->> 'body_base64' FROM json_each($1)",
);

/// A batch, written out.
pub(in crate::store) struct Batch {
    elements: Vec<Element>,
    events: Map<String, Json>,
    unreadable: Map<String, Json>,
}

/// An element of the batch.
enum Element {
    /// The first event with this id.
    Event(String),
    /// An event whose id occurs earlier in the batch.
    Again,
    Unreadable,
}

impl Batch {
    pub(in crate::store) fn of(arrivals: &[Arrival]) -> Self {
        let mut batch = Self {
            elements: Vec::with_capacity(arrivals.len()),
            events: Map::new(),
            unreadable: Map::new(),
        };
        let mut ids = HashSet::new();
        for arrival in arrivals {
            let key = batch.elements.len().to_string();
            batch.elements.push(match arrival {
                Arrival::Event(incoming) => {
                    // As it is stored.
                    let id = cells::storable(&incoming.event.id);
                    if ids.insert(id.clone()) {
                        let members = row::MEMBERS.into_iter().zip(row::new_row(incoming));
                        batch.events.insert(key, object(members));
                        Element::Event(id)
                    } else {
                        Element::Again
                    }
                }
                Arrival::Unreadable {
                    body,
                    reason,
                    received_at,
                } => {
                    let id = Uuid::now_v7().to_string();
                    let body = STANDARD.encode(body);
                    let names = ["id", "received_at", "reason", "body_base64"];
                    let values = values![id.as_str(), *received_at, *reason, body.as_str()];
                    batch
                        .unreadable
                        .insert(key, object(names.into_iter().zip(values)));
                    Element::Unreadable
                }
            });
        }
        batch
    }

    /// The values of [`IN_ONE_STATEMENT`].
    pub(in crate::store) fn values(&self) -> sqlx::Result<Vec<Value>> {
        Ok(values![
            json(&self.events)?.as_str(),
            json(&self.unreadable)?.as_str()
        ])
    }

    /// What became of each element, by the rows of the events that were new.
    pub(in crate::store) fn answers(&self, rows: &[impl Cells]) -> sqlx::Result<Vec<Appended>> {
        let mut new: HashMap<String, Appended> = HashMap::new();
        for row in rows {
            if let Some(sequence) = row.number("sequence")? {
                let appended = Appended::New {
                    sequence: u64::try_from(sequence).map_err(|_| cells::unusable("sequence"))?,
                    order_id: cells::optional_id(row, "order_id")?,
                };
                new.insert(cells::text(row, "event_id")?, appended);
            }
        }
        let answer = |element: &Element| match element {
            Element::Event(id) => new.get(id).copied().unwrap_or(Appended::Known),
            Element::Again => Appended::Known,
            Element::Unreadable => Appended::Apart,
        };
        Ok(self.elements.iter().map(answer).collect())
    }
}

/// Appends in the caller's transaction, in which there is no other writer.
pub(in crate::store) async fn append<S: Session>(
    session: &mut S,
    arrivals: &[Arrival],
) -> sqlx::Result<Vec<Appended>> {
    let batch = Batch::of(arrivals);
    let rows = session
        .rows(INSERT, values![json(&batch.events)?.as_str()])
        .await?;
    if !rows.is_empty() {
        let new = i64::try_from(rows.len()).map_err(|_| cells::unusable("sequence"))?;
        session.execute(ADVANCE, values![new]).await?;
    }
    if !batch.unreadable.is_empty() {
        let values = values![json(&batch.unreadable)?.as_str()];
        session.execute(INSERT_UNREADABLE, values).await?;
    }
    batch.answers(&rows)
}

fn object<'a>(members: impl Iterator<Item = (&'a str, Value)>) -> Json {
    let value = |value| match value {
        Value::Text(text) => text.map_or(Json::Null, Json::String),
        Value::Number(number) => number.map_or(Json::Null, Json::from),
    };
    Json::Object(
        members
            .map(|(name, member)| (name.to_owned(), value(member)))
            .collect(),
    )
}

fn json(members: &Map<String, Json>) -> sqlx::Result<String> {
    serde_json::to_string(members).map_err(|error| sqlx::Error::Encode(error.into()))
}
