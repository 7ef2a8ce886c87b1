//! The Inventory service as support staff and shops use it. SIMs are named by
//! their number in the simulator's stock; its documentation has their stories.

mod batches;
mod sims;
mod unlimited;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tonic::Code;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{TestEnv, by_iccid, by_msisdn, reason, violations};
use batches::batch;

const INVENTORY: &str = "/ocs/inventory/api/subscriptions/products";
const SEARCH: &str = "/sim-search/api/sim/search";
const BY_SERIAL: &str = "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}";

/// The number of the nth SIM of the stock.
fn msisdn(n: u32) -> String {
    format!("88247{n:010}")
}

/// The card of the nth SIM of the stock.
fn iccid(env: &TestEnv, n: u32) -> String {
    env.control().sim(&n.to_string()).unwrap().iccid
}

fn of(sim: Option<SimRef>) -> GetInventoryRequest {
    GetInventoryRequest {
        sim,
        ..Default::default()
    }
}

fn bytes(amount: &Option<Amount>) -> Option<i64> {
    match amount.as_ref()?.kind.as_ref()? {
        amount::Kind::DataBytes(bytes) => Some(*bytes),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_inventory_says_in_which_language_its_labels_are() {
    let env = TestEnv::open().await;
    // The simulator names a language only where one was requested.
    for (requested, said) in [("", ""), ("fr", "fr-FR"), ("de", "en-US")] {
        let request = GetInventoryRequest {
            language_code: requested.into(),
            ..of(by_msisdn(&msisdn(2)))
        };
        let answer = env.inventory().get_inventory(request).await.unwrap().into_inner();
        assert_eq!(answer.language_code, said, "{requested}");
    }
}

#[tokio::test]
async fn a_sim_is_found_by_either_identifier_and_resolved_once() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let (number, card) = (msisdn(2), iccid(&env, 2));
    let by_card = inventory
        .get_inventory(of(by_iccid(&card)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        by_card.sim,
        Some(SimIds {
            iccid: card.clone(),
            msisdn: number.clone()
        })
    );
    let by_number = inventory
        .get_inventory(of(by_msisdn(&format!("+{number}"))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(by_number.subscriptions, by_card.subscriptions);
    for _ in 0..3 {
        inventory.get_inventory(of(by_iccid(&card))).await.unwrap();
    }
    assert_eq!(env.control().received("GET", SEARCH), 1, "the pair is kept");
    for request in env.control().requests() {
        if request.route == Some(INVENTORY) {
            assert!(
                request.query.contains(&format!("msisdn={number}&")),
                "{}",
                request.query
            );
            assert!(!request.query.contains(&card));
            let statuses = request.query.matches("statuses=").count();
            assert_eq!(
                statuses, 7,
                "all live statuses, each a parameter: {}",
                request.query
            );
            assert!(!request.query.contains("%2C"));
        }
    }
}

#[tokio::test]
async fn a_running_subscription_and_a_waiting_one_tell_what_their_date_means() {
    let env = TestEnv::open().await;
    let answer = env
        .inventory()
        .get_inventory(of(by_msisdn(&msisdn(2))))
        .await
        .unwrap()
        .into_inner();
    let statuses: Vec<SubscriptionStatus> = answer
        .subscriptions
        .iter()
        .map(|subscription| subscription.status())
        .collect();
    assert!(statuses.contains(&SubscriptionStatus::Active));
    assert!(statuses.contains(&SubscriptionStatus::WaitingForFirstUse));
    for subscription in &answer.subscriptions {
        assert!(!subscription.infrastructure, "hidden unless asked for");
        match subscription.status() {
            SubscriptionStatus::Active => {
                assert!(subscription.activated_at.is_some() && subscription.expires_at.is_some());
                assert!(subscription.activation_deadline.is_none());
                let balance = &subscription.balances[0];
                let (remaining, initial, used) = (
                    bytes(&balance.remaining),
                    bytes(&balance.initial),
                    bytes(&balance.used),
                );
                assert_eq!(used.unwrap(), initial.unwrap() - remaining.unwrap());
                assert!(used.unwrap() > 0);
                assert_eq!(answer.totals[0].remaining, balance.remaining);
            }
            SubscriptionStatus::WaitingForFirstUse => {
                assert!(subscription.activation_deadline.is_some());
                assert!(subscription.expires_at.is_none() && subscription.activated_at.is_none());
                assert_eq!(subscription.balances, []);
            }
            other => panic!("{other:?}"),
        }
    }
    let all = GetInventoryRequest {
        include_infrastructure: true,
        ..of(by_msisdn(&msisdn(2)))
    };
    let all = env.inventory().get_inventory(all).await.unwrap().into_inner();
    assert_eq!(
        all.subscriptions
            .iter()
            .filter(|subscription| subscription.infrastructure)
            .count(),
        1
    );
}

#[tokio::test]
async fn odd_balances_are_read_as_the_contract_says() {
    let env = TestEnv::open().await;
    let balances = async |n: u32| {
        let answer = env
            .inventory()
            .get_inventory(of(by_msisdn(&msisdn(n))))
            .await
            .unwrap()
            .into_inner();
        let active = answer
            .subscriptions
            .into_iter()
            .find(|one| one.status() == SubscriptionStatus::Active);
        (active.unwrap().balances, answer.totals)
    };
    let (unlimited, totals) = balances(20).await;
    for balance in unlimited.iter().chain(&totals) {
        assert!(balance.unlimited && balance.remaining.is_none() && balance.initial.is_none());
    }
    for n in [21, 22] {
        let (rows, _) = balances(n).await;
        assert!(
            bytes(&rows[0].initial).unwrap() > 0,
            "SIM {n}: the start comes from the allowance"
        );
        assert!(rows[0].used.is_some());
    }
    let (rows, totals) = balances(23).await;
    assert!(rows.len() > 1, "several rows are kept");
    let resources: BTreeSet<&str> = rows.iter().map(|row| row.resource.as_str()).collect();
    assert_eq!(totals.len(), resources.len(), "and summed per resource");
    for total in &totals {
        let own = rows.iter().filter(|row| row.resource == total.resource);
        assert_eq!(
            bytes(&total.remaining),
            own.map(|row| bytes(&row.remaining)).sum::<Option<i64>>()
        );
    }
    let (rows, totals) = balances(24).await;
    assert_eq!((rows, totals), (vec![], vec![]));
    let (rows, _) = balances(25).await;
    assert!(bytes(&rows[0].remaining).is_some(), "numbers as text and float");
}

#[tokio::test]
async fn ended_subscriptions_come_when_asked_for_and_unknown_statuses_stay_raw() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let live = inventory
        .get_inventory(of(by_msisdn(&msisdn(27))))
        .await
        .unwrap()
        .into_inner()
        .subscriptions;
    let ended = GetInventoryRequest {
        include_ended: true,
        ..of(by_msisdn(&msisdn(27)))
    };
    let ended = inventory
        .get_inventory(ended)
        .await
        .unwrap()
        .into_inner()
        .subscriptions;
    assert!(ended.len() > live.len());
    let over = [SubscriptionStatus::Expired, SubscriptionStatus::Terminated];
    assert!(
        live.iter()
            .all(|subscription| !over.contains(&subscription.status()))
    );
    assert!(
        ended
            .iter()
            .any(|subscription| over.contains(&subscription.status()))
    );
}

#[tokio::test]
async fn reads_agree_with_what_happens_to_a_sim() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let mut first = async || {
        let answer = inventory
            .get_inventory(of(by_msisdn(&msisdn(4))))
            .await
            .unwrap()
            .into_inner();
        answer.subscriptions.into_iter().next()
    };
    let waiting = first().await.unwrap();
    assert_eq!(waiting.status(), SubscriptionStatus::WaitingForFirstUse);
    let control = env.control();
    control.attach("4", "FRA").unwrap();
    let running = first().await.unwrap();
    assert_eq!(
        (running.status(), &running.subscription_id),
        (SubscriptionStatus::Active, &waiting.subscription_id)
    );
    let before = bytes(&running.balances[0].remaining).unwrap();
    control.use_data("4", 10 << 20).unwrap();
    let used = first().await.unwrap();
    assert_eq!(before - bytes(&used.balances[0].remaining).unwrap(), 10 << 20);
    control.advance(Duration::from_secs(400 * 24 * 3600));
    assert!(first().await.is_none());
}

#[tokio::test]
async fn one_subscription_is_found_by_its_id_on_its_own_sim_only() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let all = inventory
        .get_inventory(of(by_msisdn(&msisdn(2))))
        .await
        .unwrap()
        .into_inner()
        .subscriptions;
    let id = all[0].subscription_id.clone();
    let request = GetSubscriptionRequest {
        sim: by_iccid(&iccid(&env, 2)),
        subscription_id: id.clone(),
    };
    let found = inventory
        .get_subscription(request)
        .await
        .unwrap()
        .into_inner()
        .subscription
        .unwrap();
    assert_eq!(found, all[0]);
    let other = GetSubscriptionRequest {
        sim: by_msisdn(&msisdn(19)),
        subscription_id: id.clone(),
    };
    let missing = reason(&inventory.get_subscription(other).await.unwrap_err());
    assert_eq!(
        (missing.code, missing.reason.as_str()),
        (Code::NotFound, "SUBSCRIPTION_NOT_FOUND")
    );
    assert_eq!(missing.metadata["subscription_id"], id);
}

#[tokio::test]
async fn nothing_bought_is_an_empty_list_and_an_unknown_sim_an_error() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let none = inventory
        .get_inventory(of(by_msisdn(&msisdn(1))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((none.subscriptions, none.totals), (vec![], vec![]));
    let unknown = reason(
        &inventory
            .get_inventory(of(by_msisdn("33600000000")))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (unknown.code, unknown.reason.as_str()),
        (Code::NotFound, "SIM_NOT_FOUND")
    );
    let unknown = reason(
        &inventory
            .get_inventory(of(by_iccid("8988247999999999999")))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (unknown.code, unknown.reason.as_str()),
        (Code::NotFound, "SIM_NOT_FOUND")
    );

    // Any other 404 says that there is nothing.
    env.control()
        .queue(Script::on("GET", INVENTORY).then(Fault::problem(404, "NOTHING_THERE").step()));
    let none = inventory
        .get_inventory(of(by_msisdn(&msisdn(2))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(none.subscriptions, []);
}

#[tokio::test]
async fn identical_concurrent_reads_are_one_request_and_nothing_is_kept() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", INVENTORY).then(Fault::hold("crowd").step()));
    let calls = (0..200).map(|_| {
        let mut inventory = env.inventory();
        async move {
            inventory
                .get_inventory(of(by_msisdn(&msisdn(2))))
                .await
                .unwrap()
                .into_inner()
        }
    });
    let gate = async {
        control.until_held("crowd", 1).await;
        // All have to have come before the answer does.
        crate::support::gateway::until("everybody waits", async || {
            let metrics = env.gateway.metrics().await;
            metrics.contains(r#"transatel_gateway_cache_answers_total{cache="inventory",kind="missed",otel_scope_name="transatel-gateway"} 200"#)
        })
        .await;
        control.release("crowd");
    };
    let (answers, ()) = tokio::join!(join_all(calls), gate);
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(control.received("GET", INVENTORY), 1);
    env.inventory()
        .get_inventory(of(by_msisdn(&msisdn(2))))
        .await
        .unwrap();
    assert_eq!(control.received("GET", INVENTORY), 2, "reads are live");
}

#[tokio::test]
async fn bad_requests_name_every_violation_and_send_nothing() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let request = GetInventoryRequest {
        language_code: "?".into(),
        ..of(by_msisdn("1"))
    };
    let refused = inventory.get_inventory(request).await.unwrap_err();
    assert_eq!(violations(&refused), ["language_code", "sim.msisdn"]);
    let refused = inventory
        .get_subscription(GetSubscriptionRequest::default())
        .await
        .unwrap_err();
    assert_eq!(violations(&refused), ["sim", "subscription_id"]);
    let refused = inventory
        .get_sim(GetSimRequest { sim: by_iccid("12") })
        .await
        .unwrap_err();
    assert_eq!(violations(&refused), ["sim.iccid"]);
    let request = ListSimsRequest {
        statuses: vec![0, 1, 99],
        group: "g".repeat(101),
        page_size: -1,
        page_token: "?".into(),
        ..Default::default()
    };
    let refused = inventory.list_sims(request).await.unwrap_err();
    assert_eq!(
        violations(&refused),
        ["group", "page_size", "statuses[0]", "statuses[2]"]
    );
    let refused = inventory
        .list_sims(ListSimsRequest {
            page_token: "?".into(),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(reason(&refused).reason, "PAGE_TOKEN_INVALID");

    let refused = inventory.batch_get_inventory(batch(vec![])).await.unwrap_err();
    assert_eq!(violations(&refused), ["sims"]);
    let refused = inventory
        .batch_get_inventory(batch(vec![by_msisdn(&msisdn(1)); 1001]))
        .await
        .unwrap_err();
    assert_eq!(violations(&refused), ["sims"]);
    let bad = vec![
        by_msisdn("1"),
        by_msisdn(&msisdn(1)),
        by_iccid("x"),
        Some(SimRef { id: None }),
    ];
    let refused = inventory.batch_get_inventory(batch(bad)).await.unwrap_err();
    assert_eq!(
        violations(&refused),
        ["sims[0].msisdn", "sims[2].iccid", "sims[3]"]
    );
    assert_eq!(env.control().counters().requests, Default::default());
}
