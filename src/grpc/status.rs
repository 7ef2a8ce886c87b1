//! The only place where an error becomes a `Status`: the contract's error
//! table, as code.
//!
//! Every status carries exactly one `ErrorInfo`, and what else helps the
//! caller to act: all violations, when to retry, or what was not found.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::domain::Error;
use crate::domain::error::{LedgerState, ProviderDetail};
use crate::domain::order::Reason;
use crate::pb::connectivity::v1::ErrorReason;

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "transatel-gateway";

/// Callers wait this long for a ledger that failed.
const LEDGER_AFTER: Duration = Duration::from_secs(1);

/// Callers wait this long before they come back to another replica.
const ELSEWHERE_AFTER: Duration = Duration::from_millis(100);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (error, ledger) = match error {
            Error::AfterLedger { error, state } => (*error, Some(state)),
            error => (error, None),
        };
        let (code, reason) = classify(&error);
        let mut metadata = metadata(&error);
        metadata.extend(ledger.into_iter().flat_map(ledger_state));
        let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, metadata);
        match &error {
            Error::InvalidRequest(violations) => {
                let violation = |violation: &crate::domain::error::Violation| {
                    FieldViolation::new(&violation.field, &violation.description)
                };
                details.set_bad_request(violations.iter().map(violation).collect::<Vec<_>>());
            }
            Error::PageTokenInvalid(fault) => {
                details.set_bad_request(vec![FieldViolation::new("page_token", fault.to_string())]);
            }
            Error::ProductNotFound { product_id } => {
                details.set_resource_info("connectivity.v1.Product", product_id, "", "");
            }
            Error::SubscriptionNotFound { subscription_id } => {
                details.set_resource_info("connectivity.v1.Subscription", subscription_id, "", "");
            }
            Error::ProviderRateLimited { retry_after, .. }
            | Error::ProviderUnavailable { retry_after, .. }
            | Error::ProviderCircuitOpen { retry_after }
            | Error::Overloaded { retry_after } => {
                details.set_retry_info(Some(*retry_after));
            }
            Error::ShuttingDown => {
                details.set_retry_info(Some(ELSEWHERE_AFTER));
            }
            Error::RequestIdReused => {
                details.set_bad_request(vec![FieldViolation::new("request_id", error.to_string())]);
            }
            Error::LedgerUnavailable | Error::EventLogUnavailable => {
                details.set_retry_info(Some(LEDGER_AFTER));
            }
            Error::EventCursorInvalid => {
                details.set_bad_request(vec![FieldViolation::new("resume_token", error.to_string())]);
            }
            Error::EventCursorExpired
            | Error::EventStreamTooSlow
            | Error::OrderNotFound
            | Error::OrderInProgress { .. }
            | Error::OrderRejected { .. }
            | Error::OrderNotResolvable { .. }
            | Error::SimOperationNotFound
            | Error::SimOperationInProgress { .. }
            | Error::SimBusy { .. }
            | Error::SimOperationRejected { .. }
            | Error::SimOperationNotResolvable { .. }
            | Error::SubscriptionNotEligible { .. }
            | Error::PriceAboveMaximum { .. }
            | Error::PriceNotComparable { .. }
            | Error::SimNotFound { .. }
            | Error::SimNotResolvable { .. }
            | Error::EsimNotFound { .. }
            | Error::EsimNotReleased
            | Error::OperationNotEnabled { .. }
            | Error::ProviderRejected { .. }
            | Error::ProviderCredentialsRejected { .. }
            | Error::ProviderProtocol { .. }
            | Error::CallerUnauthenticated
            | Error::CallerNotAllowed { .. }
            | Error::DeadlineExceeded
            | Error::AfterLedger { .. }
            | Error::Internal => {}
        }
        Self::with_error_details(code, error.to_string(), details)
    }
}

/// An error as a message, for one element of an answer: what its `Status`
/// would have carried.
pub fn message(error: Error) -> crate::pb::google::rpc::Status {
    let status = Status::from(error);
    match tonic_types::Status::decode(status.details()) {
        Ok(decoded) => crate::pb::google::rpc::Status {
            code: decoded.code,
            message: decoded.message,
            details: decoded.details,
        },
        Err(_) => crate::pb::google::rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        },
    }
}

