//! A gateway that is killed (`kill -9`) while it ends a subscription, and the process that
//! comes after it on the same ledger.

use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::OrderState;

use crate::support::gateway::{OPERATIONS, ORDERS, SUBSCRIPTIONS, simulator, until};
use crate::writes::follow_ups::{Action, FollowUp, status, subscribed};
use crate::writes::orders::was_not_sent;
use crate::writes::orders_crash::{Death, on_both_ledgers, spawn_until_sent, start};

fn scenarios() -> [Death; 6] {
    [
        Death::Waiting("GET", SUBSCRIPTIONS),
        Death::At(Step::BeforeDurable),
        Death::At(Step::Durable),
        Death::WaitingAfterCommit("POST", ORDERS),
        Death::At(Step::Answered),
        Death::At(Step::Settled),
    ]
}

/// Every moment, on one ledger after the other.
async fn survive_all(store: &str) {
    for (number, death) in scenarios().into_iter().enumerate() {
        let sandbox = simulator().await;
        let control = sandbox.control();
        control.configure(|settings| settings.follow_ups.enabled = true);
        // One SIM each: they share the ledger.
        let (msisdn, subscription) = subscribed(&control, scenarios().len()).remove(number);
        let what = format!("{death:?}");
        let stop_at = death.prepare(&control);
        let mut first = start(&sandbox, store, stop_at, &OPERATIONS).await;
        let request = FollowUp::new(Action::End, &msisdn, subscription);
        let call = spawn_until_sent({
            let (client, request) = (first.client.clone(), request.clone());
            move || {
                let (mut client, request) = (client.clone(), request.clone());
                async move { request.send(&mut client).await }
            }
        });
        death.strike(&mut first.process, &control).await;
        let _ = call.await;
        control.release("wait");
        control.clear_faults();

        let mut next = start(&sandbox, store, None, &OPERATIONS).await;
        until(&what, async || {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            match request.send(&mut next.client).await {
                Ok(order) => order.state() == OrderState::Placed,
                Err(status) if was_not_sent(&status) => false,
                Err(status) => panic!("{what}: {status:?}"),
            }
        })
        .await;
        assert_eq!(status(&control, &msisdn, subscription), "terminated", "{what}");
        next.process.signal("KILL").await;
        next.process.ended().await;
    }
}

#[test]
fn the_documents_say_how_many_moments() {
    let moments = format!("{} moments of an order about a subscription", scenarios().len());
    assert!(
        include_str!("../../../docs/orders.md").contains(&moments),
        "{moments}"
    );
}

on_both_ledgers!(survive_all);
