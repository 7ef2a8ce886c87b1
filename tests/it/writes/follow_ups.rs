//! Orders about a subscription that is there already, over gRPC.

use std::time::Duration;

use api::{OrderKind, OrderState};
use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Criteria, Fault, Script, SimView};
use uuid::Uuid;

use crate::support::gateway::{
    ORDERS, Provisioning, SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, reason, spawn, until, violations,
};
use crate::writes::orders;

pub const MONTHLY: &str = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";
/// With a recurring subscription.
const SUBSCRIBED: &str = "882470000000026";

/// What is asked of a subscription.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Cancel,
    End,
}

/// A change of a subscription that is asked for.
#[derive(Clone, Debug)]
pub struct FollowUp {
    pub action: Action,
    pub request_id: String,
    pub sim: Option<api::SimRef>,
    pub subscription_id: String,
}

impl FollowUp {
    pub fn new(action: Action, msisdn: &str, subscription_id: impl ToString) -> Self {
        Self {
            action,
            request_id: Uuid::new_v4().to_string(),
            sim: by_msisdn(msisdn),
            subscription_id: subscription_id.to_string(),
        }
    }

    /// Asks, within a deadline when there is one.
    pub async fn within(
        &self,
        client: &mut Provisioning,
        deadline: Option<Duration>,
    ) -> Result<api::Order, Status> {
        macro_rules! send {
            ($method:ident, $request:ident) => {{
                let mut request = Request::new(api::$request {
                    request_id: self.request_id.clone(),
                    sim: self.sim.clone(),
                    subscription_id: self.subscription_id.clone(),
                });
                if let Some(deadline) = deadline {
                    request.set_timeout(deadline);
                }
                client.$method(request).await?.into_inner().order
            }};
        }
        let order = match self.action {
            Action::Cancel => send!(cancel_renewal, CancelRenewalRequest),
            Action::End => send!(terminate_subscription, TerminateSubscriptionRequest),
        };
        Ok(order.unwrap())
    }

    pub async fn send(&self, client: &mut Provisioning) -> Result<api::Order, Status> {
        self.within(client, None).await
    }

    pub async fn get(&self, client: &mut Provisioning) -> Result<api::Order, Status> {
        let key = api::get_order_request::Key::RequestId(self.request_id.clone());
        let request = api::GetOrderRequest {
            key: Some(key),
            wait: None,
        };
        let answer = client.get_order(request).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    async fn until(&self, client: &mut Provisioning, state: OrderState) -> api::Order {
        until(state.as_str_name(), async || {
            self.get(client).await.is_ok_and(|order| order.state() == state)
        })
        .await;
        self.get(client).await.unwrap()
    }
}

fn subscription(sim: &SimView, product: &str) -> Uuid {
    let found = sim
        .bought()
        .find(|subscription| subscription.product_id == product);
    found.unwrap().subscription_id
}

/// SIMs in use with a recurring subscription that runs, and that subscription.
pub fn subscribed(control: &Control, count: usize) -> Vec<(String, Uuid)> {
    let fresh = control.find_sims(Criteria::FRESH, count);
    assert_eq!(fresh.len(), count);
    let subscribe = |sim: SimView| {
        let id = control.grant(&sim.msisdn, MONTHLY).unwrap();
        control.attach(&sim.msisdn, "FR").unwrap();
        (sim.msisdn, id)
    };
    fresh.into_iter().map(subscribe).collect()
}

/// The provider's word for where a subscription is.
pub fn status(control: &Control, msisdn: &str, id: Uuid) -> String {
    let sim = control.sim(msisdn).unwrap();
    let mut subscriptions = sim.subscriptions.into_iter();
    subscriptions
        .find(|subscription| subscription.subscription_id == id)
        .unwrap()
        .status
}

#[tokio::test]
async fn a_renewal_is_canceled_and_a_subscription_is_ended_once() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let sim = control.sim(SUBSCRIBED).unwrap();
    let id = subscription(&sim, MONTHLY);
    for (action, kind, word, expected) in [
        (
            Action::Cancel,
            OrderKind::CancelRenewal,
            "cancelRenewal",
            "canceled",
        ),
        (
            Action::End,
            OrderKind::TerminateSubscription,
            "terminate",
            "terminated",
        ),
    ] {
        control.clear_requests();
        let request = FollowUp::new(action, SUBSCRIBED, id);
        let order = request.send(&mut client).await.unwrap();
        assert_eq!((order.state(), order.kind()), (OrderState::Placed, kind));
        assert_eq!(
            (order.product_id.as_str(), order.subscription_id.as_str()),
            (MONTHLY, id.to_string().as_str())
        );
        assert_eq!(order.sim.as_ref().unwrap().msisdn, SUBSCRIBED);
        assert_eq!(status(&env.control(), SUBSCRIBED, id), expected);
        let requests = control.requests();
        let posts: Vec<_> = requests
            .iter()
            .filter(|request| request.route == Some(ORDERS))
            .collect();
        assert_eq!(posts.len(), 1);
        let body: serde_json::Value = serde_json::from_str(&posts[0].body).unwrap();
        let minimal = serde_json::json!({
            "orderType": word,
            "bind": { "msisdn": SUBSCRIBED },
            "product": { "productId": MONTHLY },
            "subscription": { "subscriptionId": id.to_string() },
            "source": "transatel-gateway",
            "mvnoRef": transatel_simulator::Options::default().mvno_ref,
            "transactionReference": order.order_id,
        });
        assert_eq!(body, minimal);
        // Again, by the card: the same order, though the subscription has changed.
        let again = FollowUp {
            sim: by_iccid(&sim.iccid),
            ..request.clone()
        };
        assert_eq!(again.send(&mut client).await.unwrap(), order);
        assert_eq!(request.get(&mut client).await.unwrap(), order);
        assert_eq!(
            control.received("POST", ORDERS),
            if action == Action::Cancel { 1 } else { 2 }
        );
    }
    // They are in the audit trail, the newest first.
    let request = api::ListOrdersRequest {
        sim: by_msisdn(SUBSCRIBED),
        ..Default::default()
    };
    let listed = client.list_orders(request).await.unwrap().into_inner().orders;
    let kinds: Vec<_> = listed.iter().map(api::Order::kind).collect();
    assert_eq!(
        kinds,
        [OrderKind::TerminateSubscription, OrderKind::CancelRenewal]
    );
}

