//! What happened: at the provider, as the provider reported it, and in the
//! gateway's own ledger.

use std::fmt;
use std::hash::Hasher as _;

use jiff::Timestamp;
use uuid::Uuid;

use super::digest::Digest;
use super::product::ListPrice;
use super::stock_level::StockLevel;
use super::subscription::Balance;
use super::write::{RequestId, WriteId};
use super::{Country, EsimStatus, SimIds};

/// Longest id of an event, in bytes. The provider uses UUIDs.
pub const LONGEST_ID: usize = 255;

/// [`EventType::ProductCanceled`]: the documentation has one L; both occur.
const CANCELLED: &str = "OCS/PRODUCT/CANCELLED";

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// The type of an event. Matched by the whole text: suffixes are
        /// ambiguous (`…/REACTIVATED`, `…/ACTIVATED`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            /// A type that the gateway does not know; its text is in
            /// `raw_type`.
            Other,
            $($(#[$doc])* $name,)+
        }

        impl EventType {
            /// Every type that is known.
            pub const KNOWN: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),+];

            /// Every text of a type that is known.
            pub fn texts() -> impl Iterator<Item = &'static str> {
                let known = Self::KNOWN.iter().map(|(_, text)| *text);
                known.chain(std::iter::once(CANCELLED))
            }

            /// The type with exactly this text.
            pub fn named(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)+
                    CANCELLED => Self::ProductCanceled,
                    _ => Self::Other,
                }
            }
        }
    };
}

types! {
    /// A product was bought and waits for first use.
    ProductPreloaded = "OCS/PRODUCT/PRELOADED",
    /// A product was bought and starts by itself when its condition is met.
    ProductDeferred = "OCS/PRODUCT/DEFERRED",
    /// A subscription started.
    ProductActivated = "OCS/PRODUCT/ACTIVATED",
    /// A recurring subscription started its next period.
    ProductRenewed = "OCS/PRODUCT/RENEWED",
    /// A recurring subscription will not renew; it works until its period ends.
    ProductCanceled = "OCS/PRODUCT/CANCELED",
    /// A subscription's validity is over.
    ProductExpired = "OCS/PRODUCT/EXPIRED",
    /// A subscription was ended by an order, or because it was not used in
    /// time.
    ProductTerminated = "OCS/PRODUCT/TERMINATED",
    /// Little is left of a resource of one subscription.
    ProductResourceThreshold = "OCS/PRODUCT/RESOURCE/THRESHOLD",
    /// Nothing is left of a resource of one subscription.
    ProductResourceExhausted = "OCS/PRODUCT/RESOURCE/EXHAUSTED",
    /// Little is left of a resource over all subscriptions of the SIM.
    ResourceThreshold = "OCS/RESOURCE/THRESHOLD",
    /// Nothing is left of a resource over all subscriptions of the SIM.
    ResourceExhausted = "OCS/RESOURCE/EXHAUSTED",
    /// An eSIM profile can be downloaded.
    EsimReleased = "SIM-MANAGEMENT/ESIM/RELEASED",
    /// An eSIM profile was downloaded to a device.
    EsimDownloaded = "SIM-MANAGEMENT/ESIM/DOWNLOADED",
    /// An eSIM profile was installed on a device.
    EsimInstalled = "SIM-MANAGEMENT/ESIM/INSTALLED",
    /// An eSIM profile was switched on.
    EsimEnabled = "SIM-MANAGEMENT/ESIM/ENABLED",
    /// An eSIM profile was switched off.
    EsimDisabled = "SIM-MANAGEMENT/ESIM/DISABLED",
    /// An eSIM profile was deleted from its device.
    EsimDeleted = "SIM-MANAGEMENT/ESIM/DELETED",
    /// An operation on an eSIM profile failed.
    EsimError = "SIM-MANAGEMENT/ESIM/ERROR",
    /// A SIM is ready to be sold.
    SimPreactivated = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/PREACTIVATED",
    /// A SIM came into service, usually with its first use.
    SimActivated = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ACTIVATED",
    /// Labels or options of a SIM changed.
    SimModified = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/MODIFIED",
    /// A line moved to another card.
    SimCardSwapped = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/SIMCARD/SWAPPED",
    /// A SIM got another number.
    SimMsisdnSwapped = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/MSISDN/SWAPPED",
    /// A SIM was switched off temporarily.
    SimSuspended = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/SUSPENDED",
    /// A SIM was switched on again.
    SimReactivated = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/REACTIVATED",
    /// A SIM attached in another country.
    SimRoamingAlert = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ROAMING/ALERT",
    /// A SIM ended permanently.
    SimTerminated = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/TERMINATED",
    /// A SIM left its test mode.
    SimTestModeExited = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/TEST_MODE/EXITED",
    /// A SIM was paused by its tariff.
    SimHolidayEntered = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/HOLIDAY/ENTERED",
    /// A SIM is no longer paused by its tariff.
    SimHolidayExited = "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/HOLIDAY/EXITED",
    /// A text message came from a SIM.
    SmsReceived = "NETWORK/SMS/RECEIVED",
    /// A report on the delivery of a text message came.
    SmsReported = "NETWORK/SMS/DLR/RECEIVED",
    /// A network accepted a SIM.
    LocationUpdateAccepted = "NETWORK/LOCATION-UPDATE/ACCEPTED",
    /// A network refused a SIM.
    LocationUpdateDenied = "NETWORK/LOCATION-UPDATE/DENIED",
    /// Of the gateway: an order was carried out.
    OrderPlaced = "GATEWAY/ORDER/PLACED",
    /// Of the gateway: an order was refused.
    OrderRejected = "GATEWAY/ORDER/REJECTED",
    /// Of the gateway: nothing of an order has shown.
    OrderNotPlaced = "GATEWAY/ORDER/NOT_PLACED",
    /// Of the gateway: an operator has to determine the outcome of an order.
    OrderNeedsOperator = "GATEWAY/ORDER/NEEDS_OPERATOR",
    /// Of the gateway: an operation on a SIM was carried out.
    SimOperationSucceeded = "GATEWAY/SIM_OPERATION/SUCCEEDED",
    /// Of the gateway: an operation on a SIM was not carried out.
    SimOperationFailed = "GATEWAY/SIM_OPERATION/FAILED",
    /// Of the gateway: an operator has to determine the outcome of an operation.
    SimOperationNeedsOperator = "GATEWAY/SIM_OPERATION/NEEDS_OPERATOR",
    /// Of the gateway: a pool of the stock has fewer SIMs than it should.
    StockLow = "GATEWAY/STOCK/LOW",
    /// Of the gateway: a pool that was low has enough SIMs again.
    StockFilled = "GATEWAY/STOCK/FILLED",
}

