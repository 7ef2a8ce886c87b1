//! What has happened to a SIM and was not told yet.
//!
//! Recorded where it happens, with the moment and the dates of then; time may
//! have moved on when it is told.

use jiff::Timestamp;
use uuid::Uuid;

use super::status::{ProfileStatus, SimStatus};

/// What can happen to a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum BundleEvent {
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

/// Something that has happened to a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct BundleNews {
    pub(in crate::sandbox) at: Timestamp,
    pub(in crate::sandbox) event: BundleEvent,
    pub(in crate::sandbox) activated_at: Option<Timestamp>,
    pub(in crate::sandbox) expires_at: Timestamp,
    pub(in crate::sandbox) left_kb: Option<i64>,
    /// `transactionReference` of the order that this comes from.
    pub(in crate::sandbox) reference: Option<String>,
}

/// What can happen to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum LineEvent {
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
    pub(super) fn of(from: SimStatus, to: SimStatus) -> Option<Self> {
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
pub(in crate::sandbox) struct LineNews {
    pub(in crate::sandbox) at: Timestamp,
    pub(in crate::sandbox) event: LineEvent,
    pub(in crate::sandbox) status: SimStatus,
    /// The transaction that did it; `None` when nobody asked for it.
    pub(in crate::sandbox) transaction: Option<Uuid>,
}

/// Everything that was not told yet.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct News {
    pub(in crate::sandbox) profile: Vec<(ProfileStatus, Timestamp)>,
    pub(in crate::sandbox) line: Vec<LineNews>,
    /// With the position of the bundle on its SIM.
    pub(in crate::sandbox) bundles: Vec<(usize, BundleNews)>,
}
