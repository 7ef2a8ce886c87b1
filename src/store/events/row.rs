//! An event as a row.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Incoming, Logged, details};
use crate::domain::event::{Details, Event, Origin};
use crate::domain::opaque::{DEEPEST, Opaque};
use crate::domain::write::{RequestId, WriteId};
use crate::domain::{Iccid, Msisdn, SimIds};
use crate::store::row::{self, Cells, Value, values};

/// The members of an event that is appended, in the order of [`new_row`].
pub(super) const MEMBERS: [&str; 14] = [
    "event_id",
    "type",
    "occurred_at",
    "received_at",
    "iccid",
    "msisdn",
    "subscription_id",
    "product_id",
    "transaction_id",
    "infrastructure",
    "body",
    "details",
    "reference",
    "card",
];

/// The values of a new row.
pub(super) fn new_row(incoming: &Incoming) -> Vec<Value> {
    let event = &incoming.event;
    let reference = event.order_id.map(|id| id.to_string());
    values![
        event.id.as_str(),
        event.raw_type.as_str(),
        event.occurred_at,
        event.received_at,
        event.sim.iccid.as_ref().map(Iccid::as_str),
        event.sim.msisdn.as_ref().map(Msisdn::as_str),
        event.subscription_id.as_deref(),
        event.product_id.as_deref(),
        event.transaction_id.as_deref(),
        i64::from(event.infrastructure),
        incoming.body.as_str(),
        details::write(&event.details).as_deref(),
        reference.as_deref(),
        // Not kept: it finds the SIM in the stock.
        event.sim.iccid.as_ref().map(Iccid::card),
    ]
}

/// A row as an event. The value of a column that cannot be read is absent: one
/// damaged row must not block the rows after it.
///
/// # Errors
/// When its position is not known.
pub(super) fn logged(row: &impl Cells) -> sqlx::Result<Logged> {
    let sequence = row::number(row, "sequence")?;
    let sequence = u64::try_from(sequence).map_err(|_| row::unusable("sequence"))?;
    let mut damaged = Damaged::default();
    let body = damaged.part("body", row::text(row, "body"));
    let body = body.and_then(|body| damaged.part("body", read_body(&body)));
    let details = damaged.member("details", row.text("details"));
    let details = details.and_then(|text| damaged.part("details", details::read(&text)));
    let event = Event {
        details: details.unwrap_or_default(),
        ..columns(row, &mut damaged)
    };
    Ok(Logged {
        sequence,
        event,
        attributes: body.map_or(Opaque::Object(Vec::new()), |body| opaque(body, DEEPEST)),
        damaged: damaged.0,
    })
}

/// The columns of a row without its body and details; what cannot be read is
/// absent.
pub(super) fn event(row: &impl Cells) -> Event {
    columns(row, &mut Damaged::default())
}

fn columns(row: &impl Cells, damaged: &mut Damaged) -> Event {
    let received_at = damaged.part("received_at", row::time(row, "received_at"));
    let flag = |damaged: &mut Damaged, column| {
        damaged
            .part(column, row::number(row, column))
            .is_some_and(|flag| flag != 0)
    };
    Event {
        origin: match flag(damaged, "by_gateway") {
            true => Origin::Gateway,
            false => Origin::Provider,
        },
        infrastructure: flag(damaged, "infrastructure"),
        id: damaged
            .part("event_id", row::text(row, "event_id"))
            .unwrap_or_default(),
        raw_type: damaged.part("type", row::text(row, "type")).unwrap_or_default(),
        occurred_at: damaged.member("occurred_at", row::time(row, "occurred_at")),
        received_at: received_at.flatten().unwrap_or(Timestamp::UNIX_EPOCH),
        sim: SimIds {
            iccid: damaged.member("iccid", row::parsed(row, "iccid", Iccid::parse)),
            msisdn: damaged.member("msisdn", row::parsed(row, "msisdn", Msisdn::parse)),
        },
        subscription_id: damaged.member("subscription_id", row.text("subscription_id")),
        product_id: damaged.member("product_id", row.text("product_id")),
        order_id: damaged.member("order_id", row::parsed(row, "order_id", WriteId::parse)),
        operation_id: damaged.member("operation_id", row::parsed(row, "operation_id", WriteId::parse)),
        request_id: damaged.member("request_id", row::parsed(row, "request_id", RequestId::parse)),
        caller: damaged.member("caller", row.text("caller")),
        reference: damaged.member("reference", row.text("reference")),
        transaction_id: damaged.member("transaction_id", row.text("transaction_id")),
        details: Details::default(),
    }
}

fn read_body(body: &str) -> sqlx::Result<Json> {
    serde_json::from_str(body).map_err(|_| row::unusable("body"))
}

/// Columns of a row that could not be read.
#[derive(Default)]
struct Damaged(Vec<&'static str>);

impl Damaged {
    fn part<T>(&mut self, column: &'static str, read: sqlx::Result<T>) -> Option<T> {
        if read.is_err() {
            self.0.push(column);
        }
        read.ok()
    }

    /// Reads a nullable column.
    fn member<T>(&mut self, column: &'static str, read: sqlx::Result<Option<T>>) -> Option<T> {
        self.part(column, read).flatten()
    }
}

/// A position in the log as the databases count.
pub(super) fn number(sequence: u64) -> sqlx::Result<i64> {
    i64::try_from(sequence).map_err(|_| row::unusable("sequence"))
}

/// Below this magnitude a float holds every integer.
const EXACT: u64 = 1 << 53;

/// What is nested deeper than this many levels becomes null.
fn opaque(value: Json, levels: u32) -> Opaque {
    let Some(levels) = levels.checked_sub(1) else {
        return Opaque::Null;
    };
    match value {
        Json::Null => Opaque::Null,
        Json::Bool(value) => Opaque::Bool(value),
        Json::Number(number) => {
            let whole = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            let exact = number
                .as_f64()
                .filter(|_| whole.is_none_or(|whole| whole <= EXACT));
            exact.map_or_else(|| Opaque::Text(number.to_string()), Opaque::Number)
        }
        Json::String(text) => Opaque::Text(text),
        Json::Array(items) => Opaque::List(items.into_iter().map(|item| opaque(item, levels)).collect()),
        Json::Object(members) => Opaque::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, opaque(value, levels)))
                .collect(),
        ),
    }
}
