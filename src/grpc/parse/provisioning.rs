//! Requests of the Provisioning service.

use std::time::Duration;

use jiff::Timestamp;

use super::Violations;
use crate::domain::change::SubscriptionAction;
use crate::domain::write::{
    Activation, FromStock, LONGEST_REFERENCE, OrderAction, PurchaseTerms, RequestId, State,
    SubscriptionTerms, WriteId,
};
use crate::domain::{Error, Requester, Result, SimRef, caller, product};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::stock::Sale;
use crate::service::writes::{Filter, Key, Request, Resolution, Terms};

const LONGEST_SUBSCRIPTION_ID: usize = 255;
pub(super) const LONGEST_NOTE: usize = 500;
pub(super) const DEFAULT_PAGE: u32 = 50;
pub(super) const LARGEST_PAGE: u32 = 1000;
const MOST_STATES: usize = 20;
/// Beyond any deadline that `grpc.max_deadline` should allow; a longer wait is a
/// mistake of the caller.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A parsed `CreateOrderRequest`.
#[derive(Debug)]
pub enum Purchase {
    /// For a SIM that the request names.
    For(Request),
    /// For a SIM of the stock.
    FromStock(Sale),
}

/// Where the SIM of an order is from.
enum Source {
    Named(SimRef),
    Stock(FromStock),
}

/// Parses a `CreateOrderRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn create_order(request: &pb::CreateOrderRequest, by: Requester) -> Result<Purchase> {
    let mut violations = Violations::default();
    let request_id = violations.request_id("request_id", &request.request_id);
    let source = source(&mut violations, request);
    violations.product_id("product_id", &request.product_id);
    let activation = match pb::ActivationMode::try_from(request.activation) {
        Ok(pb::ActivationMode::Unspecified) => None,
        Ok(pb::ActivationMode::OnFirstUse) => Some(Activation::OnFirstUse),
        Ok(pb::ActivationMode::Immediate) => Some(Activation::Immediate),
        Err(_) => {
            violations.add("activation", "is not one of the documented values");
            None
        }
    };
    violations.text("reference", &request.reference, LONGEST_REFERENCE);
    let max_price = violations.money("max_price", request.max_price.as_ref());
    let parent = &request.parent_subscription_id;
    violations.text("parent_subscription_id", parent, LONGEST_SUBSCRIPTION_ID);
    let terms = PurchaseTerms {
        product_id: request.product_id.clone(),
        activation,
        reference: request.reference.clone(),
        max_price,
        parent: (!parent.is_empty()).then(|| parent.clone()),
        from_stock: None,
    };
    let parsed = request_id.zip(source).map(|(request_id, source)| match source {
        Source::Named(sim) => Purchase::For(Request {
            request_id,
            by,
            sim,
            terms: Terms::Purchase(terms),
            require_unused: request.require_unused,
        }),
        Source::Stock(source) => Purchase::FromStock(Sale {
            request_id,
            by,
            terms,
            source,
            require_unused: request.require_unused,
        }),
    });
    violations.into_result(parsed)
}

/// One of `sim`, `pool` and `reservation_id`.
fn source(violations: &mut Violations, request: &pb::CreateOrderRequest) -> Option<Source> {
    let (pool, reservation) = (request.pool.as_str(), request.reservation_id.as_str());
    let given = [request.sim.is_some(), !pool.is_empty(), !reservation.is_empty()];
    if given.iter().filter(|given| **given).count() > 1 {
        violations.add("sim", "only one of sim, pool and reservation_id may be given");
        return None;
    }
    let source = if !pool.is_empty() {
        violations
            .pool("pool", pool)
            .map(FromStock::Pool)
            .map(Source::Stock)
    } else if !reservation.is_empty() {
        let id = violations.request_id("reservation_id", reservation);
        id.map(FromStock::Reservation).map(Source::Stock)
    } else if request.sim.is_none() {
        violations.add("sim", "is required, unless pool or reservation_id is given");
        None
    } else {
        violations.sim("sim", request.sim.as_ref()).map(Source::Named)
    };
    if request.validate_only && matches!(source, Some(Source::Stock(_))) {
        violations.add("validate_only", "can be used only with sim");
    }
    source
}

