//! What has happened to a SIM and was not reported yet.
//!
//! Recorded where it happens, with the moment and the dates of then; time may
//! have moved on when it is reported.

use jiff::Timestamp;
use uuid::Uuid;

use crate::world::stock::status::{ProfileStatus, SimStatus};

/// What can happen to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionEvent {
    /// Ordered for a SIM that has not been used.
    Preloaded,
    /// Ordered, and starts by itself later.
    Deferred,
    Activated,
    Renewed,
    Canceled,
    /// The validity is over.
    Expired,
    /// Ended by an order, with its SIM, or because it was not used in time.
    Terminated,
    /// Little is left.
    Low,
    Exhausted,
}

/// Something that has happened to a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionNews {
    pub(crate) at: Timestamp,
    pub(crate) event: SubscriptionEvent,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) left_kb: Option<i64>,
    /// `transactionReference` of the order that this comes from.
    pub(crate) reference: Option<String>,
}

/// What can happen to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEvent {
    Preactivated,
    Activated,
    Modified,
    CardSwapped,
    Suspended,
    Reactivated,
    Terminated,
    TestModeExited,
    HolidayEntered,
    HolidayExited,
}

impl LineEvent {
    /// What a change of status is called, if anything.
    pub(crate) fn of(from: SimStatus, to: SimStatus) -> Option<Self> {
        match (from, to) {
            (_, SimStatus::PreActivated) => Some(Self::Preactivated),
            (_, SimStatus::Suspended) => Some(Self::Suspended),
            (_, SimStatus::Terminated) => Some(Self::Terminated),
            (_, SimStatus::TariffHoliday) => Some(Self::HolidayEntered),
            (SimStatus::Suspended, SimStatus::Active) => Some(Self::Reactivated),
            (SimStatus::TariffHoliday, SimStatus::Active) => Some(Self::HolidayExited),
            (SimStatus::TestMode, SimStatus::Active) => Some(Self::TestModeExited),
            (_, SimStatus::Active) => Some(Self::Activated),
            (
                _,
                SimStatus::Loaded | SimStatus::Available | SimStatus::TestMode | SimStatus::OperatorBarred,
            ) => None,
        }
    }
}

/// Something that has happened to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineNews {
    pub(crate) at: Timestamp,
    pub(crate) event: LineEvent,
    pub(crate) status: SimStatus,
    /// The transaction that did it; `None` when nobody asked for it.
    pub(crate) transaction: Option<Uuid>,
}

/// Everything that was not reported yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) profile: Vec<(ProfileStatus, Timestamp)>,
    pub(crate) line: Vec<LineNews>,
    /// With the position of the subscription on its SIM.
    pub(crate) subscriptions: Vec<(usize, SubscriptionNews)>,
}
