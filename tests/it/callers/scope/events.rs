//! Events of one caller.

use std::collections::BTreeSet;

use serde_json::json;
use stream_events_response::Message;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use super::{OTHER, POOL, SHOP, SUPPORT, Stage};
use crate::support::gateway::{FRANCE, ORDERS, by_msisdn, reason, until};
use crate::writes::orders::order;
use crate::writes::orders_late::FRESH;
use crate::writes::sim_operations::IN_USE;

/// Everything up to the second heartbeat, with the token after each event.
async fn streamed(stage: &Stage, caller: &'static str, resume_token: &str) -> Vec<(String, String)> {
    let request = StreamEventsRequest {
        start: StreamStart::Earliest.into(),
        resume_token: resume_token.to_owned(),
        ..Default::default()
    };
    let mut stream = stage
        .events(caller)
        .stream_events(request)
        .await
        .unwrap()
        .into_inner();
    let (mut seen, mut heartbeats) = (Vec::new(), 0);
    while heartbeats < 2 {
        let message = stream.message().await.unwrap().unwrap();
        match message.message.unwrap() {
            Message::Event(event) => seen.push((event.event_id, message.resume_token)),
            Message::Heartbeat(_) => heartbeats += 1,
        }
    }
    seen
}

async fn listed(stage: &Stage, caller: &'static str) -> Vec<Event> {
    let request = ListEventsRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let answer = stage.events(caller).list_events(request).await.unwrap();
    answer.into_inner().events
}

fn names(events: &[Event]) -> BTreeSet<&str> {
    events.iter().map(|event| event.raw_type.as_str()).collect()
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

#[tokio::test]
async fn a_sim_and_its_subscription_are_followed_by_who_sold_them() {
    for stage in Stage::each().await {
        let control = stage.sandbox.control();
        let sale = CreateOrderRequest {
            sim: None,
            pool: POOL.into(),
            ..order(FRESH)
        };
        let sold = stage.buy(SHOP, &sale).await.unwrap();
        let sim = sold.sim.clone().unwrap();
        control.attach(&sim.msisdn, "FR").unwrap();
        let usage = json!({
            "msisdn": sim.msisdn,
            "productSubscription": { "subscriptionId": sold.subscription_id },
        });
        control.send_event("OCS/PRODUCT/RESOURCE/THRESHOLD", usage);
        control.send_event("SIM-MANAGEMENT/ESIM/DISABLED", json!({ "iccid": sim.iccid }));
        control.send_event("NETWORK/SMS/RECEIVED", json!({ "msisdn": sim.msisdn }));
        let expected = [
            "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ACTIVATED",
            "GATEWAY/ORDER/PLACED",
            "NETWORK/SMS/RECEIVED",
            "OCS/PRODUCT/ACTIVATED",
            "OCS/PRODUCT/PRELOADED",
            "OCS/PRODUCT/RESOURCE/THRESHOLD",
            "SIM-MANAGEMENT/ESIM/DISABLED",
            "SIM-MANAGEMENT/ESIM/DOWNLOADED",
        ];
        until("all of them are in the log", async || {
            let events = listed(&stage, SHOP).await;
            expected.iter().all(|name| names(&events).contains(name))
        })
        .await;
        for event in listed(&stage, SHOP).await {
            assert_eq!(event.caller, SHOP, "{}", event.raw_type);
        }
        assert_eq!(listed(&stage, OTHER).await, []);

        // Another caller's order for the SIM is its own, and the SIM nobody's alone.
        let germany = CreateOrderRequest {
            sim: by_msisdn(&sim.msisdn),
            pool: String::new(),
            product_id: FRANCE.replace("FRANCE", "GERMANY"),
            ..order(FRESH)
        };
        let other = match stage.buy(OTHER, &germany).await {
            Ok(order) => order,
            Err(status) => panic!("{status:?}"),
        };
        let usage = json!({
            "msisdn": sim.msisdn,
            "productSubscription": { "subscriptionId": other.subscription_id },
        });
        control.send_event("OCS/PRODUCT/RESOURCE/EXHAUSTED", usage);
        control.send_event("NETWORK/SMS/DLR/RECEIVED", json!({ "msisdn": sim.msisdn }));
        until("the last one is in the log", async || {
            let events = listed(&stage, SUPPORT).await;
            let all = names(&events);
            all.contains("NETWORK/SMS/DLR/RECEIVED") && all.contains("OCS/PRODUCT/RESOURCE/EXHAUSTED")
        })
        .await;
        let others = listed(&stage, OTHER).await;
        assert!(
            names(&others).contains("OCS/PRODUCT/RESOURCE/EXHAUSTED"),
            "{:?}",
            names(&others)
        );
        let own = listed(&stage, SHOP).await;
        assert!(!names(&own).contains("OCS/PRODUCT/RESOURCE/EXHAUSTED"));
        for events in [&own, &others] {
            assert!(!names(events).contains("NETWORK/SMS/DLR/RECEIVED"));
        }
    }
}

#[tokio::test]
async fn an_event_of_what_was_requested_without_a_name_belongs_to_no_caller() {
    for stage in Stage::each_with_unnamed_callers().await {
        let control = stage.sandbox.control();
        control.configure(|settings| settings.operations.delay = std::time::Duration::ZERO);
        let mut unnamed = stage.gateway.provisioning();
        let suspend = SuspendSimRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            sim: by_msisdn(IN_USE),
            ..Default::default()
        };
        // Nobody else has bought for the SIM.
        stage.buy(SHOP, &order(IN_USE)).await.unwrap();
        control.queue(Script::on("POST", ORDERS).then(Fault::problem(402, "INSUFFICIENT_FUND").step()));
        let germany = CreateOrderRequest {
            product_id: FRANCE.replace("FRANCE", "GERMANY"),
            ..order(IN_USE)
        };
        let refused = reason(&unnamed.create_order(germany).await.unwrap_err());
        assert_eq!(refused.reason, "INSUFFICIENT_FUNDS");
        let order_id = refused.metadata["order_id"].clone();
        let operation = unnamed.suspend_sim(suspend).await.unwrap();
        let operation = operation.into_inner().operation.unwrap();
        assert_eq!(operation.caller, "");

        let of_operation = json!({ "msisdn": IN_USE, "transactionId": operation.provider_reference });
        control.send_event("NETWORK/SMS/RECEIVED", of_operation);
        control.send_event("NETWORK/SMS/DLR/RECEIVED", json!({ "msisdn": IN_USE }));
        until("the SIM's own event is the shop's", async || {
            names(&listed(&stage, SHOP).await).contains("NETWORK/SMS/DLR/RECEIVED")
        })
        .await;
        // It proves that the order was placed, and belongs to it from the start.
        let of_order = json!({ "msisdn": IN_USE, "externalReference": order_id });
        control.send_event("OCS/PRODUCT/EXPIRED", of_order);
        until("all of them are in the log", async || {
            let all = listed(&stage, SUPPORT).await;
            let all = names(&all);
            all.contains("NETWORK/SMS/RECEIVED") && all.contains("OCS/PRODUCT/EXPIRED")
        })
        .await;
        let all = listed(&stage, SUPPORT).await;
        let named = |raw_type| all.iter().find(|event| event.raw_type == raw_type).unwrap();
        let sms = named("NETWORK/SMS/RECEIVED");
        assert_eq!((&sms.operation_id, &*sms.caller), (&operation.operation_id, ""));
        let expired = named("OCS/PRODUCT/EXPIRED");
        assert_eq!((&expired.order_id, &*expired.caller), (&order_id, ""));
        for event in listed(&stage, SHOP).await {
            assert_ne!(event.operation_id, operation.operation_id, "{}", event.raw_type);
            assert_ne!(event.order_id, order_id, "{}", event.raw_type);
        }
    }
}

