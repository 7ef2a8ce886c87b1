//! A write as a row: the only place that converts one to the other.
//!
//! The columns are older than operations on SIMs: `placed` and `not_placed` in
//! `state` are `DONE` and `NOT_DONE` of every kind, `act` is the kind, and a
//! change of a SIM has an empty `product_id`.

mod list_price;

use std::time::Duration;

use jiff::Timestamp;
use sqlx::error::BoxDynError;
use uuid::Uuid;

use super::kind::{self, Stored};
use super::{Attempt, Observed, Record, SimPurchase, Slot, SlotStatus};
use crate::domain::Pool;
use crate::domain::ProviderDetail;
use crate::domain::change::SimChange;
use crate::domain::failure::{Failure, Reason};
use crate::domain::money::Currency;
use crate::domain::write::{
    Activation, FromStock, Kind, Line, Note, Purchase, PurchaseTerms, RequestId, State, SubscriptionChange,
    Write, WriteId,
};
use crate::domain::{Iccid, Money, Msisdn};

pub(super) use list_price::columns as list_price_columns;

/// A value of a row: every column is a text or an integer.
#[derive(Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(storable))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Some(text).into()
    }
}

impl From<WriteId> for Value {
    fn from(id: WriteId) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl From<RequestId> for Value {
    fn from(id: RequestId) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Text(Some(id.to_string()))
    }
}

