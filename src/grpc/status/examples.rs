//! One of every error there is, and what its metadata means: a new error has a
//! line here, and `docs/errors.md` is written from it.

use super::{Duration, Error, InTheWay, LedgerState, ProviderDetail, Reason};
use crate::domain::Pool;
use crate::domain::error::{PageTokenFault, Violation};
use crate::domain::failure::Failure;
use crate::domain::in_the_way::Occupant;
use crate::domain::limits::Limit;
use crate::domain::money::{Currency, Money};
use crate::domain::sim::Identifier;
use crate::domain::sim_use::SimUse;
use crate::domain::write::{RequestId, State, WriteId};
use crate::domain::{Caller, SimStatus, sim_operation};

pub(super) fn errors() -> Vec<Error> {
    let provider = || ProviderDetail {
        code: Some("C".into()),
        request_id: Some("R".into()),
    };
    let retry_after = Duration::from_secs(1);
    let price = Money::from_cents(Currency::parse("EUR").unwrap(), 1);
    let id = WriteId::new();
    let mut all = vec![
        Error::InvalidRequest(vec![Violation {
            field: "f".into(),
            description: "d".into(),
        }]),
        Error::PageTokenInvalid(PageTokenFault::Foreign),
        Error::EventCursorInvalid,
        Error::EventCursorExpired,
        Error::EventStreamTooSlow,
        Error::MetadataTooLarge { most: 1 },
        Error::EventLogUnavailable,
        Error::CatalogVersionUnknown,
        Error::CatalogHistoryUnavailable,
        Error::ProductNotFound {
            product_id: "P".into(),
        },
        Error::RequestIdReused { fields: Vec::new() },
        Error::RequestIdReused {
            fields: vec!["product_id", "reference"],
        },
        Error::OrderNotFound,
        Error::OrderNotFound.after_ledger(LedgerState::Nothing),
        Error::OrderNotFound.after_ledger(LedgerState::Write(id, State::Done.order_name())),
        Error::OrderInProgress(in_the_way(id, true)),
        Error::OrderInProgress(in_the_way(id, false)),
        Error::OrderInProgress(hidden()),
        Error::OrderNotTaken { provider: provider() },
        Error::OrderNotResolvable { state: State::Done },
        Error::SimOperationNotFound,
        Error::SimOperationInProgress(in_the_way(id, false)),
        Error::SimBusy { provider: provider() },
        Error::SimOperationNotResolvable {
            state: sim_operation::State::Failed,
        },
        Error::SubscriptionNotEligible { why: "w" },
        Error::PriceAboveMaximum { price },
        Error::PriceNotComparable { price: None },
        Error::PriceNotComparable { price: Some(price) },
        Error::CallerLimitReached {
            limit: Limit::OrdersPerMinute(60),
            retry_after,
        },
        Error::PriceNotLimited { price: None },
        Error::PriceNotLimited { price: Some(price) },
        Error::PoolNotFound {
            pool: Pool::parse("P").unwrap(),
        },
        Error::PoolEmpty {
            pool: Pool::parse("P").unwrap(),
        },
        Error::ReservationNotFound,
        Error::ReservationOver,
        Error::SimReserved,
        Error::SimInUse {
            by: SimUse::Esim,
            order_id: None,
        },
        Error::SimInUse {
            by: SimUse::Order,
            order_id: Some(id),
        },
        Error::LedgerUnavailable,
        Error::CallerUnauthenticated,
        Error::CallerNotAllowed {
            caller: Caller::parse("shop.internal").unwrap(),
        },
        Error::SimNotFound { provider: provider() },
        Error::SubscriptionNotFound {
            subscription_id: "S".into(),
        },
        Error::SimNotResolvable {
            needed: Identifier::Msisdn,
        },
        Error::EsimNotFound { provider: provider() },
        Error::EsimNotReleased,
        Error::OperationNotEnabled { provider: provider() },
        Error::AddOnNotEnabled {
            parents: vec!["S".into()],
        },
        Error::ParentSubscriptionRequired { parents: Vec::new() },
        Error::ParentSubscriptionRequired {
            parents: vec!["S".into()],
        },
        Error::ProviderRejected { provider: provider() },
        Error::ProviderCredentialsRejected { provider: provider() },
        Error::ProviderRateLimited {
            retry_after,
            provider: provider(),
        },
        Error::ProviderUnavailable {
            retry_after,
            provider: provider(),
        },
        Error::ProviderCircuitOpen { retry_after },
        Error::Overloaded { retry_after },
        Error::ProviderProtocol { provider: provider() },
        Error::DeadlineExceeded,
        Error::TooLittleTime { least: retry_after },
        Error::SimStatusNotEligible {
            status: SimStatus::Suspended,
        },
        Error::MethodNotFound,
        Error::RequestTooLarge { most: 1 },
        Error::RequestMalformed { why: "w".into() },
        Error::EncodingNotSupported,
        Error::ShuttingDown,
        Error::Internal,
    ];
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_refusal()) {
        let failure = || Failure {
            reason,
            provider: provider(),
        };
        all.push(Error::OrderRejected {
            order_id: id,
            failure: failure(),
        });
        all.push(Error::OrderNotAcceptable { failure: failure() });
        all.push(Error::SimOperationRejected {
            operation_id: id,
            failure: failure(),
            sim_status: (reason == Reason::SimStatusNotEligible).then_some(SimStatus::Barred),
        });
    }
    all
}

