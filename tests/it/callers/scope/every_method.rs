//! Every method that names an order, an operation, a reservation or an event,
//! called about what another caller has.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use prost::Message as _;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use tonic::{Response, Status};
use transatel_gateway::grpc::DESCRIPTORS;
use transatel_gateway_client::connectivity::v1::*;
use uuid::Uuid;

use super::{OTHER, SHOP, SUPPORT, Stage, reservation};
use crate::support::gateway::{FRANCE, ORDERS, by_msisdn, reason, until};
use crate::writes::orders::order;
use crate::writes::orders_late::FRESH;
use crate::writes::sim_operations::{IN_USE, PLAN};

/// Fields that name what belongs to a caller.
const NAMING: [&str; 5] = [
    "order_id",
    "operation_id",
    "reservation_id",
    "request_id",
    "caller",
];

/// How a method must treat what is another caller's.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// As an id that does not exist.
    Unknown,
    /// As an id that was used for something else.
    Reused,
    /// It shows what is there, without that.
    LeftOut,
    /// Its answers name nothing, for any caller.
    NamesNothing,
}

const METHODS: [(&str, Rule); 22] = [
    ("Events/ListEvents", Rule::LeftOut),
    ("Events/StreamEvents", Rule::LeftOut),
    ("Inventory/ListStock", Rule::LeftOut),
    ("Inventory/WithdrawSim", Rule::NamesNothing),
    ("Provisioning/ActivateSim", Rule::Reused),
    ("Provisioning/CancelRenewal", Rule::Reused),
    ("Provisioning/CreateOrder", Rule::Reused),
    ("Provisioning/GetOrder", Rule::Unknown),
    ("Provisioning/GetSimOperation", Rule::Unknown),
    ("Provisioning/GetSpend", Rule::LeftOut),
    ("Provisioning/ListOrders", Rule::LeftOut),
    ("Provisioning/ListSimOperations", Rule::LeftOut),
    ("Provisioning/ReactivateSim", Rule::Reused),
    ("Provisioning/ReleaseSim", Rule::Unknown),
    ("Provisioning/ReserveSim", Rule::Reused),
    ("Provisioning/ResolveOrder", Rule::Unknown),
    ("Provisioning/ResolveSimOperation", Rule::Unknown),
    ("Provisioning/SuspendSim", Rule::Reused),
    ("Provisioning/SwapSim", Rule::Reused),
    ("Provisioning/TerminateSim", Rule::Reused),
    ("Provisioning/TerminateSubscription", Rule::Reused),
    ("Provisioning/UpdateSim", Rule::Reused),
];

fn names_something(message: &MessageDescriptor, seen: &mut HashSet<String>) -> bool {
    seen.insert(message.full_name().to_owned())
        && message.fields().any(|field| {
            let of_message = field.kind().as_message().cloned();
            NAMING.contains(&field.name()) || of_message.is_some_and(|inner| names_something(&inner, seen))
        })
}

#[test]
fn every_method_that_names_something_of_a_caller_is_in_the_table() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let mut naming = BTreeSet::new();
    for service in pool
        .services()
        .filter(|service| service.package_name() == "connectivity.v1")
    {
        for method in service.methods() {
            let mut seen = HashSet::new();
            if [method.input(), method.output()]
                .iter()
                .any(|message| names_something(message, &mut seen))
            {
                naming.insert(format!("{}/{}", service.name(), method.name()));
            }
        }
    }
    let listed: BTreeSet<String> = METHODS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, naming);
}

/// Ids of what a caller has.
#[derive(Clone)]
struct Ids {
    order: CreateOrderRequest,
    order_id: String,
    operation_request: String,
    operation_id: String,
    reservation: ReserveSimRequest,
    iccid: String,
}

impl Ids {
    /// Of nobody.
    fn unknown(known: &Self) -> Self {
        let new = || Uuid::new_v4().to_string();
        let order_id = Uuid::now_v7().to_string();
        Self {
            order: CreateOrderRequest {
                request_id: new(),
                ..known.order.clone()
            },
            order_id,
            operation_request: new(),
            operation_id: Uuid::now_v7().to_string(),
            reservation: ReserveSimRequest {
                request_id: new(),
                ..known.reservation.clone()
            },
            iccid: known.iccid.clone(),
        }
    }

    /// What another caller must not get.
    fn secrets(&self) -> [&str; 7] {
        [
            &self.order.request_id,
            &self.order.reference,
            &self.order_id,
            &self.operation_request,
            &self.operation_id,
            &self.reservation.request_id,
            SHOP,
        ]
    }
}

/// What a call got, in bytes, and its reason when it was refused.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    reason: Option<String>,
    text: String,
}

impl Answer {
    fn of<T: prost::Message + std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Self {
        match answer {
            Ok(answer) => Self {
                reason: None,
                text: String::from_utf8_lossy(&answer.into_inner().encode_to_vec()).into_owned(),
            },
            Err(status) => {
                let found = reason(&status);
                let metadata: BTreeMap<_, _> = found.metadata.into_iter().collect();
                let message = status.message();
                Self {
                    text: format!("{:?} {} {message} {metadata:?}", found.code, found.reason),
                    reason: Some(found.reason),
                }
            }
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            reason: self.reason.or(other.reason),
            text: self.text + &other.text,
        }
    }