/// Parses a `CancelRenewalRequest` or a `TerminateSubscriptionRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn subscription_change(
    request_id: &str,
    sim: Option<&pb::SimRef>,
    subscription_id: &str,
    action: SubscriptionAction,
    by: Requester,
) -> Result<Request> {
    let mut violations = Violations::default();
    let request_id = violations.request_id("request_id", request_id);
    let sim = violations.sim("sim", sim);
    if subscription_id.is_empty() {
        violations.add("subscription_id", "is required");
    }
    violations.text("subscription_id", subscription_id, LONGEST_SUBSCRIPTION_ID);
    let parsed = request_id.zip(sim).map(|(request_id, sim)| Request {
        request_id,
        by,
        sim,
        terms: Terms::Subscription(SubscriptionTerms {
            subscription_id: subscription_id.to_owned(),
            action,
        }),
        require_unused: false,
    });
    violations.into_result(parsed)
}

/// Parses a `GetOrderRequest` into the key and the wait.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_order(request: &pb::GetOrderRequest) -> Result<(Key, Duration)> {
    use pb::get_order_request::Key as Given;
    let mut violations = Violations::default();
    let key = match &request.key {
        None => {
            violations.add("key", "is required: give order_id or request_id");
            None
        }
        Some(Given::OrderId(id)) => violations.order_id("order_id", id).map(Key::Write),
        Some(Given::RequestId(id)) => violations.request_id("request_id", id).map(Key::Request),
    };
    let wait = violations.wait(request.wait.as_ref());
    violations.into_result(key.zip(wait))
}

/// A parsed `ListOrdersRequest`.
#[derive(Debug)]
pub struct ListOrders {
    /// Of this SIM.
    pub sim: Option<SimRef>,
    /// The rest of the filter.
    pub filter: Filter,
    /// The last order of the previous page.
    pub after: Option<WriteId>,
    /// Orders per page.
    pub page_size: u32,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_orders(request: &pb::ListOrdersRequest) -> Result<ListOrders> {
    let mut violations = Violations::default();
    let given = request.sim.as_ref();
    let sim = given.and_then(|sim| violations.sim("sim", Some(sim)));
    let states = violations.states(&request.states, state);
    let created_from = violations.moment("created_after", request.created_after.as_ref());
    let created_until = violations.moment("created_before", request.created_before.as_ref());
    violations.text("reference", &request.reference, LONGEST_REFERENCE);
    violations.text("product_id", &request.product_id, product::LONGEST_ID);
    violations.text("caller", &request.caller, caller::LONGEST_ID);
    let action = violations.action("kind", request.kind);
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    violations.into_result(Some(()))?;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (reference, product_id) = (given(&request.reference), given(&request.product_id));
    let caller = given(&request.caller);
    let older = (&sim, &states, created_from, created_until);
    // Without the later fields, tokens of the former release stay valid.
    let fingerprint = match (&reference, &product_id, action, &caller) {
        (None, None, None, None) => Fingerprint::of(&older),
        later => Fingerprint::of(&(older, later)),
    };
    let after = page_token::decode(List::Orders, fingerprint, &request.page_token)
        .map_err(Error::PageTokenInvalid)?;
    Ok(ListOrders {
        sim,
        filter: Filter {
            msisdn: None,
            states,
            created_from,
            created_until,
            reference,
            product_id,
            action,
            caller,
        },
        after,
        page_size,
        fingerprint,
    })
}

/// Parses a `ResolveOrderRequest` into the order, the resolution, and the note.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn resolve_order(request: &pb::ResolveOrderRequest) -> Result<(WriteId, Resolution, String)> {
    let mut violations = Violations::default();
    let id = violations.order_id("order_id", &request.order_id);
    let subscription_id = &request.subscription_id;
    let resolution = match pb::OperatorResolution::try_from(request.resolution) {
        Ok(pb::OperatorResolution::Placed) => {
            if subscription_id.is_empty() {
                violations.add("subscription_id", "is required with OPERATOR_RESOLUTION_PLACED");
            }
            Some(Resolution::Bought(subscription_id.clone()))
        }
        Ok(pb::OperatorResolution::NotPlaced) => {
            if !subscription_id.is_empty() {
                violations.add(
                    "subscription_id",
                    "must be empty with OPERATOR_RESOLUTION_NOT_PLACED",
                );
            }
            Some(Resolution::NotDone)
        }
        Ok(pb::OperatorResolution::Unspecified) | Err(_) => {
            violations.resolution("resolution");
            None
        }
    };
    violations.text("subscription_id", subscription_id, LONGEST_SUBSCRIPTION_ID);
    violations.text("note", &request.note, LONGEST_NOTE);
    let parsed = id.zip(resolution);
    violations.into_result(parsed.map(|(id, resolution)| (id, resolution, request.note.clone())))
}