#[tokio::test]
async fn what_cannot_apply_is_refused_and_not_sent() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    // One subscription in each status.
    let sim = control.sim("882470000000027").unwrap();
    let of = |status: &str, product: &str| {
        let found = sim
            .subscriptions
            .iter()
            .find(|subscription| subscription.status == status && subscription.product_id == product);
        found.unwrap().subscription_id.to_string()
    };
    let france = crate::support::gateway::FRANCE;
    let infrastructure = sim
        .subscriptions
        .iter()
        .find(|subscription| subscription.infrastructure)
        .unwrap();
    let eligible = (Code::FailedPrecondition, "PRODUCT_NOT_ELIGIBLE");
    let unknown = (Code::NotFound, "SUBSCRIPTION_NOT_FOUND");
    for (action, id, (code, expected)) in [
        (Action::Cancel, Uuid::new_v4().to_string(), unknown),
        (Action::End, Uuid::new_v4().to_string(), unknown),
        (Action::Cancel, of("active", france), eligible),
        (Action::Cancel, of("terminated", france), eligible),
        (Action::End, of("terminated", france), eligible),
        (Action::End, of("expired", france), eligible),
        (Action::Cancel, of("canceled", MONTHLY), eligible),
        (Action::End, infrastructure.subscription_id.to_string(), eligible),
    ] {
        let request = FollowUp::new(action, &sim.msisdn, &id);
        let refused = request.send(&mut client).await.unwrap_err();
        let error = reason(&refused);
        assert_eq!(
            (error.code, error.reason.as_str()),
            (code, expected),
            "{request:?}"
        );
        assert_eq!(
            reason(&request.get(&mut client).await.unwrap_err()).reason,
            "ORDER_NOT_FOUND"
        );
    }
    let refused = FollowUp::new(Action::End, "999000000000000", Uuid::new_v4())
        .send(&mut client)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused).reason, "SIM_NOT_FOUND");
    assert_eq!(control.received("POST", ORDERS), 0);
}

#[tokio::test]
async fn what_is_not_enabled_is_neither_read_nor_written() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    for action in [Action::Cancel, Action::End] {
        let request = FollowUp::new(action, SUBSCRIBED, Uuid::new_v4());
        let error = reason(&request.send(&mut client).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::FailedPrecondition, "OPERATION_NOT_ENABLED")
        );
        let bad = FollowUp {
            request_id: "17".into(),
            sim: None,
            subscription_id: String::new(),
            action,
        };
        let fields = violations(&bad.send(&mut client).await.unwrap_err());
        assert_eq!(fields, ["request_id", "sim", "subscription_id"]);
    }
    assert_eq!(env.control().counters().requests, Default::default());
}

#[tokio::test]
async fn an_account_that_does_not_have_it_refuses_with_501() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    control.configure(|settings| settings.follow_ups.enabled = false);
    let mut client = env.provisioning();
    let request = FollowUp::new(
        Action::Cancel,
        SUBSCRIBED,
        subscription(&control.sim(SUBSCRIBED).unwrap(), MONTHLY),
    );
    let error = reason(&request.send(&mut client).await.unwrap_err());
    assert_eq!(error.reason, "OPERATION_NOT_ENABLED");
    let order = request.get(&mut client).await.unwrap();
    assert_eq!(
        (order.state(), error.metadata["order_id"].as_str()),
        (OrderState::Rejected, order.order_id.as_str())
    );
}