    fn names(&self, ids: &Ids) -> Option<String> {
        let mut secrets = ids.secrets().into_iter();
        secrets
            .find(|secret| self.text.contains(secret))
            .map(str::to_owned)
    }
}

/// Everything up to the second heartbeat.
async fn streamed(stage: &Stage, caller: &'static str) -> Answer {
    let request = StreamEventsRequest {
        start: StreamStart::Earliest.into(),
        ..Default::default()
    };
    let mut stream = stage
        .events(caller)
        .stream_events(request)
        .await
        .unwrap()
        .into_inner();
    let (mut text, mut heartbeats) = (String::new(), 0);
    while heartbeats < 2 {
        match stream.message().await.unwrap().unwrap().message.unwrap() {
            stream_events_response::Message::Event(event) => {
                text += &String::from_utf8_lossy(&event.encode_to_vec());
            }
            stream_events_response::Message::Heartbeat(_) => heartbeats += 1,
        }
    }
    Answer { reason: None, text }
}

fn spend() -> GetSpendRequest {
    let today = jiff::Timestamp::now().as_second() / 86_400;
    let day = |day| {
        Some(prost_types::Timestamp {
            seconds: day * 86_400,
            nanos: 0,
        })
    };
    GetSpendRequest {
        from: day(today - 1),
        to: day(today + 2),
        group_by: vec![SpendGroup::Caller.into(), SpendGroup::Product.into()],
    }
}

/// Calls a method about these.
async fn call(stage: &Stage, method: &str, caller: &'static str, ids: &Ids) -> Answer {
    let mut orders = stage.orders(caller);
    let request_id = ids.operation_request.clone();
    let sim = by_msisdn(IN_USE);
    macro_rules! change {
        ($method:ident, $request:ident { $($field:ident: $value:expr),* }) => {
            Answer::of(orders.$method($request { request_id, sim, plan: PLAN.into(), $($field: $value),* }).await)
        };
    }
    macro_rules! follow_up {
        ($method:ident, $request:ident) => {
            Answer::of(
                orders
                    .$method($request {
                        request_id: ids.order.request_id.clone(),
                        sim: ids.order.sim.clone(),
                        subscription_id: "5f0c".into(),
                    })
                    .await,
            )
        };
    }
    match method {
        "Events/ListEvents" => Answer::of(
            stage
                .events(caller)
                .list_events(ListEventsRequest::default())
                .await,
        ),
        "Events/StreamEvents" => streamed(stage, caller).await,
        "Inventory/ListStock" => Answer::of(
            stage
                .inventory(caller)
                .list_stock(ListStockRequest::default())
                .await,
        ),
        "Inventory/WithdrawSim" => {
            let iccid = ids.iccid.clone();
            Answer::of(
                stage
                    .inventory(caller)
                    .withdraw_sim(WithdrawSimRequest { iccid })
                    .await,
            )
        }
        "Provisioning/ActivateSim" => change!(activate_sim, ActivateSimRequest {}),
        "Provisioning/SuspendSim" => change!(suspend_sim, SuspendSimRequest {}),
        "Provisioning/ReactivateSim" => change!(reactivate_sim, ReactivateSimRequest {}),
        "Provisioning/UpdateSim" => {
            change!(
                update_sim,
                UpdateSimRequest {
                    group: Some("g".into()),
                    reference: None,
                    metadata: Default::default()
                }
            )
        }
        "Provisioning/SwapSim" => change!(
            swap_sim,
            SwapSimRequest {
                new_iccid: ids.iccid.clone()
            }
        ),
        "Provisioning/TerminateSim" => {
            change!(
                terminate_sim,
                TerminateSimRequest {
                    confirm_iccid: ids.iccid.clone()
                }
            )
        }
        "Provisioning/CancelRenewal" => follow_up!(cancel_renewal, CancelRenewalRequest),
        "Provisioning/TerminateSubscription" => {
            follow_up!(terminate_subscription, TerminateSubscriptionRequest)
        }
        "Provisioning/CreateOrder" => Answer::of(orders.create_order(ids.order.clone()).await),
        "Provisioning/ReserveSim" => Answer::of(orders.reserve_sim(ids.reservation.clone()).await),
        "Provisioning/ReleaseSim" => {
            let reservation_id = ids.reservation.request_id.clone();
            Answer::of(orders.release_sim(ReleaseSimRequest { reservation_id }).await)
        }
        "Provisioning/GetOrder" => {
            use get_order_request::Key;
            let keys = [
                Key::OrderId(ids.order_id.clone()),
                Key::RequestId(ids.order.request_id.clone()),
            ];
            let [one, other] = keys.map(|key| GetOrderRequest {
                key: Some(key),
                wait: None,
            });
            let one = Answer::of(orders.get_order(one).await);
            one.and(Answer::of(orders.get_order(other).await))
        }
        "Provisioning/GetSimOperation" => {
            use get_sim_operation_request::Key;
            let keys = [
                Key::OperationId(ids.operation_id.clone()),
                Key::RequestId(ids.operation_request.clone()),
            ];
            let [one, other] = keys.map(|key| GetSimOperationRequest {
                key: Some(key),
                wait: None,
            });
            let one = Answer::of(orders.get_sim_operation(one).await);
            one.and(Answer::of(orders.get_sim_operation(other).await))
        }
        "Provisioning/ListOrders" => {
            let all = ListOrdersRequest::default();
            let of_shop = ListOrdersRequest {
                caller: SHOP.into(),
                ..all.clone()
            };
            let of_sim = ListOrdersRequest {
                sim: by_msisdn(FRESH),
                product_id: FRANCE.into(),
                ..all.clone()
            };
            let mut answer = Answer::of(orders.list_orders(all).await);
            for request in [of_shop, of_sim] {
                answer = answer.and(Answer::of(orders.list_orders(request).await));
            }
            answer
        }
        "Provisioning/ListSimOperations" => {
            let all = ListSimOperationsRequest::default();
            let of_sim = ListSimOperationsRequest { sim, ..all.clone() };
            let all = Answer::of(orders.list_sim_operations(all).await);
            all.and(Answer::of(orders.list_sim_operations(of_sim).await))
        }
        "Provisioning/GetSpend" => Answer::of(orders.get_spend(spend()).await),
        "Provisioning/ResolveOrder" => {
            let request = ResolveOrderRequest {
                order_id: ids.order_id.clone(),
                resolution: OperatorResolution::NotPlaced.into(),
                ..Default::default()
            };
            Answer::of(orders.resolve_order(request).await)
        }
        "Provisioning/ResolveSimOperation" => {
            let request = ResolveSimOperationRequest {
                operation_id: ids.operation_id.clone(),
                resolution: OperatorResolution::NotPlaced.into(),
                ..Default::default()
            };
            Answer::of(orders.resolve_sim_operation(request).await)
        }
        other => panic!("no call of {other}"),
    }
}

