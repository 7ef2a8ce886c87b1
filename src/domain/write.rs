//! A write: a change that a caller requests from the provider. It is kept in
//! the ledger before it is sent, sent once, and followed until its outcome is
//! known.
//!
//! An *order* is a purchase or a change of a subscription; an *operation* is a
//! change of a SIM. What only one [`Kind`] has belongs to that kind.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::change::{SimChange, SubscriptionAction};
use super::failure::Failure;
use super::pool::Pool;
use super::product::ListPrice;
use super::{Iccid, Money, Msisdn, SimIds};

pub use super::state::State;

/// Longest reference of a caller, in characters.
pub const LONGEST_REFERENCE: usize = 100;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the hyphenated form, in any letter case.
            pub fn parse(text: &str) -> Option<Self> {
                // 36 characters: the other forms would be different texts for
                // the same id, and callers compare texts.
                (text.len() == 36).then(|| Uuid::try_parse(text).ok().map(Self))?
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Identifies a write permanently: an order's id, which the provider gets
    /// as `transactionReference`, or an operation's. Later writes have greater
    /// ids.
    WriteId
}

id! {
    /// The caller's idempotency key: the same for every repeat of a call.
    RequestId
}

impl WriteId {
    /// A new one, now.
    pub fn new() -> Self {
        Self::at(Timestamp::now())
    }

    /// A new one for a write that is created then: a UUIDv7 whose order is that
    /// of creation to less than a microsecond.
    pub fn at(created_at: Timestamp) -> Self {
        let (millis, [high, low]) = Self::parts(created_at);
        let mut random = *Uuid::new_v4().as_bytes();
        random[6] = high;
        random[7] = low;
        let [_, _, _, _, _, _, tail @ ..] = random;
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// Less than every id that [`at`](Self::at) makes then or later, and greater
    /// than all that it made in the milliseconds before.
    pub fn least_at(created_at: Timestamp) -> Self {
        let (millis, _) = Self::parts(created_at);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
    }

    /// Milliseconds since 1970, and the fraction of one in 1/4096.
    fn parts(at: Timestamp) -> (u64, [u8; 2]) {
        let micros = u64::try_from(at.as_microsecond()).unwrap_or_default();
        let fraction = u16::try_from((micros % 1_000) * 4_096 / 1_000).unwrap_or_default();
        (micros / 1_000, fraction.to_be_bytes())
    }
}

impl Default for WriteId {
    fn default() -> Self {
        Self::new()
    }
}

/// A write as callers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write<K = Kind> {
    /// The gateway's id.
    pub id: WriteId,
    /// The caller's id.
    pub request_id: RequestId,
    /// Who requested it, when that is known.
    pub caller: Option<String>,
    /// Its state.
    pub state: State,
    /// What it changes.
    pub kind: K,
    /// The provider's reference of the order, or its transaction.
    pub provider_reference: Option<String>,
    /// Why it was refused, or why it needs an operator.
    pub failure: Option<Failure>,
    /// When it was first requested.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When the gateway checks its outcome again, while that is open.
    pub next_check_at: Option<Timestamp>,
    /// What an operator recorded about it.
    pub note: Option<Note>,
}

/// Who resolved a write and why, kept for the audit. The text may name a
/// person: `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Note {
    /// Who.
    pub by: Option<String>,
    /// Why; may be empty.
    pub text: String,
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Note")
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

/// An order: a purchase or a change of a subscription.
pub type Order = Write<OrderKind>;

/// What a write changes, with everything that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Adds a product to a SIM, for money.
    Purchase(Purchase),
    /// Changes a subscription that is on a SIM.
    Subscription(SubscriptionChange),
    /// Changes the SIM itself.
    Sim(SimChange),
}

/// What an order changes.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderKind {
    /// Adds a product to a SIM, for money.
    Purchase(Purchase),
    /// Changes a subscription that is on a SIM.
    Subscription(SubscriptionChange),
}

/// What an order does, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderAction {
    /// Buys a product.
    Buy,
    /// Changes a subscription.
    Subscription(SubscriptionAction),
}

/// The SIM of an order, as resolved: orders name it by the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number.
    pub msisdn: Msisdn,
    /// The card, when it is known.
    pub iccid: Option<Iccid>,
}

/// A purchase of a product for a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// For which SIM.
    pub line: Line,
    /// The requested terms.
    pub terms: PurchaseTerms,
    /// How its latest attempt was sent, or is about to be; `None` when that is
    /// not known: a former release did not record it.
    pub activation_used: Option<Activation>,
    /// The product's list price when the latest attempt was begun; `None` when
    /// the catalog has none, or a former release did not record it.
    pub list_price: Option<ListPrice>,
    /// The resulting subscription.
    pub subscription_id: Option<String>,
}

/// The content of a request to buy. Two requests with the same id must agree in
/// all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseTerms {
    /// The provider's product.
    pub product_id: String,
    /// When the subscription starts; `None` leaves it to the gateway.
    pub activation: Option<Activation>,
    /// The caller's own reference; may be empty.
    pub reference: String,
    /// Nothing with a higher list price is bought.
    pub max_price: Option<Money>,
    /// For an add-on: the subscription that it is added to.
    pub parent: Option<String>,
    /// Where the SIM is from; `None` when the request names the SIM itself.
    pub from_stock: Option<FromStock>,
}

