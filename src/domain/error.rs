//! Why a call fails, in the terms of the contract.
//!
//! One variant per situation of the contract's error table; `grpc::status`
//! turns each into its code, reason and details and is the only place that
//! does. Texts here are for the caller: they hold no identifier of a SIM and
//! nothing the provider said.

use std::time::Duration;

use super::failure::Failure;
use super::in_the_way::InTheWay;
use super::limits::Limit;
use super::pool::Pool;
use super::sim::Identifier;
use super::sim_operation;
use super::sim_use::SimUse;
use super::write::{self, WriteId};
use super::{Caller, Money, ProviderDetail, SimStatus};

/// Result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a use case failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request breaks rules; all of them are named.
    #[error("{}", summary(.0))]
    InvalidRequest(Vec<Violation>),
    /// The page token cannot be used.
    #[error("the page token {0}")]
    PageTokenInvalid(PageTokenFault),
    /// The resume token cannot be used.
    #[error("the resume token is invalid, or belongs to another log")]
    EventCursorInvalid,
    /// Some of the events after the token are no longer kept.
    #[error("events after this token are no longer kept: start again without it")]
    EventCursorExpired,
    /// The caller of a stream does not read.
    #[error("the stream was not read for too long: resume with the last resume token")]
    EventStreamTooSlow,
    /// The call has too many or too large headers.
    #[error("the metadata of a call must have at most {most} bytes, with 32 added for each entry")]
    MetadataTooLarge {
        /// In bytes.
        most: usize,
    },
    /// The caller is unauthenticated.
    #[error("the caller is unauthenticated: a certificate or a name by the mesh is needed")]
    CallerUnauthenticated,
    /// The caller may not call this.
    #[error("{caller} may not call this method")]
    CallerNotAllowed {
        /// Who calls.
        caller: Caller,
    },
    /// No such product.
    #[error("the provider has no product {product_id:?}")]
    ProductNotFound {
        /// As requested.
        product_id: String,
    },
    /// No such SIM.
    #[error("the provider does not know the SIM")]
    SimNotFound {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// No such subscription on the SIM.
    #[error("the SIM has no subscription {subscription_id:?}")]
    SubscriptionNotFound {
        /// As requested.
        subscription_id: String,
    },
    /// The other identifier is needed and cannot be found.
    #[error("the SIM's {} is needed and cannot be found: name the SIM by it", needed.name())]
    SimNotResolvable {
        /// Which one.
        needed: Identifier,
    },
    /// The SIM is physical, or unknown.
    #[error("the provider does not know the eSIM: the SIM is physical, or unknown")]
    EsimNotFound {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// There is no activation material yet.
    #[error("the eSIM is not released: there is nothing to install yet")]
    EsimNotReleased,
    /// The account does not have the operation, or the gateway does not allow
    /// it.
    #[error("the operation is not enabled for this account")]
    OperationNotEnabled {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The product is an add-on, and the gateway does not know how an order
    /// names the subscription that it is added to.
    #[error("the product is an add-on, which needs transatel.parent_member: nothing was sent")]
    AddOnNotEnabled {
        /// The subscriptions on the SIM that it could be added to.
        parents: Vec<String>,
    },
    /// The request does not name a subscription that the add-on can be added
    /// to.
    #[error("{}: nothing was sent", no_parent(parents))]
    ParentSubscriptionRequired {
        /// The subscriptions on the SIM that it can be added to.
        parents: Vec<String>,
    },
    /// The provider refused for a reason of its own.
    #[error("the provider refused the request: {}", provider.code_or("no code given"))]
    ProviderRejected {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The provider rejects the gateway's credentials.
    #[error("the provider refuses the gateway's credentials: an operator has to act")]
    ProviderCredentialsRejected {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The provider limits the gateway's rate.
    #[error("the provider limits the rate of requests")]
    ProviderRateLimited {
        /// When to try again.
        retry_after: Duration,
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The provider is down or did not answer in time.
    #[error("the provider cannot be reached or does not answer")]
    ProviderUnavailable {
        /// When to try again.
        retry_after: Duration,
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The provider keeps failing: the circuit breaker is open.
    #[error("the provider keeps failing and is not called for a while: nothing was sent")]
    ProviderCircuitOpen {
        /// When to try again.
        retry_after: Duration,
    },
    /// The gateway is overloaded.
    #[error("the gateway has too many calls in flight")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The provider's answer cannot be read.
    #[error("the provider's answer was not understood")]
    ProviderProtocol {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The request id belongs to another request.
    #[error("the request_id was used before with other content: every request needs its own")]
    RequestIdReused {
        /// The fields that differ, as the contract names them; none when the other
        /// request was of another kind, or may not be seen.
        fields: Vec<&'static str>,
    },
    /// No such order.
    #[error("there is no such order")]
    OrderNotFound,
    /// Another order for the same SIM and product is in flight.
    #[error("{} for the same SIM and product {}: nothing was sent", .0.name("order"), .0.condition())]
    OrderInProgress(InTheWay),
    /// The provider is busy with another request for the SIM.
    #[error(
        "the provider is busy with another request for the SIM: nothing was sent, try again with the same request_id"
    )]
    OrderNotTaken {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The provider refused the order: nothing was bought.
    #[error("{}", .failure.message())]
    OrderRejected {
        /// The order.
        order_id: WriteId,
        /// Why.
        failure: Failure,
    },
    /// The provider would refuse the order: it was validated, and not sent.
    #[error("{}", .failure.message())]
    OrderNotAcceptable {
        /// Why.
        failure: Failure,
    },
    /// No such operation.
    #[error("there is no such operation on a SIM")]
    SimOperationNotFound,
    /// Another operation on the same SIM is in flight.
    #[error("{} on the same SIM {}: nothing was sent", .0.name("operation"), .0.condition())]
    SimOperationInProgress(InTheWay),
    /// The provider is carrying out another operation on the SIM.
    #[error("the provider is busy with another operation on the SIM: nothing was sent, try again later")]
    SimBusy {
        /// What the provider said.
        provider: ProviderDetail,
    },
    /// The provider refused to change the SIM: nothing was changed.
    #[error("{}", .failure.message())]
    SimOperationRejected {
        /// The operation.
        operation_id: WriteId,
        /// Why.
        failure: Failure,
        /// The status that the SIM had, when it was refused for that just now.
        sim_status: Option<SimStatus>,
    },
    /// The SIM's status does not allow the change.
    #[error("the SIM is {}, which the operation does not apply to: nothing was sent", .status.name())]
    SimStatusNotEligible {
        /// The status that it has.
        status: SimStatus,
    },
    /// The request cannot apply to the subscription; nothing was sent.
    #[error("{why}: nothing was sent")]
    SubscriptionNotEligible {
        /// Why not.
        why: &'static str,
    },
    /// The order does not wait for an operator.
    #[error("the order is {}: only one that needs an operator can be resolved", .state.order_name())]
    OrderNotResolvable {
        /// Its state.
        state: write::State,
    },
    /// The operation does not wait for an operator.
    #[error("the operation is {}: only one that needs an operator can be resolved", .state.name())]
    SimOperationNotResolvable {
        /// Its state.
        state: sim_operation::State,
    },
    /// The list price is above what the caller allows.
    #[error("the product's list price is {price}: more than max_price")]
    PriceAboveMaximum {
        /// The list price.
        price: Money,
    },
    /// The product's price and the caller's maximum cannot be compared.
    #[error("max_price cannot be checked: {}", .price.map_or_else(|| "no list price is known".to_owned(), |price| format!("the product's list price is {price}")))]
    PriceNotComparable {
        /// The list price, when it is known.
        price: Option<Money>,
    },
    /// The caller, or all callers together, have ordered as much as they may, or
    /// the caller calls too often.
    #[error("the limit of {limit} is reached: nothing was sent")]
    CallerLimitReached {
        /// Which limit.
        limit: Limit,
        /// When it may be kept again.
        retry_after: Duration,
    },
    /// What may be spent is limited, and the order's price cannot be compared
    /// with that.
    #[error("the limit of what may be spent cannot be checked: {}", .price.map_or_else(|| "no list price is known".to_owned(), |price| format!("the product's list price is {price}, and that currency has no limit")))]
    PriceNotLimited {
        /// The list price, when it is known.
        price: Option<Money>,
    },
    /// No such pool.
    #[error("the stock has no pool {pool}: no SIM was ever added to it")]
    PoolNotFound {
        /// As requested.
        pool: Pool,
    },
    /// No SIM of the pool is available.
    #[error("no SIM of pool {pool} is available: nothing was bought")]
    PoolEmpty {
        /// As requested.
        pool: Pool,
    },
    /// No such reservation.
    #[error("there is no such reservation")]
    ReservationNotFound,
    /// The reservation no longer holds its SIM.
    #[error("the reservation no longer holds its SIM: nothing was sent")]
    ReservationOver,
    /// Another request has the SIM.
    #[error("the SIM is in the stock, and another request has it")]
    SimReserved,
    /// The SIM was to be unused, and is not.
    #[error("the SIM is in use, by {}: nothing was sent", .by.description())]
    SimInUse {
        /// What uses it.
        by: SimUse,
        /// The order, when it is one and may be seen.
        order_id: Option<WriteId>,
    },
    /// The ledger cannot be read or written.
    #[error("the gateway's ledger of orders cannot be used at the moment: nothing was sent")]
    LedgerUnavailable,
    /// The log of events cannot be read or written.
    #[error("the gateway's log of events cannot be used at the moment")]
    EventLogUnavailable,
    /// Changes of the catalog since then are not known, or no longer kept.
    #[error("changes since then are not kept: list the products again and continue from their version")]
    CatalogVersionUnknown,
    /// The history of the catalog cannot be read or written.
    #[error("the gateway's history of the catalog cannot be used at the moment")]
    CatalogHistoryUnavailable,
    /// The caller's deadline passed.
    #[error("the deadline passed before there was an answer")]
    DeadlineExceeded,
    /// So little time is left that an answer would come too late.
    #[error(
        "nothing was sent: too little time was left, the call needs a deadline of at least {} ms",
        .least.as_millis()
    )]
    TooLittleTime {
        /// What a call needs that spends as much time before it sends as this one did.
        least: Duration,
    },
    /// The contract has no such method.
    #[error("there is no such method: compare the name of the service and of the method with the contract")]
    MethodNotFound,
    /// The message of the request is too large.
    #[error("the message of a request must have at most {most} bytes")]
    RequestTooLarge {
        /// In bytes.
        most: usize,
    },
    /// The message of the request cannot be read.
    #[error("the message of the request cannot be read: {why}")]
    RequestMalformed {
        /// What is wrong with its form; nothing of its content.
        why: String,
    },
    /// The message of the request is compressed in an unknown way.
    #[error("the message of the request is compressed in a way that is not supported: use gzip, or none")]
    EncodingNotSupported,
    /// This replica is shutting down.
    #[error("this replica is shutting down")]
    ShuttingDown,
    /// Any of these, after the ledger was read: what an earlier call with the
    /// same id did is known.
    #[error("{error}")]
    AfterLedger {
        /// The error.
        error: Box<Error>,
        /// What the ledger holds.
        state: LedgerState,
    },
    /// A defect of the gateway.
    #[error("internal error")]
    Internal,
}

/// What the ledger holds of a request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerState {
    /// Nothing: nothing was sent under this id.
    Nothing,
    /// This order or operation, in the state of this name.
    Write(WriteId, &'static str),
}

impl Error {
    /// The request id belongs to a request of another kind, or to one that the
    /// caller may not see.
    pub fn id_of_another() -> Self {
        Self::RequestIdReused { fields: Vec::new() }
    }

    /// The error without what the ledger held.
    pub fn cause(&self) -> &Self {
        match self {
            Self::AfterLedger { error, .. } => error.cause(),
            error => error,
        }
    }

    /// This error, of a call that has read the ledger.
    #[must_use]
    pub fn after_ledger(self, state: LedgerState) -> Self {
        match self {
            Self::AfterLedger { .. } => self,
            // These already say that the ledger could not be read, or what it
            // holds.
            Self::LedgerUnavailable | Self::OrderRejected { .. } | Self::SimOperationRejected { .. } => self,
            error => Self::AfterLedger {
                error: Box::new(error),
                state,
            },
        }
    }
}

/// One broken rule of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `sim.iccid` or `product_ids[3]`.
    pub field: String,
    /// What is wrong and what would be valid. Holds no identifier of a SIM.
    pub description: String,
}

fn no_parent(parents: &[String]) -> &'static str {
    match parents {
        [] => "the product is an add-on, and the SIM has no subscription that it can be added to",
        _ => {
            "the product is an add-on: parent_subscription_id has to name a subscription that it can be added to"
        }
    }
}

fn summary(violations: &[Violation]) -> String {
    let fields: Vec<&str> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    format!("the request is invalid: see {}", fields.join(", "))
}

/// What is wrong with a page token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageTokenFault {
    /// Not made by this gateway, or cut off.
    #[error("was not made by this gateway")]
    Foreign,
    /// Made for another filter, order or language.
    #[error("belongs to another request: repeat the request that it came from")]
    OtherRequest,
    /// The catalog that it pages through has changed.
    #[error("belongs to a catalog that has changed: start again without it")]
    Outdated,
}