/// An order, an operation and a reservation of the shop.
async fn stocked(stage: &Stage) -> Ids {
    let request = CreateOrderRequest {
        reference: "basket-of-the-shop".into(),
        ..order(FRESH)
    };
    let placed = stage.buy(SHOP, &request).await.unwrap();
    let operation_request = Uuid::new_v4().to_string();
    let suspend = SuspendSimRequest {
        request_id: operation_request.clone(),
        sim: by_msisdn(IN_USE),
        plan: PLAN.into(),
    };
    let operation = stage
        .orders(SHOP)
        .suspend_sim(suspend)
        .await
        .unwrap()
        .into_inner();
    let reservation = reservation();
    let held = stage.reserve(SHOP, &reservation).await.unwrap();
    Ids {
        order: request,
        order_id: placed.order_id,
        operation_request,
        operation_id: operation.operation.unwrap().operation_id,
        reservation,
        iccid: held.sim.unwrap().iccid,
    }
}

#[tokio::test]
async fn no_method_shows_what_another_caller_has() {
    for stage in Stage::each().await {
        let ids = stocked(&stage).await;
        let unknown = Ids::unknown(&ids);
        until("the order is an event", async || {
            streamed(&stage, SHOP).await.text.contains(&ids.order_id)
        })
        .await;
        let control = stage.sandbox.control();
        let sent = control.received("POST", ORDERS);
        for (method, rule) in METHODS {
            let answer = call(&stage, method, OTHER, &ids).await;
            assert_eq!(answer.names(&ids), None, "{method}: {answer:?}");
            match rule {
                Rule::Unknown => {
                    let missing = call(&stage, method, OTHER, &unknown).await;
                    assert_eq!(answer, missing, "{method}");
                    assert!(
                        answer
                            .reason
                            .as_ref()
                            .is_some_and(|reason| reason.ends_with("_NOT_FOUND")),
                        "{method}: {answer:?}"
                    );
                }
                Rule::Reused => {
                    assert_eq!(
                        answer.reason.as_deref(),
                        Some("REQUEST_ID_REUSED"),
                        "{method}: {answer:?}"
                    );
                }
                Rule::LeftOut => assert_eq!(answer.reason, None, "{method}: {answer:?}"),
                Rule::NamesNothing => {}
            }
        }
        assert_eq!(control.received("POST", ORDERS), sent);
        // The same calls do show it to its owner, and to those who see all.
        for (method, rule) in METHODS {
            for caller in [SUPPORT, SHOP] {
                let answer = call(&stage, method, caller, &ids).await;
                match rule {
                    Rule::NamesNothing => assert_eq!(answer.names(&ids), None, "{method}: {answer:?}"),
                    Rule::Unknown => {
                        let reason = answer.reason.as_deref().unwrap_or_default();
                        assert!(
                            !reason.ends_with("_NOT_FOUND"),
                            "{method} by {caller}: {answer:?}"
                        );
                    }
                    Rule::Reused | Rule::LeftOut => {
                        assert!(answer.names(&ids).is_some(), "{method} by {caller}: {answer:?}");
                    }
                }
            }
        }
    }
}