impl EventType {
    /// Whether it is a change in the gateway's ledger.
    pub fn is_of_gateway(self) -> bool {
        matches!(
            self,
            Self::OrderPlaced
                | Self::OrderRejected
                | Self::OrderNotPlaced
                | Self::OrderNeedsOperator
                | Self::SimOperationSucceeded
                | Self::SimOperationFailed
                | Self::SimOperationNeedsOperator
                | Self::StockLow
                | Self::StockFilled
        )
    }

    /// Whether it may have changed which number belongs to which card.
    pub fn moves_a_line(self) -> bool {
        matches!(
            self,
            Self::SimCardSwapped | Self::SimMsisdnSwapped | Self::SimTerminated
        )
    }

    /// Whether it is about a SIM in a network.
    pub fn is_about_a_network(self) -> bool {
        matches!(
            self,
            Self::SimRoamingAlert | Self::LocationUpdateAccepted | Self::LocationUpdateDenied
        )
    }

    /// Whether it is about how much of a resource is left.
    pub fn is_about_a_resource(self) -> bool {
        matches!(
            self,
            Self::ProductResourceThreshold
                | Self::ProductResourceExhausted
                | Self::ResourceThreshold
                | Self::ResourceExhausted
        )
    }

    /// Whether it is about one subscription: an order leads to one of these.
    pub fn changes_a_subscription(self) -> bool {
        matches!(
            self,
            Self::ProductPreloaded
                | Self::ProductDeferred
                | Self::ProductActivated
                | Self::ProductRenewed
                | Self::ProductCanceled
                | Self::ProductExpired
                | Self::ProductTerminated
                | Self::ProductResourceThreshold
                | Self::ProductResourceExhausted
        )
    }
}

/// Where an event is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// The provider reported it.
    #[default]
    Provider,
    /// The gateway's ledger recorded it.
    Gateway,
}

