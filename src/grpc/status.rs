//! The only place where an error becomes a `Status`: the contract's error
//! table, as code.
//!
//! Every status carries exactly one `ErrorInfo`, and what else helps the caller
//! to act: all violations, when to retry, or what was not found.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::bounds;
use super::retry::{self, Retry};
use crate::domain::error::LedgerState;
use crate::domain::failure::Reason;
use crate::domain::in_the_way::InTheWay;
use crate::domain::write::WriteId;
use crate::domain::{Error, Money, ProviderDetail};
use crate::pb::connectivity::v1::ErrorReason;

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "transatel-gateway";

/// Retry delay when the ledger failed.
const LEDGER_AFTER: Duration = Duration::from_secs(1);

/// Retry delay while the provider is busy with the SIM: what it carries out takes
/// seconds.
const BUSY_AFTER: Duration = Duration::from_secs(2);

/// Retry delay before another replica is tried.
const ELSEWHERE_AFTER: Duration = Duration::from_millis(100);

/// A row of the error table.
struct Row {
    code: Code,
    reason: ErrorReason,
    /// Metadata of the `ErrorInfo`.
    metadata: Vec<(&'static str, String)>,
    advice: Advice,
}

/// Details that help the caller beyond the reason.
enum Advice {
    None,
    /// `BadRequest`: fields and what is wrong with them.
    Violations(Vec<(String, String)>),
    /// `RetryInfo`.
    RetryAfter(Duration),
    /// `ResourceInfo`: type and name of what was not found.
    NotFound(&'static str, String),
}

impl Row {
    fn new(code: Code, reason: ErrorReason) -> Self {
        Self {
            code,
            reason,
            metadata: Vec::new(),
            advice: Advice::None,
        }
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// An id, if it may be shown.
    fn with_id(self, key: &'static str, id: Option<WriteId>) -> Self {
        match id {
            Some(id) => self.with(key, id),
            None => self,
        }
    }

    fn provider(mut self, detail: &ProviderDetail) -> Self {
        let code = detail.code.clone().map(|code| ("provider_code", code));
        let request_id = detail.request_id.clone().map(|id| ("provider_request_id", id));
        self.metadata.extend(code.into_iter().chain(request_id));
        self
    }

    /// The subscriptions that an add-on can be added to, if there are any.
    fn parents(self, ids: &[String]) -> Self {
        match ids {
            [] => self,
            ids => self.with("parent_subscription_ids", bounds::list(ids)),
        }
    }

    /// The product's list price, if it is known: as a text, and in parts.
    fn price(self, price: Option<&Money>) -> Self {
        let Some(price) = price else {
            return self;
        };
        self.with("price", price)
            .with("price_currency", price.currency().code())
            .with("price_units", price.units())
            .with("price_nanos", price.nanos())
    }

    /// What is known of a write that is in the way: its state, request and caller.
    fn in_the_way(mut self, other: &InTheWay, [state, request_id, caller]: [&'static str; 3]) -> Self {
        if other.is_own {
            self = self.retry_after(BUSY_AFTER);
        }
        let Some(known) = &other.known else {
            return self;
        };
        let row = self
            .with(state, known.state.to_uppercase())
            .with(request_id, known.request_id);
        match &known.caller {
            Some(name) => row.with(caller, name),
            None => row,
        }
    }

    fn field(mut self, field: &str, error: &Error) -> Self {
        self.advice = Advice::Violations(vec![(field.to_owned(), error.to_string())]);
        self
    }

    fn retry_after(mut self, wait: Duration) -> Self {
        self.advice = Advice::RetryAfter(wait);
        self
    }
}

/// The error table. A new error is one more arm here.
fn row(error: &Error) -> Row {
    use ErrorReason as R;
    match error {
        Error::InvalidRequest(violations) => {
            let violations = violations.iter();
            Row {
                advice: Advice::Violations(
                    violations
                        .map(|violation| (violation.field.clone(), violation.description.clone()))
                        .collect(),
                ),
                ..Row::new(Code::InvalidArgument, R::InvalidRequest)
            }
        }
        Error::RequestIdReused { fields } => {
            let row = Row::new(Code::InvalidArgument, R::RequestIdReused).field("request_id", error);
            match fields.as_slice() {
                [] => row,
                fields => row.with("fields", fields.join(",")),
            }
        }
        Error::PageTokenInvalid(fault) => Row {
            advice: Advice::Violations(vec![("page_token".into(), fault.to_string())]),
            ..Row::new(Code::InvalidArgument, R::PageTokenInvalid)
        },
        Error::EventCursorInvalid => {
            Row::new(Code::InvalidArgument, R::EventCursorInvalid).field("resume_token", error)
        }
        Error::EventCursorExpired => Row::new(Code::OutOfRange, R::EventCursorExpired),
        Error::EventStreamTooSlow => Row::new(Code::ResourceExhausted, R::EventStreamTooSlow),
        Error::MetadataTooLarge { .. } => Row::new(Code::ResourceExhausted, R::MetadataTooLarge),
        Error::CallerUnauthenticated => Row::new(Code::Unauthenticated, R::CallerUnauthenticated),
        Error::CallerNotAllowed { caller } => {
            Row::new(Code::PermissionDenied, R::CallerNotAllowed).with("caller", caller)
        }
        Error::ProductNotFound { product_id } => Row {
            advice: Advice::NotFound("connectivity.v1.Product", product_id.clone()),
            ..Row::new(Code::NotFound, R::ProductNotFound).with("product_id", product_id)
        },
        Error::SubscriptionNotFound { subscription_id } => Row {
            advice: Advice::NotFound("connectivity.v1.Subscription", subscription_id.clone()),
            ..Row::new(Code::NotFound, R::SubscriptionNotFound).with("subscription_id", subscription_id)
        },
        Error::SimNotFound { provider } => Row::new(Code::NotFound, R::SimNotFound).provider(provider),
        Error::SimNotResolvable { needed } => {
            Row::new(Code::FailedPrecondition, R::SimNotResolvable).with("needed", needed.name())
        }
        Error::EsimNotFound { provider } => Row::new(Code::NotFound, R::EsimNotFound).provider(provider),
        Error::EsimNotReleased => Row::new(Code::FailedPrecondition, R::EsimNotReleased),
        Error::OperationNotEnabled { provider } => {
            Row::new(Code::FailedPrecondition, R::OperationNotEnabled).provider(provider)
        }
        Error::AddOnNotEnabled { parents } => {
            Row::new(Code::FailedPrecondition, R::OperationNotEnabled).parents(parents)
        }
        Error::ParentSubscriptionRequired { parents } => {
            Row::new(Code::FailedPrecondition, R::ParentSubscriptionRequired).parents(parents)
        }
        Error::ProviderRejected { provider } => {
            Row::new(Code::FailedPrecondition, R::ProviderRejected).provider(provider)
        }
        Error::ProviderCredentialsRejected { provider } => {
            Row::new(Code::Internal, R::ProviderCredentialsRejected).provider(provider)
        }
        Error::ProviderRateLimited {
            retry_after,
            provider,
        } => Row::new(Code::ResourceExhausted, R::ProviderRateLimited)
            .provider(provider)
            .retry_after(*retry_after),
        Error::ProviderUnavailable {
            retry_after,
            provider,
        } => Row::new(Code::Unavailable, R::ProviderUnavailable)
            .provider(provider)
            .retry_after(*retry_after),
        Error::ProviderCircuitOpen { retry_after } => {
            Row::new(Code::Unavailable, R::ProviderCircuitOpen).retry_after(*retry_after)
        }
        Error::Overloaded { retry_after } => {
            Row::new(Code::Unavailable, R::Overloaded).retry_after(*retry_after)
        }
        Error::ProviderProtocol { provider } => {
            Row::new(Code::Internal, R::ProviderProtocol).provider(provider)
        }
        Error::OrderNotFound => Row::new(Code::NotFound, R::OrderNotFound),
        Error::OrderInProgress(other) => Row::new(Code::Aborted, R::OrderInProgress)
            .with_id("order_id", other.id)
            .in_the_way(other, ["order_state", "order_request_id", "order_caller"]),
        Error::OrderNotTaken { provider } => Row::new(Code::Aborted, R::OrderInProgress)
            .provider(provider)
            .retry_after(BUSY_AFTER),
        Error::OrderRejected { order_id, failure } => {
            Row::new(refused(failure.reason), refusal(failure.reason))
                .with("order_id", order_id)
                .provider(&failure.provider)
        }
        Error::OrderNotAcceptable { failure } => {
            Row::new(refused(failure.reason), refusal(failure.reason)).provider(&failure.provider)
        }
        Error::SimOperationNotFound => Row::new(Code::NotFound, R::SimOperationNotFound),
        Error::SimOperationInProgress(other) => Row::new(Code::Aborted, R::SimOperationInProgress)
            .with_id("operation_id", other.id)
            .in_the_way(
                other,
                ["operation_state", "operation_request_id", "operation_caller"],
            ),
        Error::SimBusy { provider } => Row::new(Code::Aborted, R::SimOperationInProgress)
            .provider(provider)
            .retry_after(BUSY_AFTER),
        Error::SimOperationRejected {
            operation_id,
            failure,
            sim_status,
        } => {
            let row = Row::new(refused(failure.reason), refusal(failure.reason))
                .with("operation_id", operation_id)
                .provider(&failure.provider);
            match sim_status {
                Some(status) => row.with("sim_status", status.name()),
                None => row,
            }
        }
        Error::SimStatusNotEligible { status } => {
            Row::new(Code::FailedPrecondition, R::SimStatusNotEligible).with("sim_status", status.name())
        }
        Error::SubscriptionNotEligible { .. } => Row::new(Code::FailedPrecondition, R::ProductNotEligible),
        Error::OrderNotResolvable { state } => Row::new(Code::FailedPrecondition, R::OrderNotResolvable)
            .with("state", state.order_name().to_uppercase()),
        Error::SimOperationNotResolvable { state } => {
            Row::new(Code::FailedPrecondition, R::OrderNotResolvable)
                .with("state", state.name().to_uppercase())
        }
        Error::PriceAboveMaximum { price } => {
            Row::new(Code::FailedPrecondition, R::PriceAboveMaximum).price(Some(price))
        }
        Error::PriceNotComparable { price } | Error::PriceNotLimited { price } => {
            Row::new(Code::FailedPrecondition, R::PriceNotComparable).price(price.as_ref())
        }
        Error::PoolNotFound { pool } => Row {
            advice: Advice::NotFound("connectivity.v1.PoolStock", pool.to_string()),
            ..Row::new(Code::NotFound, R::PoolNotFound).with("pool", pool)
        },
        Error::CallerLimitReached { limit, retry_after } => {
            Row::new(Code::ResourceExhausted, R::CallerLimitReached)
                .with("limit", limit.name())
                .with("limit_value", limit)
                .retry_after(*retry_after)
        }
        Error::PoolEmpty { pool } => Row::new(Code::FailedPrecondition, R::PoolEmpty).with("pool", pool),
        Error::ReservationNotFound => Row::new(Code::NotFound, R::ReservationNotFound),
        Error::ReservationOver => Row::new(Code::FailedPrecondition, R::ReservationOver),
        Error::SimReserved => Row::new(Code::FailedPrecondition, R::SimReserved),
        Error::SimInUse { by, order_id } => Row::new(Code::FailedPrecondition, R::SimInUse)
            .with("sim_use", by.name())
            .with_id("other_order_id", *order_id),
        Error::CatalogVersionUnknown => Row::new(Code::OutOfRange, R::CatalogVersionUnknown),
        Error::LedgerUnavailable | Error::EventLogUnavailable | Error::CatalogHistoryUnavailable => {
            Row::new(Code::Unavailable, R::LedgerUnavailable).retry_after(LEDGER_AFTER)
        }
        Error::DeadlineExceeded => Row::new(Code::DeadlineExceeded, R::DeadlineExceeded),
        Error::TooLittleTime { least } => {
            Row::new(Code::DeadlineExceeded, R::DeadlineExceeded).with("least_deadline_ms", least.as_millis())
        }
        Error::MethodNotFound => Row::new(Code::Unimplemented, R::MethodNotFound),
        Error::RequestTooLarge { .. } => Row::new(Code::ResourceExhausted, R::RequestTooLarge),
        Error::RequestMalformed { .. } => Row::new(Code::InvalidArgument, R::RequestMalformed),
        Error::EncodingNotSupported => Row::new(Code::Unimplemented, R::EncodingNotSupported),
        Error::ShuttingDown => Row::new(Code::Unavailable, R::ShuttingDown).retry_after(ELSEWHERE_AFTER),
        Error::AfterLedger { error, state } => after_ledger(row(error), *state),
        Error::Internal => Row::new(Code::Internal, R::Internal),
    }
}

/// What the ledger held of the request id when the call failed. An error
/// without it was returned before the ledger was read.
fn after_ledger(row: Row, state: LedgerState) -> Row {
    match state {
        LedgerState::Nothing => row.with("known_state", "NONE"),
        LedgerState::Write(id, state) => row
            .with("known_state", state.to_uppercase())
            .with("known_order_id", id),
    }
}

/// Reason of a refused order or operation.
fn refusal(reason: Reason) -> ErrorReason {
    match reason {
        // Of a former release, which kept it as refused for good: there is nothing
        // to wait for.
        Reason::InProgress => ErrorReason::ProviderRejected,
        reason => super::convert::order::reason(reason),
    }
}

/// Code of a refused order or operation.
fn refused(reason: Reason) -> Code {
    match reason {
        Reason::SimNotFound | Reason::ProductNotFound => Code::NotFound,
        Reason::SimStatusNotEligible
        | Reason::ProductNotEligible
        | Reason::InsufficientFunds
        | Reason::OperationNotEnabled
        | Reason::InProgress
        | Reason::Rejected => Code::FailedPrecondition,
        Reason::CredentialsRejected | Reason::Protocol => Code::Internal,
        Reason::Ambiguous | Reason::Unreadable => Code::Unavailable,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let Row {
            code,
            reason,
            metadata,
            advice,
        } = row(&error);
        let retry = (retry::KEY, Retry::after(&error).name().to_owned());
        let metadata = metadata.into_iter().chain([retry]);
        let metadata = metadata.map(|(key, value)| (key.to_owned(), bounds::value(value)));
        let metadata: HashMap<String, String> = metadata.collect();
        let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, metadata);
        let mut pushback = None;
        match advice {
            Advice::None => {}
            Advice::Violations(violations) => {
                details.set_bad_request(bounds::violations(violations));
            }
            Advice::RetryAfter(wait) => {
                details.set_retry_info(Some(wait));
                pushback = Some(wait);
            }
            Advice::NotFound(kind, name) => {
                details.set_resource_info(kind, bounds::value(name), "", "");
            }
        }
        let message = bounds::message(error.to_string());
        let mut status = Self::with_error_details(code, message, details);
        if let Some(wait) = pushback {
            // gRPC's own retries (gRFC A6) go by it, and not by `RetryInfo`.
            let milliseconds = AsciiMetadataValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            status
                .metadata_mut()
                .insert("grpc-retry-pushback-ms", milliseconds);
        }
        status
    }
}

/// An error as a message, for one element of an answer: the same as its
/// `Status` would carry.
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

/// The reason that callers see by this name, if there is one.
pub fn reason_named(reason: &str) -> Option<&'static str> {
    ErrorReason::from_str_name(&format!("ERROR_REASON_{reason}")).map(name)
}

/// The reason as callers see it: without the enum's prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

#[cfg(test)]
mod examples;
