//! Why a call failed, read from the details of its status.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::connectivity::v1::ErrorReason;
use crate::google;

/// `ErrorInfo.domain` of every error of the gateway.
const DOMAIN: &str = "transatel-gateway";

/// Why a call failed. `docs/errors.md` of the gateway says what each reason
/// means and which metadata it has.
///
/// Errors that did not come from the gateway, such as a refused connection or
/// an error of a proxy, have a code only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reason {
    /// The gRPC code. It decides where `reason` is not known.
    pub code: Code,
    /// The reason. `ErrorReason::Unspecified` when the gateway gave none, or one
    /// that this version of the contract does not have: see `name`.
    pub reason: ErrorReason,
    /// The reason as it was sent, for logs. Empty when there was none.
    pub name: String,
    /// Dynamic values, such as `known_state` or `order_id`.
    pub metadata: HashMap<String, String>,
    /// The fields that the request was refused for.
    pub violations: Vec<Violation>,
    /// How long to wait before a repeat.
    pub retry_delay: Option<Duration>,
    /// The id of the call in the gateway's log and traces, the same as the header
    /// `x-trace-id`. Not the `request_id` of an order.
    pub trace_id: String,
    /// The connection ended before there was an answer.
    pub(crate) connection_lost: bool,
}

/// What may be done after an error: `metadata["retry"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same request may succeed later, with the same `request_id` if it has
    /// one. At once and without being asked only if [`Reason::is_transient`].
    SameRequestId,
    /// The `request_id` is used up: another attempt needs a new one.
    NewRequestId,
    /// The same request is answered the same until it, or what it is about, is
    /// changed.
    Never,
}

/// A field of a request and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `sims[3].iccid`.
    pub field: String,
    /// The rule that it breaks.
    pub description: String,
}

impl Reason {
    /// Reads the reason of an error.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let (name, metadata) = info
            .map(|info| (info.reason.clone(), info.metadata.clone()))
            .unwrap_or_default();
        // A status that was received has no source; one that this side made of
        // a broken connection has.
        let made_here = name.is_empty() && status.source().is_some();
        Self {
            code: status.code(),
            reason: ErrorReason::from_str_name(&format!("ERROR_REASON_{name}")).unwrap_or_default(),
            name,
            metadata,
            violations: details
                .bad_request()
                .map(|request| &*request.field_violations)
                .unwrap_or_default()
                .iter()
                .map(|violation| Violation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            retry_delay: details.retry_info().and_then(|info| info.retry_delay),
            trace_id: details
                .request_info()
                .map(|info| info.request_id.clone())
                .unwrap_or_default(),
            connection_lost: made_here && matches!(status.code(), Code::Unknown | Code::Internal),
        }
    }

    /// Whether the same request may succeed when it is sent again without any
    /// change: the provider or the gateway cannot answer at the moment, or the
    /// connection was lost. A write may be repeated with the same `request_id`
    /// only.
    ///
    /// Not after a refusal: what was refused stays refused under its
    /// `request_id`. Not after a passed deadline: allow more time.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.advice() {
            // Without a time to wait something else has to end first: another
            // order, or a deadline that was too short.
            Some(Advice::SameRequestId) => self.code == Code::Unavailable || self.retry_delay.is_some(),
            Some(Advice::NewRequestId | Advice::Never) => false,
            None => self.is_transient_by_code(),
        }
    }

    /// What may be done, as the gateway says it. `None` for an error that is not
    /// the gateway's, or of one that does not say it yet.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        match self.metadata.get("retry")?.as_str() {
            "SAME_REQUEST_ID" => Some(Advice::SameRequestId),
            "NEW_REQUEST_ID" => Some(Advice::NewRequestId),
            "NEVER" => Some(Advice::Never),
            _ => None,
        }
    }

    /// Of an error that does not say what may be done.
    fn is_transient_by_code(&self) -> bool {
        let refused = ["order_id", "operation_id"]
            .iter()
            .any(|key| self.metadata.contains_key(*key));
        match self.code {
            _ if refused => false,
            Code::Unavailable => true,
            // Without a delay it is a message that is too large, a stream that was
            // not read, or an order that is in the way for longer.
            Code::ResourceExhausted | Code::Aborted => self.retry_delay.is_some(),
            _ => self.connection_lost,
        }
    }

    /// What the gateway's ledger held of the `request_id` when a write failed:
    /// `NONE`, or the state of the order or operation. Absent when the ledger
    /// was not read: ask `GetOrder` or `GetSimOperation` before a refund.
    #[must_use]
    pub fn known_state(&self) -> Option<&str> {
        self.metadata.get("known_state").map(String::as_str)
    }
}

impl From<&google::rpc::Status> for Reason {
    /// The reason of one element of an answer, as `BatchGetInventory` has it.
    fn from(error: &google::rpc::Status) -> Self {
        let details = error.encode_to_vec().into();
        Self::of(&Status::with_details(
            Code::from(error.code),
            error.message.clone(),
            details,
        ))
    }
}