fn in_the_way(id: WriteId, is_own: bool) -> InTheWay {
    let known = Occupant {
        state: "unknown",
        needs_operator: false,
        request_id: RequestId(uuid::Uuid::nil()),
        caller: Some("shop.internal".into()),
    };
    InTheWay {
        id: Some(id),
        is_own,
        known: Some(Box::new(known)),
    }
}

fn hidden() -> InTheWay {
    InTheWay {
        id: None,
        is_own: false,
        known: None,
    }
}

/// Keys of the metadata: with which errors, and what it is.
pub(super) const KEYS: &str = "\
| `retry` | every error | what may be done: `SAME_REQUEST_ID`, `NEW_REQUEST_ID` or `NEVER`, see [how to retry](#how-to-retry) |
| `known_state` | an error of a write that was given after the ledger was read, except a refusal of the order or operation itself | what the ledger held for this `request_id`: `NONE`, or the state of the order or operation without its prefix, or `NEEDS_OPERATOR` |
| `known_order_id` | the same | the id of that order or operation; absent with `NONE` |
| `order_id` | `ORDER_IN_PROGRESS`, a refused order | the order in the way, or the refused one |
| `order_state` | `ORDER_IN_PROGRESS` | the state of the order in the way, without its prefix; with `NEEDS_OPERATOR` waiting does not help |
| `order_request_id` | `ORDER_IN_PROGRESS` | the `request_id` of the order in the way |
| `order_caller` | `ORDER_IN_PROGRESS` | who requested it, where that is known |
| `operation_id` | `SIM_OPERATION_IN_PROGRESS`, a refused operation | the operation in the way, or the refused one |
| `operation_state` | `SIM_OPERATION_IN_PROGRESS` | the state of the operation in the way, without its prefix, or `NEEDS_OPERATOR` |
| `operation_request_id` | `SIM_OPERATION_IN_PROGRESS` | the `request_id` of the operation in the way |
| `operation_caller` | `SIM_OPERATION_IN_PROGRESS` | who requested it, where that is known |
| `sim_use` | `SIM_IN_USE` | what uses the SIM: `SUBSCRIPTION`, one that has not ended; `ESIM`, an eSIM that was on a device, is bound to one, or has a status that is not known; `ORDER`, another purchase in the ledger |
| `other_order_id` | `SIM_IN_USE` | that purchase, where the caller may see it |
| `sim_status` | `SIM_STATUS_NOT_ELIGIBLE` of an operation | the status that the SIM has, without its prefix; not in repeats of a refused operation |
| `least_deadline_ms` | `DEADLINE_EXCEEDED` of a write of which nothing was sent | the least deadline of a call that spends as much time on reads before as this one did, in milliseconds |
| `state` | `ORDER_NOT_RESOLVABLE` | the state that it is in |
| `price` | `PRICE_ABOVE_MAXIMUM`, `PRICE_NOT_COMPARABLE` | the product's list price, where one is known |
| `price_currency` | the same | its currency: ISO 4217 |
| `price_units` | the same | its whole units |
| `price_nanos` | the same | its billionths of a unit beyond those |
| `fields` | `REQUEST_ID_REUSED` | the fields that differ from the request that the id was used for, separated by commas, and never their values; absent when that was another call than this one, or another caller's that this one may not see |
| `limit` | `CALLER_LIMIT_REACHED` | which limit: `orders_per_minute`, `orders_per_day`, `spend_per_day` of the caller, `account_spend_per_day` of all callers together, or `calls_per_second`, `calls_in_flight` of the caller at one replica |
| `limit_value` | `CALLER_LIMIT_REACHED` | how much it is |
| `needed` | `SIM_NOT_RESOLVABLE` | `iccid` or `msisdn` |
| `caller` | `CALLER_NOT_ALLOWED` | the name that the gateway knows the caller by |
| `product_id` | `PRODUCT_NOT_FOUND` | the product; also in `ResourceInfo` |
| `subscription_id` | `SUBSCRIPTION_NOT_FOUND` | the subscription; also in `ResourceInfo` |
| `pool` | `POOL_NOT_FOUND`, `POOL_EMPTY` | the pool of the stock, as requested |
| `parent_subscription_ids` | `PARENT_SUBSCRIPTION_REQUIRED`, `OPERATION_NOT_ENABLED` for an add-on | the subscriptions on the SIM that the add-on can be added to, separated by commas; absent when there is none |
| `provider_code` | errors that Transatel caused | its error title, for support and for `PROVIDER_REJECTED` |
| `provider_request_id` | errors that Transatel caused | its request id, which its support asks for |
";