/// Something that happened. What is not known is absent.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Event {
    /// The provider's id, or the gateway's for its own: repeated deliveries of
    /// an event carry the same one.
    pub id: String,
    /// Where it is from.
    pub origin: Origin,
    /// The type, as its origin names it.
    pub raw_type: String,
    /// When it happened, as its origin says.
    pub occurred_at: Option<Timestamp>,
    /// When the gateway received it.
    pub received_at: Timestamp,
    /// The SIM.
    pub sim: SimIds,
    /// The subscription.
    pub subscription_id: Option<String>,
    /// The product.
    pub product_id: Option<String>,
    /// The order whose reference it carries, or whose state changed.
    pub order_id: Option<WriteId>,
    /// The operation whose transaction it is about, or whose state changed.
    pub operation_id: Option<WriteId>,
    /// The caller's id of that order or operation.
    pub request_id: Option<RequestId>,
    /// Who requested it.
    pub caller: Option<String>,
    /// The caller's reference of that order.
    pub reference: Option<String>,
    /// The provider's transaction that it is about.
    pub transaction_id: Option<String>,
    /// About the provider's own infrastructure, which is not sold.
    pub infrastructure: bool,
    /// What else it says.
    pub details: Details,
}

/// What an event says of the state that it reports.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Details {
    /// When the subscription was first used.
    pub activated_at: Option<Timestamp>,
    /// A subscription that has not started is lost if it is not used by then.
    pub activation_deadline: Option<Timestamp>,
    /// The end of a subscription that has started.
    pub expires_at: Option<Timestamp>,
    /// Where the SIM attached.
    pub country: Option<Country>,
    /// The state of the profile.
    pub esim_status: Option<EsimStatus>,
    /// What is left of a resource.
    pub balance: Option<Balance>,
    /// The list price of what was ordered.
    pub list_price: Option<ListPrice>,
    /// How full the pool is that it is about.
    pub stock: Option<StockLevel>,
}

impl Event {
    /// What happened. Only the gateway's own events are of its types, whatever
    /// a type of the provider is called.
    pub fn event_type(&self) -> EventType {
        let named = EventType::named(&self.raw_type);
        match named.is_of_gateway() == (self.origin == Origin::Gateway) {
            true => named,
            false => EventType::Other,
        }
    }

    /// Whether it is about a subscription, also when its type is not known.
    /// With an order's reference it proves that the order was placed. What the
    /// gateway concluded itself proves nothing.
    pub fn is_about_a_subscription(&self) -> bool {
        self.origin == Origin::Provider && self.raw_type.starts_with("OCS/PRODUCT/")
    }
}

/// Distinguishes an event from another one with its number: a database that is
/// replaced by a standby that lagged behind assigns numbers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u64);

impl Event {
    /// The mark of this event at this position in the log.
    pub fn mark(&self, sequence: u64) -> Mark {
        let mut digest = Digest::default();
        digest.write_u64(sequence);
        digest.write(self.id.as_bytes());
        Mark(digest.finish())
    }
}

/// A position in the log of events: after the event with this number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Which log.
    pub log: Uuid,
    /// Events up to this one are before it. The first has number 1.
    pub sequence: u64,
    /// Of the event with this number. Absent at the beginning of the log, where
    /// that event is no longer kept, and in tokens of older versions.
    pub mark: Option<Mark>,
}

impl Cursor {
    /// Whether this event is the one that the cursor is after, as far as that
    /// is known.
    pub fn is_after(&self, event: Mark) -> bool {
        self.mark.is_none_or(|mark| mark == event)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.log, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateway_makes_events_of_its_types() {
        for (kind, text) in EventType::KNOWN {
            for origin in [Origin::Provider, Origin::Gateway] {
                let event = Event {
                    origin,
                    raw_type: (*text).to_owned(),
                    ..Event::default()
                };
                let own = kind.is_of_gateway() == (origin == Origin::Gateway);
                assert_eq!(event.event_type() == *kind, own, "{text} {origin:?}");
                assert_eq!(kind.is_of_gateway(), text.starts_with("GATEWAY/"));
            }
        }
    }

    #[test]
    fn types_are_matched_by_the_whole_text() {
        for (kind, text) in EventType::KNOWN {
            assert_eq!(EventType::named(text), *kind);
            for other in [
                &format!("{text}/AGAIN"),
                &text.to_lowercase(),
                &format!(" {text}"),
            ] {
                assert_eq!(EventType::named(other), EventType::Other, "{other}");
            }
        }
        assert_eq!(EventType::named("REACTIVATED"), EventType::Other);
        assert_eq!(
            EventType::named("OCS/PRODUCT/CANCELLED"),
            EventType::ProductCanceled
        );
    }
}