/// Code and reason of an error.
fn classify(error: &Error) -> (Code, ErrorReason) {
    match error {
        Error::InvalidRequest(_) => (Code::InvalidArgument, ErrorReason::InvalidRequest),
        Error::PageTokenInvalid(_) => (Code::InvalidArgument, ErrorReason::PageTokenInvalid),
        Error::EventCursorInvalid => (Code::InvalidArgument, ErrorReason::EventCursorInvalid),
        Error::EventCursorExpired => (Code::OutOfRange, ErrorReason::EventCursorExpired),
        Error::EventStreamTooSlow => (Code::ResourceExhausted, ErrorReason::EventStreamTooSlow),
        Error::CallerUnauthenticated => (Code::Unauthenticated, ErrorReason::CallerUnauthenticated),
        Error::CallerNotAllowed { .. } => (Code::PermissionDenied, ErrorReason::CallerNotAllowed),
        Error::ProductNotFound { .. } => (Code::NotFound, ErrorReason::ProductNotFound),
        Error::SimNotFound { .. } => (Code::NotFound, ErrorReason::SimNotFound),
        Error::SubscriptionNotFound { .. } => (Code::NotFound, ErrorReason::SubscriptionNotFound),
        Error::SimNotResolvable { .. } => (Code::FailedPrecondition, ErrorReason::SimNotResolvable),
        Error::EsimNotFound { .. } => (Code::NotFound, ErrorReason::EsimNotFound),
        Error::EsimNotReleased => (Code::FailedPrecondition, ErrorReason::EsimNotReleased),
        Error::OperationNotEnabled { .. } => (Code::FailedPrecondition, ErrorReason::OperationNotEnabled),
        Error::ProviderRejected { .. } => (Code::FailedPrecondition, ErrorReason::ProviderRejected),
        Error::ProviderCredentialsRejected { .. } => {
            (Code::Internal, ErrorReason::ProviderCredentialsRejected)
        }
        Error::ProviderRateLimited { .. } => (Code::ResourceExhausted, ErrorReason::ProviderRateLimited),
        Error::ProviderUnavailable { .. } => (Code::Unavailable, ErrorReason::ProviderUnavailable),
        Error::ProviderCircuitOpen { .. } => (Code::Unavailable, ErrorReason::ProviderCircuitOpen),
        Error::Overloaded { .. } => (Code::Unavailable, ErrorReason::Overloaded),
        Error::ProviderProtocol { .. } => (Code::Internal, ErrorReason::ProviderProtocol),
        Error::RequestIdReused => (Code::InvalidArgument, ErrorReason::RequestIdReused),
        Error::OrderNotFound => (Code::NotFound, ErrorReason::OrderNotFound),
        Error::OrderInProgress { .. } => (Code::Aborted, ErrorReason::OrderInProgress),
        Error::OrderRejected { failure, .. } => refused(failure.reason),
        Error::SimOperationNotFound => (Code::NotFound, ErrorReason::SimOperationNotFound),
        Error::SimOperationInProgress { .. } | Error::SimBusy { .. } => {
            (Code::Aborted, ErrorReason::SimOperationInProgress)
        }
        Error::SimOperationRejected { failure, .. } => (
            refused(failure.reason).0,
            super::convert::sim_operation::reason(failure.reason),
        ),
        Error::SubscriptionNotEligible { .. } => (Code::FailedPrecondition, ErrorReason::ProductNotEligible),
        Error::OrderNotResolvable { .. } | Error::SimOperationNotResolvable { .. } => {
            (Code::FailedPrecondition, ErrorReason::OrderNotResolvable)
        }
        Error::PriceAboveMaximum { .. } => (Code::FailedPrecondition, ErrorReason::PriceAboveMaximum),
        Error::PriceNotComparable { .. } => (Code::FailedPrecondition, ErrorReason::PriceNotComparable),
        Error::LedgerUnavailable | Error::EventLogUnavailable => {
            (Code::Unavailable, ErrorReason::LedgerUnavailable)
        }
        Error::DeadlineExceeded => (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
        Error::ShuttingDown => (Code::Unavailable, ErrorReason::ShuttingDown),
        Error::AfterLedger { error, .. } => classify(error),
        Error::Internal => (Code::Internal, ErrorReason::Internal),
    }
}

/// Code and reason of a refused order.
fn refused(reason: Reason) -> (Code, ErrorReason) {
    let code = match reason {
        Reason::SimNotFound | Reason::ProductNotFound => Code::NotFound,
        Reason::SimStatusNotEligible
        | Reason::ProductNotEligible
        | Reason::InsufficientFunds
        | Reason::OperationNotEnabled
        | Reason::Rejected => Code::FailedPrecondition,
        Reason::InProgress => Code::Aborted,
        Reason::CredentialsRejected | Reason::Protocol => Code::Internal,
        Reason::Ambiguous | Reason::Unreadable => Code::Unavailable,
    };
    (code, super::convert::order::reason(reason))
}

/// The reason as callers see it: without the enum's prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

fn metadata(error: &Error) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    match error {
        Error::ProductNotFound { product_id } => {
            put("product_id", product_id.clone());
        }
        Error::SubscriptionNotFound { subscription_id } => {
            put("subscription_id", subscription_id.clone());
        }
        Error::CallerNotAllowed { caller } => {
            put("caller", caller.to_string());
        }
        Error::SimNotResolvable { needed } => {
            put("needed", needed.name().to_owned());
        }
        Error::OrderInProgress { order_id } => {
            put("order_id", order_id.to_string());
        }
        Error::SimOperationInProgress { operation_id } => {
            put("operation_id", operation_id.to_string());
        }
        Error::SimOperationRejected {
            operation_id,
            failure,
        } => {
            put("operation_id", operation_id.to_string());
            provider_detail(&failure.provider, put);
        }
        Error::OrderNotResolvable { state } => {
            put("state", state.name().to_uppercase());
        }
        Error::SimOperationNotResolvable { state } => {
            put("state", state.name().to_uppercase());
        }
        Error::PriceAboveMaximum { price } | Error::PriceNotComparable { price: Some(price) } => {
            put("price", price.to_string());
        }
        Error::SimNotFound { provider }
        | Error::SimBusy { provider }
        | Error::EsimNotFound { provider }
        | Error::OperationNotEnabled { provider }
        | Error::ProviderRejected { provider }
        | Error::ProviderCredentialsRejected { provider }
        | Error::ProviderRateLimited { provider, .. }
        | Error::ProviderUnavailable { provider, .. }
        | Error::ProviderProtocol { provider } => {
            provider_detail(provider, put);
        }
        Error::OrderRejected { order_id, failure } => {
            put("order_id", order_id.to_string());
            provider_detail(&failure.provider, put);
        }
        Error::InvalidRequest(_)
        | Error::PageTokenInvalid(_)
        | Error::EventCursorInvalid
        | Error::EventCursorExpired
        | Error::EventStreamTooSlow
        | Error::EventLogUnavailable
        | Error::CallerUnauthenticated
        | Error::EsimNotReleased
        | Error::RequestIdReused
        | Error::OrderNotFound
        | Error::SimOperationNotFound
        | Error::SubscriptionNotEligible { .. }
        | Error::PriceNotComparable { price: None }
        | Error::LedgerUnavailable
        | Error::ProviderCircuitOpen { .. }
        | Error::Overloaded { .. }
        | Error::DeadlineExceeded
        | Error::ShuttingDown
        | Error::AfterLedger { .. }
        | Error::Internal => {}
    }
    metadata
}

/// What the ledger held of the request id when the call failed. An error
/// without it was given before the ledger was read.
fn ledger_state(state: LedgerState) -> Vec<(String, String)> {
    let (id, state) = match state {
        LedgerState::Nothing => (None, "NONE".to_owned()),
        LedgerState::Order(id, state) => (Some(id), state.name().to_uppercase()),
    };
    let id = id.map(|id| ("known_order_id".to_owned(), id.to_string()));
    id.into_iter()
        .chain([("known_state".to_owned(), state)])
        .collect()
}

fn provider_detail<R>(provider: &ProviderDetail, mut put: impl FnMut(&str, String) -> R) {
    let ProviderDetail { code, request_id } = provider;
    if let Some(code) = code {
        put("provider_code", code.clone());
    }
    if let Some(request_id) = request_id {
        put("provider_request_id", request_id.clone());
    }
}
