//! What may be done after an error, of a closed set: every error has it in its
//! metadata, as `retry`.
//!
//! Decided here and nowhere else. A repeat that the gateway asks for with a time
//! to wait is always of the same request.

use crate::domain::Error;

/// The key of the metadata.
pub(super) const KEY: &str = "retry";

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retry {
    /// The same request may succeed later, with the same `request_id` if it has
    /// one.
    SameRequestId,
    /// The request was refused for good under its `request_id`, and nothing was bought:
    /// another attempt needs a new one.
    NewRequestId,
    /// The same request is answered the same until it, or what it is about, is
    /// changed.
    Never,
}

impl Retry {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SameRequestId => "SAME_REQUEST_ID",
            Self::NewRequestId => "NEW_REQUEST_ID",
            Self::Never => "NEVER",
        }
    }

    /// What may be done after this error.
    pub(super) fn after(error: &Error) -> Self {
        match error {
            Error::AfterLedger { error, .. } => Self::after(error),
            // Kept in the ledger under their ids, for good.
            Error::OrderRejected { .. } | Error::SimOperationRejected { .. } => Self::NewRequestId,
            // Of the moment, or of the gateway: nothing about the request is wrong, and what
            // was done under its id is answered.
            Error::EventStreamTooSlow
            | Error::EsimNotReleased
            | Error::ProviderCredentialsRejected { .. }
            | Error::ProviderRateLimited { .. }
            | Error::ProviderUnavailable { .. }
            | Error::ProviderCircuitOpen { .. }
            | Error::ProviderProtocol { .. }
            | Error::Overloaded { .. }
            | Error::OrderInProgress(_)
            | Error::OrderNotTaken { .. }
            | Error::SimOperationInProgress(_)
            | Error::SimBusy { .. }
            | Error::CallerLimitReached { .. }
            | Error::PoolEmpty { .. }
            | Error::SimReserved
            | Error::LedgerUnavailable
            | Error::EventLogUnavailable
            | Error::CatalogHistoryUnavailable
            | Error::DeadlineExceeded
            | Error::TooLittleTime { .. }
            | Error::ShuttingDown
            | Error::Internal => Self::SameRequestId,
            // What the id was used for may have bought: with a new one it would be bought again.
            Error::RequestIdReused { .. }
            | Error::ReservationOver
            | Error::InvalidRequest(_)
            | Error::PageTokenInvalid(_)
            | Error::EventCursorInvalid
            | Error::EventCursorExpired
            | Error::MetadataTooLarge { .. }
            | Error::CallerUnauthenticated
            | Error::CallerNotAllowed { .. }
            | Error::ProductNotFound { .. }
            | Error::SimNotFound { .. }
            | Error::SubscriptionNotFound { .. }
            | Error::SimNotResolvable { .. }
            | Error::EsimNotFound { .. }
            | Error::OperationNotEnabled { .. }
            | Error::AddOnNotEnabled { .. }
            | Error::ParentSubscriptionRequired { .. }
            | Error::ProviderRejected { .. }
            | Error::OrderNotFound
            | Error::OrderNotAcceptable { .. }
            | Error::SimOperationNotFound
            | Error::SimStatusNotEligible { .. }
            | Error::SubscriptionNotEligible { .. }
            | Error::OrderNotResolvable { .. }
            | Error::SimOperationNotResolvable { .. }
            | Error::PriceAboveMaximum { .. }
            | Error::PriceNotComparable { .. }
            | Error::PriceNotLimited { .. }
            | Error::PoolNotFound { .. }
            | Error::ReservationNotFound
            | Error::SimInUse { .. }
            | Error::CatalogVersionUnknown
            | Error::MethodNotFound
            | Error::RequestTooLarge { .. }
            | Error::RequestMalformed { .. }
            | Error::EncodingNotSupported => Self::Never,
        }
    }
}
