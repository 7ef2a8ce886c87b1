//! Orders and operations on SIMs whose outcome only an operator can tell, in a
//! ledger that a process of its own can open.

use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Fault, Outcome, Script};
use uuid::Uuid;

use crate::support::gateway::{FRANCE, ORDERS, Provisioning, by_msisdn, subscriptions_of, until};

/// Settings with which the gateway soon asks for an operator.
pub const SOON_STUCK: [(&str, &str); 4] = [
    ("OPERATIONS__GIVE_UP_AFTER", "50ms"),
    ("ORDERS__ESCALATE_AFTER", "100ms"),
    ("ORDERS__SETTLE_WINDOW", "50ms"),
    ("TRANSATEL__READ_ATTEMPTS", "1"),
];

/// An order that was carried out, whose answer was lost and whose SIM cannot be
/// read.
pub async fn order(control: &Control, client: &mut Provisioning, msisdn: &str) -> api::Order {
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    control.queue(
        subscriptions_of(msisdn)
            .then(Fault::Pass)
            .then(Fault::problem(404, "NOT_FOUND").step().forever()),
    );
    let request = api::CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(msisdn),
        product_id: FRANCE.into(),
        ..Default::default()
    };
    let order = client
        .create_order(request)
        .await
        .unwrap()
        .into_inner()
        .order
        .unwrap();
    let found = api::GetOrderRequest {
        key: Some(api::get_order_request::Key::OrderId(order.order_id)),
        wait: None,
    };
    let get = async || {
        let answer = client.clone().get_order(found.clone()).await.unwrap();
        answer.into_inner().order.unwrap()
    };
    until("the order needs an operator", async || {
        get().await.state() == api::OrderState::NeedsOperator
    })
    .await;
    control.clear_faults();
    get().await
}

/// The subscription that an order resulted in, as the provider's portal shows
/// it.
pub fn subscription(control: &Control, order: &api::Order) -> String {
    let found = control.subscriptions_by_reference(&order.order_id);
    found[0].subscription_id.to_string()
}

/// A suspension that never ends.
pub async fn operation(control: &Control, client: &mut Provisioning, msisdn: &str) -> api::SimOperation {
    control.decide_operation(msisdn, Outcome::Hang, None).unwrap();
    let request = api::SuspendSimRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(msisdn),
        ..Default::default()
    };
    let answer = client.suspend_sim(request).await.unwrap().into_inner();
    let id = answer.operation.unwrap().operation_id;
    let found = api::GetSimOperationRequest {
        key: Some(api::get_sim_operation_request::Key::OperationId(id)),
        wait: None,
    };
    let get = async || {
        let answer = client.clone().get_sim_operation(found.clone()).await.unwrap();
        answer.into_inner().operation.unwrap()
    };
    until("the operation needs an operator", async || {
        get().await.needs_operator
    })
    .await;
    get().await
}