fn state(number: i32) -> Option<State> {
    match pb::OrderState::try_from(number).ok()? {
        pb::OrderState::Unspecified => None,
        pb::OrderState::Submitting => Some(State::Submitting),
        pb::OrderState::Placed => Some(State::Done),
        pb::OrderState::Rejected => Some(State::Rejected),
        pb::OrderState::Unknown => Some(State::Unknown),
        pb::OrderState::NotPlaced => Some(State::NotDone),
        pb::OrderState::NeedsOperator => Some(State::NeedsOperator),
    }
}

const UUID: &str = "must be a UUID such as 5b0f8a52-3c1d-4e57-9a53-0d7a4f1c9e11";

impl Violations {
    pub(super) fn request_id(&mut self, field: &str, text: &str) -> Option<RequestId> {
        let id = RequestId::parse(text);
        if id.is_none() {
            self.add(field, UUID);
        }
        id
    }

    pub(super) fn order_id(&mut self, field: &str, text: &str) -> Option<WriteId> {
        let id = WriteId::parse(text);
        if id.is_none() {
            self.add(field, UUID);
        }
        id
    }

    pub(super) fn resolution(&mut self, field: &str) {
        self.add(
            field,
            "is required: OPERATOR_RESOLUTION_PLACED or OPERATOR_RESOLUTION_NOT_PLACED",
        );
    }

    /// The states that a list is filtered by, each once.
    pub(super) fn states<T: PartialEq>(
        &mut self,
        numbers: &[i32],
        state: impl Fn(i32) -> Option<T>,
    ) -> Vec<T> {
        let mut states = Vec::new();
        let numbers = self.bounded("states", numbers.iter(), MOST_STATES);
        for (at, number) in numbers.enumerate() {
            match state(*number) {
                Some(state) if !states.contains(&state) => states.push(state),
                Some(_) => {}
                None => self.add(format!("states[{at}]"), "must be a known state"),
            }
        }
        states
    }

    /// How long to wait for an outcome; zero when it is absent.
    pub(super) fn wait(&mut self, wait: Option<&prost_types::Duration>) -> Option<Duration> {
        let Some(given) = wait else {
            return Some(Duration::ZERO);
        };
        let seconds = u64::try_from(given.seconds).ok();
        let nanos = u32::try_from(given.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000);
        let wait = seconds
            .zip(nanos)
            .map(|(seconds, nanos)| Duration::new(seconds, nanos));
        let wait = wait.filter(|wait| *wait <= LONGEST_WAIT);
        if wait.is_none() {
            self.add(
                "wait",
                format!("must be a duration from 0 to {} s", LONGEST_WAIT.as_secs()),
            );
        }
        wait
    }

    /// `None` when it is unspecified.
    fn action(&mut self, field: &str, number: i32) -> Option<OrderAction> {
        use SubscriptionAction::{CancelRenewal, Terminate};
        match pb::OrderKind::try_from(number) {
            Ok(pb::OrderKind::Unspecified) => None,
            Ok(pb::OrderKind::Buy) => Some(OrderAction::Buy),
            Ok(pb::OrderKind::CancelRenewal) => Some(OrderAction::Subscription(CancelRenewal)),
            Ok(pb::OrderKind::TerminateSubscription) => Some(OrderAction::Subscription(Terminate)),
            Err(_) => {
                self.add(field, "is not one of the documented values");
                None
            }
        }
    }

    pub(super) fn moment(
        &mut self,
        field: &str,
        moment: Option<&prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        let given = moment?;
        let nanos = u32::try_from(given.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000);
        let whole = Timestamp::from_second(given.seconds).ok();
        let read = whole.zip(nanos).and_then(|(whole, nanos)| {
            whole
                .checked_add(std::time::Duration::from_nanos(u64::from(nanos)))
                .ok()
        });
        if read.is_none() {
            self.add(field, "must be a time from year -9999 to 9999");
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bound to the four filters that it knew.
    #[test]
    fn a_page_token_of_the_former_release_is_read() {
        let nothing: (Option<SimRef>, Vec<State>) = Default::default();
        let time: Option<Timestamp> = None;
        let fingerprint = Fingerprint::of(&(&nothing.0, &nothing.1, time, time));
        let last = WriteId::new();
        let request = pb::ListOrdersRequest {
            page_token: page_token::encode(List::Orders, fingerprint, &last),
            ..Default::default()
        };
        assert_eq!(list_orders(&request).unwrap().after, Some(last));
        let other = pb::ListOrdersRequest {
            caller: "shop".into(),
            ..request
        };
        assert!(matches!(list_orders(&other), Err(Error::PageTokenInvalid(_))));
    }
}
