//! An event as a row.

use serde_json::Value as Json;

use super::{Incoming, Logged};
use crate::domain::event::Event;
use crate::domain::opaque::Opaque;
use crate::domain::order::{OrderId, RequestId};
use crate::domain::{Iccid, Msisdn, SimIds};
use crate::store::row::{self, Cells, Value, values};

/// What an event that is appended says, in the order of [`new_row`].
pub(super) const MEMBERS: [&str; 12] = [
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
    "reference",
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
        reference.as_deref(),
    ]
}

/// A row as an event.
pub(super) fn logged(row: &impl Cells) -> sqlx::Result<Logged> {
    let sequence = row::number(row, "sequence")?;
    let body = row::text(row, "body")?;
    let body: Json = serde_json::from_str(&body).map_err(|_| row::unusable("body"))?;
    Ok(Logged {
        sequence: u64::try_from(sequence).map_err(|_| row::unusable("sequence"))?,
        event: event(row)?,
        attributes: opaque(body),
    })
}

/// The columns of a row that are not its body.
pub(super) fn event(row: &impl Cells) -> sqlx::Result<Event> {
    Ok(Event {
        id: row::text(row, "event_id")?,
        raw_type: row::text(row, "type")?,
        occurred_at: row::time(row, "occurred_at")?,
        received_at: row::time(row, "received_at")?.ok_or_else(|| row::unusable("received_at"))?,
        sim: SimIds {
            iccid: row::parsed(row, "iccid", Iccid::parse)?,
            msisdn: row::parsed(row, "msisdn", Msisdn::parse)?,
        },
        subscription_id: row.text("subscription_id")?,
        product_id: row.text("product_id")?,
        order_id: row::parsed(row, "order_id", OrderId::parse)?,
        request_id: row::parsed(row, "request_id", RequestId::parse)?,
        transaction_id: row.text("transaction_id")?,
        infrastructure: row::number(row, "infrastructure")? != 0,
    })
}

/// A place in the log as the databases count.
pub(super) fn number(sequence: u64) -> sqlx::Result<i64> {
    i64::try_from(sequence).map_err(|_| row::unusable("sequence"))
}

/// Below this magnitude a float holds every whole number.
const EXACT: u64 = 1 << 53;

fn opaque(value: Json) -> Opaque {
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
        Json::Array(items) => Opaque::List(items.into_iter().map(opaque).collect()),
        Json::Object(members) => Opaque::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, opaque(value)))
                .collect(),
        ),
    }
}