#[tokio::test]
async fn the_account_decides_where_the_subscription_is_named() {
    let settings = [
        ("TRANSATEL__SUBSCRIPTION_MEMBER", "/subscriptionId"),
        ("TRANSATEL__CANCEL_RENEWAL_ORDER_TYPE", "cancelRenewal"),
        ("TRANSATEL__TERMINATE_ORDER_TYPE", "terminate"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let control = env.control();
    control.configure(|settings| settings.follow_ups.subscription_member = "/subscriptionId".into());
    let id = subscription(&control.sim(SUBSCRIBED).unwrap(), MONTHLY);
    let order = FollowUp::new(Action::End, SUBSCRIBED, id)
        .send(&mut env.provisioning())
        .await
        .unwrap();
    assert_eq!(order.state(), OrderState::Placed);
    assert_eq!(status(&env.control(), SUBSCRIBED, id), "terminated");
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_found_out_from_the_subscription() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let id = subscription(&control.sim(SUBSCRIBED).unwrap(), MONTHLY);
    for action in [Action::Cancel, Action::End] {
        let request = FollowUp::new(action, SUBSCRIBED, id);
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset));
        assert_eq!(
            request.send(&mut client).await.unwrap().state(),
            OrderState::Unknown
        );
        let lost = request.until(&mut client, OrderState::NotPlaced).await;
        // Asked for again it is sent again, and keeps its id.
        control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
        let again = request.send(&mut client).await.unwrap();
        assert_eq!(
            (again.state(), &again.order_id),
            (OrderState::Unknown, &lost.order_id)
        );
        let done = request.until(&mut client, OrderState::Placed).await;
        assert_eq!(done.subscription_id, id.to_string());
        assert_ne!(status(&env.control(), SUBSCRIBED, id), "active");
    }
}

#[tokio::test]
async fn it_takes_the_place_of_its_product_while_it_is_on_its_way() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let request = FollowUp::new(
        Action::Cancel,
        SUBSCRIBED,
        subscription(&control.sim(SUBSCRIBED).unwrap(), MONTHLY),
    );
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post")));
    let running = spawn({
        let (mut client, request) = (client.clone(), request.clone());
        async move { request.send(&mut client).await }
    });
    control.until_held("post", 1).await;
    let standing = request.get(&mut client).await.unwrap();
    let end = FollowUp::new(Action::End, SUBSCRIBED, &request.subscription_id);
    let buy = api::CreateOrderRequest {
        product_id: MONTHLY.into(),
        ..orders::order(SUBSCRIBED)
    };
    for refused in [
        end.send(&mut client).await.unwrap_err(),
        orders::create(&mut client, &buy).await.unwrap_err(),
    ] {
        let error = reason(&refused);
        assert_eq!(error.reason, "ORDER_IN_PROGRESS");
        assert_eq!(error.metadata["order_id"], standing.order_id);
    }
    control.release("post");
    let placed = running.await.unwrap().unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
}

#[tokio::test]
async fn an_operator_can_say_what_became_of_it() {
    let settings = [
        ("ORDERS__ESCALATE_AFTER", "100ms"),
        ("ORDERS__SETTLE_WINDOW", "50ms"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let control = env.control();
    let mut client = env.provisioning();
    let id = subscription(&control.sim(SUBSCRIBED).unwrap(), MONTHLY);
    let request = FollowUp::new(Action::Cancel, SUBSCRIBED, id);
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    control.queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::problem(404, "NOT_FOUND").step().forever()),
    );
    request.send(&mut client).await.unwrap();
    let stuck = request.until(&mut client, OrderState::NeedsOperator).await;
    let resolve = |subscription_id: String| api::ResolveOrderRequest {
        order_id: stuck.order_id.clone(),
        resolution: api::OperatorResolution::Placed.into(),
        subscription_id,
        note: String::new(),
    };
    let other = client
        .resolve_order(resolve(Uuid::new_v4().to_string()))
        .await
        .unwrap_err();
    assert_eq!(violations(&other), ["subscription_id"]);
    for _ in 0..2 {
        let answer = client.resolve_order(resolve(id.to_string())).await.unwrap();
        let resolved = answer.into_inner().order.unwrap();
        assert_eq!(
            (resolved.state(), resolved.subscription_id),
            (OrderState::Placed, id.to_string())
        );
    }
}

#[tokio::test]
async fn a_request_id_identifies_one_subscription_and_one_change() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    let sim = env.control().sim(SUBSCRIBED).unwrap();
    let request = FollowUp::new(Action::Cancel, SUBSCRIBED, subscription(&sim, MONTHLY));
    request.send(&mut client).await.unwrap();
    for other in [
        FollowUp {
            action: Action::End,
            ..request.clone()
        },
        FollowUp {
            subscription_id: Uuid::new_v4().to_string(),
            ..request.clone()
        },
        FollowUp {
            sim: by_msisdn("882470000000001"),
            ..request.clone()
        },
    ] {
        let error = reason(&other.send(&mut client).await.unwrap_err());
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::InvalidArgument, "REQUEST_ID_REUSED")
        );
    }
    assert_eq!(env.control().received("POST", ORDERS), 1);
}
