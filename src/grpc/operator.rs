//! The contract for commands that work on the ledger without a call: the same
//! rules for what an operator decides, and the same JSON as the calls answer.

use serde_json::{Map, Value, json};

use super::{convert, parse};
use crate::domain::stock::StockCount;
use crate::domain::write::{Order, WriteId};
use crate::domain::{PriceList, Result, SimOperation};
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::Resolution;

/// What an operator found out.
#[derive(Clone, Debug)]
pub enum Finding {
    /// It was carried out, with this subscription where that is known.
    Placed(Option<String>),
    /// It was not.
    NotPlaced,
}

impl Finding {
    fn parts(&self) -> (i32, String) {
        use pb::OperatorResolution::{NotPlaced, Placed};
        match self {
            Self::Placed(subscription) => (Placed.into(), subscription.clone().unwrap_or_default()),
            Self::NotPlaced => (NotPlaced.into(), String::new()),
        }
    }
}

/// A decision about an order, by the rules of `ResolveOrder`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn order_decision(id: &str, found: &Finding, note: &str) -> Result<(WriteId, Resolution, String)> {
    let (resolution, subscription_id) = found.parts();
    parse::provisioning::resolve_order(&pb::ResolveOrderRequest {
        order_id: id.to_owned(),
        resolution,
        subscription_id,
        note: note.to_owned(),
    })
}

/// A decision about an operation on a SIM, by the rules of
/// `ResolveSimOperation`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn operation_decision(id: &str, found: &Finding, note: &str) -> Result<(WriteId, Resolution, String)> {
    let (resolution, _) = found.parts();
    parse::sim_operations::resolve(&pb::ResolveSimOperationRequest {
        operation_id: id.to_owned(),
        resolution,
        note: note.to_owned(),
    })
}

/// Orders, as `ListOrders` answers them.
pub fn orders(orders: Vec<Order>) -> String {
    text("orders", orders.into_iter().map(order_json).collect())
}

/// An order, as `GetOrder` and `ResolveOrder` answer it.
pub fn order(order: Order) -> String {
    text("order", order_json(order))
}

/// Operations on SIMs, as `ListSimOperations` answers them.
pub fn operations(operations: Vec<SimOperation>) -> String {
    text("operations", operations.into_iter().map(operation_json).collect())
}

/// An operation, as `GetSimOperation` and `ResolveSimOperation` answer it.
pub fn operation(operation: SimOperation) -> String {
    text("operation", operation_json(operation))
}

/// The stock of each pool, as `GetStock` answers it.
pub fn stock(counts: &[StockCount]) -> String {
    let pools = convert::stock::pools(counts, None);
    text("pools", pools.into_iter().map(pool_json).collect())
}

fn text(name: &str, value: Value) -> String {
    format!("{:#}", json!({ name: value }))
}

fn order_json(order: Order) -> Value {
    // The commands read the ledger, and no price list.
    let order = convert::order::order(order, &PriceList::default());
    let mut json = Members::default();
    json.text("orderId", &order.order_id);
    json.text("requestId", &order.request_id);
    json.text("caller", &order.caller);
    json.sim(order.sim.as_ref());
    json.text("productId", &order.product_id);
    json.name("kind", order.kind, order.kind().as_str_name());
    json.name("activation", order.activation, order.activation().as_str_name());
    json.name("state", order.state, order.state().as_str_name());
    json.text("subscriptionId", &order.subscription_id);
    json.text("parentSubscriptionId", &order.parent_subscription_id);
    json.text("reference", &order.reference);
    json.text("providerReference", &order.provider_reference);
    if let Some(failure) = &order.failure {
        json.failure(failure.reason, failure.reason().as_str_name(), &failure.message);
    }
    json.time("createdAt", order.created_at.as_ref());
    json.time("updatedAt", order.updated_at.as_ref());
    json.time("nextCheckAt", order.next_check_at.as_ref());
    json.decision(order.operator_decision.as_ref());
    let used = order.activation_used();
    json.name("activationUsed", order.activation_used, used.as_str_name());
    json.text("pool", &order.pool);
    json.text("reservationId", &order.reservation_id);
    json.list_price(order.list_price.as_ref());
    Value::Object(json.0)
}