impl PurchaseTerms {
    /// The reservation of the SIM, of a request with this id.
    pub fn reservation(&self, request_id: RequestId) -> Option<RequestId> {
        self.from_stock.as_ref().map(|source| match source {
            FromStock::Pool(_) => request_id,
            FromStock::Reservation(reservation) => *reservation,
        })
    }

    /// The pool that the SIM is taken from with the order.
    pub fn pool(&self) -> Option<&Pool> {
        match &self.from_stock {
            Some(FromStock::Pool(pool)) => Some(pool),
            Some(FromStock::Reservation(_)) | None => None,
        }
    }
}

/// Where the SIM of a purchase is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromStock {
    /// From this pool: reserved and bought in one request.
    Pool(Pool),
    /// The SIM of this reservation.
    Reservation(RequestId),
}

/// When a subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// When the SIM first uses data; the SIM stays pre-activated until then.
    OnFirstUse,
    /// On a SIM that is in service. Puts a pre-activated SIM into service, which
    /// cannot be undone, and may start the validity then.
    Immediate,
}

/// A change of a subscription that is on a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// On which SIM.
    pub line: Line,
    /// The subscription's product.
    pub product_id: String,
    /// The requested terms.
    pub terms: SubscriptionTerms,
}

/// The content of a request to change a subscription. Two requests with the
/// same id must agree in all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionTerms {
    /// The subscription.
    pub subscription_id: String,
    /// What to do with it.
    pub action: SubscriptionAction,
}

impl Kind {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Purchase(_) => "purchase",
            Self::Subscription(_) => "subscription",
            Self::Sim(_) => "sim",
        }
    }

    /// The number that it is sent for, or that the SIM had when it was changed.
    pub fn msisdn(&self) -> &Msisdn {
        match self {
            Self::Purchase(purchase) => &purchase.line.msisdn,
            Self::Subscription(change) => &change.line.msisdn,
            Self::Sim(change) => &change.msisdn,
        }
    }

    /// What an order with it changes; `None` for an operation on a SIM.
    pub fn into_order(self) -> Option<OrderKind> {
        match self {
            Self::Purchase(purchase) => Some(OrderKind::Purchase(purchase)),
            Self::Subscription(change) => Some(OrderKind::Subscription(change)),
            Self::Sim(_) => None,
        }
    }

    /// What a purchase was requested with.
    pub fn purchase_terms(&self) -> Option<&PurchaseTerms> {
        match self {
            Self::Purchase(purchase) => Some(&purchase.terms),
            Self::Subscription(_) | Self::Sim(_) => None,
        }
    }

    /// The card, when it is known.
    pub fn iccid(&self) -> Option<&Iccid> {
        match self {
            Self::Purchase(purchase) => purchase.line.iccid.as_ref(),
            Self::Subscription(change) => change.line.iccid.as_ref(),
            Self::Sim(change) => Some(&change.iccid),
        }
    }

    /// The SIM, as resolved.
    pub fn sim(&self) -> SimIds {
        SimIds {
            msisdn: Some(self.msisdn().clone()),
            iccid: self.iccid().cloned(),
        }
    }
}

impl<K> Write<K> {
    /// The same write with its kind converted; `None` when `make` returns
    /// `None`.
    fn with_kind<L>(self, make: impl FnOnce(K) -> Option<L>) -> Option<Write<L>> {
        Some(Write {
            kind: make(self.kind)?,
            id: self.id,
            request_id: self.request_id,
            caller: self.caller,
            state: self.state,
            provider_reference: self.provider_reference,
            failure: self.failure,
            created_at: self.created_at,
            updated_at: self.updated_at,
            next_check_at: self.next_check_at,
            note: self.note,
        })
    }
}

impl Write {
    /// The order that it is.
    pub fn into_order(self) -> Option<Order> {
        self.with_kind(Kind::into_order)
    }

    /// The change of a SIM that it is.
    pub fn into_sim_change(self) -> Option<Write<SimChange>> {
        self.with_kind(|kind| match kind {
            Kind::Sim(change) => Some(change),
            Kind::Purchase(_) | Kind::Subscription(_) => None,
        })
    }

    /// Whether it is an order and not an operation on a SIM.
    pub fn is_order(&self) -> bool {
        match self.kind {
            Kind::Purchase(_) | Kind::Subscription(_) => true,
            Kind::Sim(_) => false,
        }
    }

    /// The subscription that resulted from a purchase.
    pub fn bought(&self) -> Option<&String> {
        match &self.kind {
            Kind::Purchase(purchase) => purchase.subscription_id.as_ref(),
            Kind::Subscription(_) | Kind::Sim(_) => None,
        }
    }

    /// Whether a repeat sends it again after it was found not to have been
    /// carried out. A change of a SIM may fail long after it was accepted, so
    /// it is sent once per id.
    pub fn may_be_sent_again(&self) -> bool {
        self.state.may_become(State::Submitting) && self.is_order()
    }

    /// The name of its state in metrics and in the log.
    pub fn state_name(&self) -> &'static str {
        match self.is_order() {
            true => self.state.order_name(),
            false => self.state.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "8C6F3B2E-6a0f-4d1e-9d3f-0c8d6f1a2b3c";
        let id = RequestId::parse(text).unwrap();
        assert_eq!(id.to_string(), text.to_lowercase());
        for text in [
            "",
            "8c6f3b2e6a0f4d1e9d3f0c8d6f1a2b3c",
            "{8c6f3b2e-6a0f-4d1e-9d3f-0c8d6f1a2b3c}",
            "x",
        ] {
            assert!(RequestId::parse(text).is_none(), "{text}");
        }
    }
}
