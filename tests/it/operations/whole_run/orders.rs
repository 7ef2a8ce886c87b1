//! What costs money, and what changes a SIM.

use serde_json::json;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::SimStatus as Sim;
use transatel_simulator::{Fault, Script, Webhook};
use uuid::Uuid;

use super::{PRIVATE, Visitor};
use crate::support::gateway::{
    FRANCE, ORDERS, Provisioning, SECRET, by_msisdn, fetch, subscriptions_of, until,
};
use crate::writes::orders::order;
use crate::writes::{follow_ups, sim_operations};

impl Visitor {
    pub(super) async fn until_settled(&mut self, request_id: &str) -> Order {
        let mut client = Provisioning::new(self.channel.clone());
        let key = get_order_request::Key::RequestId(request_id.to_owned());
        let request = GetOrderRequest {
            key: Some(key),
            wait: Some(prost_types::Duration {
                seconds: 0,
                nanos: 1_000_000,
            }),
        };
        let mut order = Order::default();
        until("the order is settled", async || {
            let answer = ask!(self, client, get_order, request.clone()).unwrap();
            order = answer.order.unwrap();
            order.next_check_at.is_none() && order.state() != OrderState::Submitting
        })
        .await;
        order
    }

    /// Placed, repeated, refused in several ways, lost and found, lost and
    /// never found, and one that an operator has to settle.
    pub(super) async fn orders(&mut self) {
        let mut client = Provisioning::new(self.channel.clone());
        let order = |msisdn: &str| CreateOrderRequest {
            activation: ActivationMode::OnFirstUse.into(),
            ..order(msisdn)
        };
        for msisdn in ["882470000000041", "882470000000042", "882470000000043"] {
            self.control.set_sim_status(msisdn, Sim::PreActivated).unwrap();
        }
        let placed = CreateOrderRequest {
            reference: "shop 17".into(),
            ..order("882470000000001")
        };
        for request in [placed.clone(), placed.clone()] {
            ask!(self, client, create_order, request).unwrap();
        }
        let reused = CreateOrderRequest {
            sim: by_msisdn("882470000000002"),
            ..placed.clone()
        };
        ask!(self, client, create_order, reused).unwrap_err();
        let personal =
            json!({ "title": "PRODUCT_NOT_ELIGIBLE", "detail": format!("{PRIVATE}, 8988247000000000019") });
        for fault in [
            Fault::body(400, personal.to_string()),
            Fault::problem(402, "INSUFFICIENT_FUND"),
            Fault::RateLimited { retry_after: None },
            Fault::Unauthorized,
        ] {
            self.control.queue(Script::on("POST", ORDERS).then(fault));
            let _ = ask!(self, client, create_order, order("882470000000041"));
        }
        for msisdn in ["882470000000041", "882470000000002"] {
            let validated = CreateOrderRequest {
                validate_only: true,
                ..order(msisdn)
            };
            let _ = ask!(self, client, create_order, validated);
        }
        // Somebody else buys the same while an order is lost, and no event
        // tells which is whose.
        self.control.set_webhook(None).unwrap();
        self.control
            .queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
        self.control.queue(
            subscriptions_of("882470000000043")
                .then(Fault::Pass)
                .then(Fault::hold("look").step().forever()),
        );
        let request = order("882470000000043");
        ask!(self, client, create_order, request.clone()).unwrap();
        self.control.grant("882470000000043", FRANCE).unwrap();
        self.control.clear_faults();
        self.control.release("look");
        let doubtful = self.until_settled(&request.request_id).await;
        assert_eq!(doubtful.state(), OrderState::NeedsOperator);
        let webhook = Webhook::new(self.webhook.clone(), SECRET);
        self.control.set_webhook(Some(webhook)).unwrap();
        // Counted, before it is settled.
        let address = format!("{}/metrics", self.admin);
        until("it is counted", async || {
            fetch(&address).await.contains("state=\"needs_operator\"")
        })
        .await;
        let resolution = ResolveOrderRequest {
            order_id: doubtful.order_id,
            resolution: OperatorResolution::NotPlaced.into(),
            note: "the provider says so".into(),
            ..Default::default()
        };
        ask!(self, client, resolve_order, resolution).unwrap();
        for (step, state) in [
            (Fault::Reset.after_commit(), OrderState::Placed),
            (Fault::Garbage.step(), OrderState::NotPlaced),
        ] {
            self.control.queue(Script::on("POST", ORDERS).then(step));
            let request = order("882470000000042");
            let lost = ask!(self, client, create_order, request.clone()).unwrap();
            assert_eq!(lost.order.unwrap().state(), OrderState::Unknown);
            assert_eq!(self.until_settled(&request.request_id).await.state(), state);
        }
        let listed = ListOrdersRequest {
            sim: by_msisdn("882470000000001"),
            page_size: 1,
            ..Default::default()
        };
        ask!(self, client, list_orders, listed).unwrap();
        ask!(self, client, get_capabilities, GetCapabilitiesRequest::default()).unwrap();
        let day = |day: i64| {
            Some(prost_types::Timestamp {
                seconds: day * 86_400,
                nanos: 0,
            })
        };
        let today = jiff::Timestamp::now().as_second() / 86_400;
        let sums = GetSpendRequest {
            from: day(today - 1),
            to: day(today + 2),
            group_by: vec![SpendGroup::Caller.into(), SpendGroup::Countries.into()],
        };
        ask!(self, client, get_spend, sums).unwrap();
        let listed = ListSimOperationsRequest {
            sim: by_msisdn("882470000000003"),
            ..Default::default()
        };
        ask!(self, client, list_sim_operations, listed).unwrap();
        let resolution = ResolveSimOperationRequest {
            operation_id: Uuid::new_v4().to_string(),
            resolution: OperatorResolution::NotPlaced.into(),
            ..Default::default()
        };
        ask!(self, client, resolve_sim_operation, resolution).unwrap_err();
    }

    /// The orders about a subscription, and the operations that the rest leaves out.
    pub(super) async fn about_subscriptions(&mut self) {
        let mut client = Provisioning::new(self.channel.clone());
        for (action, number) in [
            (follow_ups::Action::Cancel, "26"),
            (follow_ups::Action::End, "26"),
        ] {
            let sim = self.control.sim(number).unwrap();
            let subscription = sim.bought().next().unwrap().subscription_id;
            let request = follow_ups::FollowUp::new(action, &sim.msisdn, subscription);
            self.printed
                .push(format!("{:?}", request.send(&mut client).await));
        }
        let spare = self.control.sim("100").unwrap().iccid;
        for number in ["12", "15"] {
            let sim = self.control.sim(number).unwrap();
            for action in sim_operations::Action::each(&sim.iccid, &spare, "fleet-c") {
                let request = sim_operations::Change::new(&sim.msisdn, action);
                let answer = request.send(&mut client).await;
                self.printed.push(format!("{answer:?}"));
            }
        }
    }
}