fn pool_json(pool: pb::PoolStock) -> Value {
    let mut json = Members::default();
    json.text("pool", &pool.pool);
    json.count("available", pool.available);
    json.count("reserved", pool.reserved);
    json.count("sold", pool.sold);
    json.count("setAside", pool.set_aside);
    json.count("delivered", pool.delivered);
    if !pool.set_aside_by_reason.is_empty() {
        let reasons = pool.set_aside_by_reason.iter().map(|count| {
            let mut json = Members::default();
            json.name("reason", count.reason, count.reason().as_str_name());
            json.count("sims", count.sims);
            Value::Object(json.0)
        });
        json.put("setAsideByReason", reasons.collect());
    }
    Value::Object(json.0)
}

fn operation_json(operation: SimOperation) -> Value {
    let operation = convert::sim_operation::sim_operation(operation);
    let mut json = Members::default();
    json.text("operationId", &operation.operation_id);
    json.text("requestId", &operation.request_id);
    json.sim(operation.sim.as_ref());
    json.name("kind", operation.kind, operation.kind().as_str_name());
    json.name("state", operation.state, operation.state().as_str_name());
    if let Some(failure) = &operation.failure {
        json.failure(failure.reason, failure.reason().as_str_name(), &failure.message);
    }
    json.text("providerReference", &operation.provider_reference);
    json.time("createdAt", operation.created_at.as_ref());
    json.time("updatedAt", operation.updated_at.as_ref());
    json.time("nextCheckAt", operation.next_check_at.as_ref());
    json.text("caller", &operation.caller);
    json.text("newIccid", &operation.new_iccid);
    if operation.needs_operator {
        json.put("needsOperator", true.into());
    }
    json.decision(operation.operator_decision.as_ref());
    Value::Object(json.0)
}

/// Members of an object. What is empty is left out, as protobuf's JSON does.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.put(name, text.into());
        }
    }

    /// Protobuf's JSON has 64 bits as text.
    fn count(&mut self, name: &str, count: i64) {
        if count != 0 {
            self.put(name, count.to_string().into());
        }
    }

    /// A value of an enum by its name; its zero means that it is absent.
    fn name(&mut self, name: &str, number: i32, value: &str) {
        if number != 0 {
            self.put(name, value.into());
        }
    }

    fn time(&mut self, name: &str, time: Option<&prost_types::Timestamp>) {
        if let Some(time) = time {
            self.put(name, time.to_string().into());
        }
    }

    fn list_price(&mut self, given: Option<&pb::ListPrice>) {
        let Some(given) = given else { return };
        let mut list_price = Self::default();
        if let Some(price) = &given.price {
            let mut money = Self::default();
            money.text("currencyCode", &price.currency_code);
            if price.units != 0 {
                money.text("units", &price.units.to_string());
            }
            if price.nanos != 0 {
                money.put("nanos", price.nanos.into());
            }
            list_price.put("price", Value::Object(money.0));
        }
        list_price.time("asOf", given.as_of.as_ref());
        list_price.text("catalogVersion", &given.catalog_version);
        self.put("listPrice", Value::Object(list_price.0));
    }

    fn sim(&mut self, sim: Option<&pb::SimIds>) {
        if let Some(ids) = sim {
            let mut sim = Self::default();
            sim.text("iccid", &ids.iccid);
            sim.text("msisdn", &ids.msisdn);
            self.put("sim", Value::Object(sim.0));
        }
    }

    fn failure(&mut self, reason: i32, name: &str, message: &str) {
        let mut failure = Self::default();
        failure.name("reason", reason, name);
        failure.text("message", message);
        self.put("failure", Value::Object(failure.0));
    }

    fn decision(&mut self, decision: Option<&pb::OperatorDecision>) {
        if let Some(decision) = decision {
            let mut by = Self::default();
            by.text("caller", &decision.caller);
            by.text("note", &decision.note);
            self.put("operatorDecision", Value::Object(by.0));
        }
    }
}