impl From<Duration> for Value {
    /// Microseconds; finer parts are truncated.
    fn from(span: Duration) -> Self {
        Self::Number(Some(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        i64::from(number).into()
    }
}

impl From<Option<Timestamp>> for Value {
    /// Microseconds since the epoch; finer parts are truncated.
    fn from(time: Option<Timestamp>) -> Self {
        Self::Number(time.map(Timestamp::as_microsecond))
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Some(time).into()
    }
}

/// A text as both stores keep it: a NUL, which PostgreSQL cannot store, becomes
/// U+FFFD.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// Values in the order of a statement's placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::row::Value::from($value)),*] };
}
pub(super) use values;

/// Reads the columns of a row by name.
pub(super) trait Cells {
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
    fn number(&self, column: &str) -> sqlx::Result<Option<i64>>;
}

impl Slot {
    /// The columns `msisdn` and `product_id`.
    pub(super) fn columns(&self) -> (&str, &str) {
        match self {
            Self::Product { msisdn, product_id } => (msisdn.as_str(), product_id),
            Self::Sim { msisdn } => (msisdn.as_str(), ""),
        }
    }
}

/// The values of a new row, in the order of `statements::INSERT`.
pub(super) fn new_row(attempt: &Attempt, slot: &Slot, baseline: &str) -> sqlx::Result<Vec<Value>> {
    let (write, lease_until) = (&attempt.write, attempt.lease_until);
    let (act, details) = kind::write(&write.kind)?;
    let terms = write.kind.purchase_terms();
    let price = terms.and_then(|terms| terms.max_price.as_ref());
    let currency = price.map(Money::currency);
    let (msisdn, product_id) = slot.columns();
    let mut values = values![
        write.id,
        write.request_id,
        write.kind.iccid().map(Iccid::as_str),
        msisdn,
        product_id,
        terms.and_then(|terms| terms.activation).map(activation_name),
        terms.map_or("", |terms| terms.reference.as_str()),
        currency.as_ref().map(Currency::code),
        price.map(Money::units),
        price.map(|price| i64::from(price.nanos())),
        write.caller.as_deref(),
        write.created_at,
        write.updated_at,
        baseline,
        // No process sends after its lease.
        lease_until,
        lease_until,
        act,
        details.as_deref(),
        attempt.owner,
        activation_used(&write.kind),
    ];
    values.extend(list_price_columns(&write.kind));
    Ok(values)
}

/// The values that a new row has besides, for a SIM of the stock.
pub(super) fn new_row_of_stock(write: &Write) -> Vec<Value> {
    let terms = write.kind.purchase_terms();
    let reservation = terms.and_then(|terms| terms.reservation(write.request_id));
    values![
        terms.and_then(PurchaseTerms::pool).map(Pool::as_str),
        reservation.map(|id| id.to_string()).as_deref(),
    ]
}

/// A row as a record.
pub(super) fn record(row: &impl Cells) -> sqlx::Result<Record> {
    let baseline = read_baseline(&text(row, "baseline")?)?;
    let first_baseline = row.text("first_baseline")?;
    Ok(Record {
        write: write(row)?,
        attempt: small(row, "attempt")?,
        first_baseline: match first_baseline {
            Some(first) => read_baseline(&first)?,
            None => baseline.clone(),
        },
        baseline,
        sent_by: time(row, "sent_by")?.ok_or_else(|| unusable("sent_by"))?,
        checks: small(row, "checks")?,
        due_at: time(row, "next_check_at")?,
        checked_at: time(row, "checked_at")?,
        observed: Observed {
            absent_for: span(row, "absent_for")?,
            watched_for: span(row, "watched_for")?,
        },
    })
}

fn write(row: &impl Cells) -> sqlx::Result<Write> {
    let needed = |column: &str| time(row, column)?.ok_or_else(|| unusable(column));
    let state = state(row)?;
    // Watching a write that is taken for not carried out is internal: callers
    // need not wait for it.
    let next_check_at = match state {
        // Then its lease ends, and it is checked whatever became of its process.
        State::Submitting => time(row, "sent_by")?,
        State::Unknown | State::Done => time(row, "next_check_at")?,
        State::Rejected | State::NotDone | State::NeedsOperator => None,
    };
    Ok(Write {
        id: id(row, "id")?,
        request_id: parsed(row, "request_id", RequestId::parse)?.ok_or_else(|| unusable("request_id"))?,
        caller: row.text("caller")?,
        state,
        kind: kind(row)?,
        provider_reference: row.text("provider_reference")?,
        failure: failure(row)?,
        created_at: needed("created_at")?,
        updated_at: needed("updated_at")?,
        next_check_at,
        note: note(row)?,
    })
}

fn note(row: &impl Cells) -> sqlx::Result<Option<Note>> {
    let Some(text) = row.text("note")? else {
        return Ok(None);
    };
    let by = row.text("noted_by")?;
    Ok(Some(Note { by, text }))
}

fn kind(row: &impl Cells) -> sqlx::Result<Kind> {
    let stored = kind::read(&text(row, "act")?, row.text("details")?.as_deref());
    let msisdn = parsed(row, "msisdn", Msisdn::parse)?.ok_or_else(|| unusable("msisdn"))?;
    let iccid = parsed(row, "iccid", Iccid::parse)?;
    Ok(match stored.ok_or_else(|| unusable("act"))? {
        Stored::Purchase { parent } => Kind::Purchase(Purchase {
            line: Line { msisdn, iccid },
            terms: PurchaseTerms {
                product_id: text(row, "product_id")?,
                activation: parsed(row, "activation", activation_named)?,
                reference: text(row, "reference")?,
                max_price: money(row, ["max_price_currency", "max_price_units", "max_price_nanos"])?,
                parent,
                from_stock: from_stock(row)?,
            },
            activation_used: parsed(row, "activation_used", activation_named)?,
            list_price: list_price::read(row)?,
            subscription_id: row.text("subscription_id")?,
        }),
        Stored::Subscription(terms) => Kind::Subscription(SubscriptionChange {
            line: Line { msisdn, iccid },
            product_id: text(row, "product_id")?,
            terms,
        }),
        Stored::Sim(terms) => Kind::Sim(SimChange {
            msisdn,
            iccid: iccid.ok_or_else(|| unusable("iccid"))?,
            terms,
        }),
    })
}

fn from_stock(row: &impl Cells) -> sqlx::Result<Option<FromStock>> {
    if let Some(pool) = parsed(row, "pool", Pool::parse)? {
        return Ok(Some(FromStock::Pool(pool)));
    }
    let reservation = parsed(row, "reservation_id", RequestId::parse)?;
    Ok(reservation.map(FromStock::Reservation))
}

/// The span in a column.
fn span(row: &impl Cells, column: &str) -> sqlx::Result<Duration> {
    let micros = u64::try_from(number(row, column)?).map_err(|_| unusable(column))?;
    Ok(Duration::from_micros(micros))
}

/// The id in a column.
pub(super) fn id(row: &impl Cells, column: &str) -> sqlx::Result<WriteId> {
    optional_id(row, column)?.ok_or_else(|| unusable(column))
}

/// The id in a column, when there is one.
pub(super) fn optional_id(row: &impl Cells, column: &str) -> sqlx::Result<Option<WriteId>> {
    parsed(row, column, WriteId::parse)
}

/// A purchase for a SIM.
pub(super) fn sim_purchase(row: &impl Cells) -> sqlx::Result<SimPurchase> {
    Ok(SimPurchase {
        id: id(row, "id")?,
        attempt: i32::try_from(number(row, "attempt")?).map_err(|_| unusable("attempt"))?,
        state: state(row)?,
        is_watched: number(row, "watched")? > 0,
        iccid: parsed(row, "iccid", Iccid::parse)?,
        subscription_id: row.text("subscription_id")?,
    })
}

/// The status of a slot.
pub(super) fn slot_status(row: &impl Cells) -> sqlx::Result<SlotStatus> {
    Ok(SlotStatus {
        in_flight: optional_id(row, "in_flight")?,
        generation: number(row, "generation")?,
        is_reserved: number(row, "reserved")? > 0,
    })
}

/// The state in a column.
pub(super) fn state(row: &impl Cells) -> sqlx::Result<State> {
    parsed(row, "state", State::named_for_order)?.ok_or_else(|| unusable("state"))
}

/// The number in a column.
pub(super) fn number(row: &impl Cells, column: &str) -> sqlx::Result<i64> {
    row.number(column)?.ok_or_else(|| unusable(column))
}

/// The text in a column.
pub(super) fn text(row: &impl Cells, column: &str) -> sqlx::Result<String> {
    row.text(column)?.ok_or_else(|| unusable(column))
}

/// The baseline as it is stored.
pub(super) fn baseline(subscriptions: &[String]) -> sqlx::Result<String> {
    serde_json::to_string(subscriptions).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn read_baseline(json: &str) -> sqlx::Result<Vec<String>> {
    serde_json::from_str(json).map_err(|_| unusable("baseline"))
}

fn small(row: &impl Cells, column: &str) -> sqlx::Result<i32> {
    i32::try_from(number(row, column)?).map_err(|_| unusable(column))
}

/// The moment in a column, when there is one.
pub(super) fn time(row: &impl Cells, column: &str) -> sqlx::Result<Option<Timestamp>> {
    let time = row.number(column)?.map(Timestamp::from_microsecond);
    time.transpose().map_err(|_| unusable(column))
}

/// The amount in three columns, when there is one.
fn money(row: &impl Cells, [currency, units, nanos]: [&str; 3]) -> sqlx::Result<Option<Money>> {
    let Some(currency) = parsed(row, currency, Currency::parse)? else {
        return Ok(None);
    };
    let amount = Money::new(currency, number(row, units)?, small(row, nanos)?);
    amount.map(Some).ok_or_else(|| unusable(units))
}

fn failure(row: &impl Cells) -> sqlx::Result<Option<Failure>> {
    let Some(reason) = parsed(row, "failure_reason", Reason::named)? else {
        return Ok(None);
    };
    let provider = ProviderDetail {
        code: row.text("failure_provider_code")?,
        request_id: row.text("failure_provider_request_id")?,
    };
    Ok(Some(Failure { reason, provider }))
}

/// The value of a column, when there is one.
pub(super) fn parsed<T>(
    row: &impl Cells,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> sqlx::Result<Option<T>> {
    let Some(text) = row.text(column)? else {
        return Ok(None);
    };
    parse(&text).map(Some).ok_or_else(|| unusable(column))
}

/// A column with an invalid value. Names the column, not the value.
pub(super) fn unusable(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: BoxDynError::from("unusable"),
    }
}

/// The column `activation_used` of an attempt.
pub(super) fn activation_used(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Purchase(purchase) => purchase.activation_used.map(activation_name),
        Kind::Subscription(_) | Kind::Sim(_) => None,
    }
}

pub(super) fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::OnFirstUse => "on_first_use",
        Activation::Immediate => "immediate",
    }
}

fn activation_named(name: &str) -> Option<Activation> {
    [Activation::OnFirstUse, Activation::Immediate]
        .into_iter()
        .find(|activation| activation_name(*activation) == name)
}