#[tokio::test]
async fn a_stream_of_ones_own_goes_on_after_any_token() {
    for stage in Stage::each().await {
        let sims = stage.sandbox.control().delivery();
        for (number, sim) in sims.iter().take(6).enumerate() {
            let caller = [SHOP, OTHER][number % 2];
            stage.buy(caller, &order(&sim.msisdn)).await.unwrap();
        }
        until("the provider's events are in the log", async || {
            listed(&stage, SUPPORT).await.len() == 12
        })
        .await;
        // A moment later than in the log.
        let mut all = Vec::new();
        until("they are passed on", async || {
            all = streamed(&stage, SUPPORT, "").await;
            all.len() == 12
        })
        .await;
        let sequence: Vec<&String> = all.iter().map(|(id, _)| id).collect();
        for caller in [SHOP, OTHER] {
            let own = listed(&stage, caller).await;
            assert_eq!(own.len(), 6);
            let stream = streamed(&stage, caller, "").await;
            let seen: Vec<&String> = stream.iter().map(|(id, _)| id).collect();
            assert_eq!(seen, ids(&own));
            // Its own tokens, and those of somebody else's place in the log.
            for (id, token) in all.iter().chain(&stream) {
                let place = sequence.iter().position(|seen| *seen == id).unwrap();
                let after = streamed(&stage, caller, token).await;
                let after: Vec<&String> = after.iter().map(|(id, _)| id).collect();
                let mut expected = seen.clone();
                expected.retain(|id| sequence[place + 1..].contains(id));
                assert_eq!(after, expected);
            }
        }
    }
}
