//! The Inventory service as support staff and shops use it. SIMs are told by
//! their number in the simulator's stock; its documentation has their stories.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{StillClock, TestEnv, by_iccid, by_msisdn, reason, violations};

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
async fn without_search_and_connectivity_the_needed_identifier_is_named() {
    let env = TestEnv::open().await;
    let control = env.control();
    let card = iccid(&env, 2);
    let mut inventory = env.inventory();
    control.deny("/sim-search");
    // Connectivity alone does.
    let found = inventory
        .get_inventory(of(by_iccid(&card)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.sim.unwrap().msisdn, msisdn(2));
    assert_eq!(control.received("GET", BY_SERIAL), 1);
    control.deny("/connectivity-management");
    let other = iccid(&env, 19);
    let lost = reason(&inventory.get_inventory(of(by_iccid(&other))).await.unwrap_err());
    assert_eq!(
        (lost.code, lost.reason.as_str()),
        (Code::FailedPrecondition, "SIM_NOT_RESOLVABLE")
    );
    assert_eq!(lost.metadata["needed"], "msisdn");
    // What is known stays known.
    inventory.get_inventory(of(by_iccid(&card))).await.unwrap();
    let denied = reason(
        &inventory
            .get_sim(GetSimRequest {
                sim: by_iccid(&other),
            })
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (denied.code, denied.reason.as_str()),
        (Code::FailedPrecondition, "OPERATION_NOT_ENABLED")
    );
}

#[tokio::test]
async fn an_answer_about_another_sim_is_no_answer() {
    let env = TestEnv::open().await;
    let (asked, other) = (iccid(&env, 2), iccid(&env, 3));
    let lie = format!(
        r#"{{"sims":[{{"simSerial":"{other}","msisdn":"+{}","status":"Active"}}]}}"#,
        msisdn(3)
    );
    let control = env.control();
    control.queue(Script::on("GET", SEARCH).then(Fault::body(200, lie).step()));
    let found = env
        .inventory()
        .get_inventory(of(by_iccid(&asked)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        found.sim.unwrap().msisdn,
        msisdn(2),
        "connectivity was asked instead"
    );
}

#[tokio::test]
async fn the_state_of_a_sim_comes_from_search_or_from_connectivity() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let mut get = async |n: u32| {
        let request = GetSimRequest {
            sim: by_msisdn(&msisdn(n)),
        };
        inventory.get_sim(request).await.unwrap().into_inner()
    };
    let fresh = get(1).await;
    assert_eq!(fresh.status(), SimStatus::Preactivated);
    assert_eq!(fresh.esim_status(), EsimStatus::Released);
    assert_eq!(fresh.sim.as_ref().unwrap().iccid, iccid(&env, 1));
    assert!(fresh.as_of.is_some() && fresh.last_seen_at.is_none() && !fresh.rate_plan.is_empty());
    let used = get(2).await;
    assert_eq!(
        (used.status(), used.last_country.as_str()),
        (SimStatus::Active, "FR")
    );
    assert!(used.last_seen_at.is_some() && used.activated_at.is_some());
    for (n, status) in [
        (12, SimStatus::Suspended),
        (13, SimStatus::Terminated),
        (14, SimStatus::Available),
        (15, SimStatus::Available),
        (16, SimStatus::Test),
        (17, SimStatus::Barred),
        (18, SimStatus::OnHold),
        (33, SimStatus::Preactivated),
    ] {
        let sim = get(n).await;
        assert_eq!(sim.status(), status, "SIM {n}: {}", sim.raw_status);
    }
    // Search shows nothing but the ICCID of SIM 34: connectivity knows more.
    let request = GetSimRequest {
        sim: by_iccid(&iccid(&env, 34)),
    };
    let hidden = env.inventory().get_sim(request).await.unwrap().into_inner();
    assert_ne!(hidden.status(), SimStatus::Unspecified);
    let unknown = env
        .inventory()
        .get_sim(GetSimRequest {
            sim: by_msisdn("33600000000"),
        })
        .await
        .unwrap_err();
    assert_eq!(reason(&unknown).reason, "SIM_NOT_FOUND");
}

#[tokio::test]
async fn a_walk_through_the_sims_meets_each_once() {
    let env = TestEnv::open().await;
    let mut inventory = env.inventory();
    let mut walk = async |mut request: ListSimsRequest| {
        let mut met = Vec::new();
        loop {
            let page = inventory.list_sims(request.clone()).await.unwrap().into_inner();
            met.extend(page.sims);
            if page.next_page_token.is_empty() {
                break met;
            }
            request.page_token = page.next_page_token;
            request.page_size = if request.page_size == 7 { 10 } else { 7 };
        }
    };
    let all = walk(ListSimsRequest {
        page_size: 7,
        ..Default::default()
    })
    .await;
    let unique: BTreeSet<String> = all
        .iter()
        .map(|sim| sim.sim.as_ref().unwrap().iccid.clone())
        .collect();
    assert_eq!((all.len(), unique.len()), (100, 100));
    let wanted = [SimStatus::Suspended, SimStatus::Active];
    let statuses = wanted.iter().map(|status| (*status).into()).collect();
    let some = walk(ListSimsRequest {
        statuses,
        page_size: 7,
        ..Default::default()
    })
    .await;
    let expected = all.iter().filter(|sim| wanted.contains(&sim.status())).count();
    assert!(some.iter().all(|sim| wanted.contains(&sim.status())));
    assert!(
        some.len() + 1 >= expected && some.len() <= expected,
        "{} of {expected}",
        some.len()
    );
    let grouped = walk(ListSimsRequest {
        group: "fleet-a".into(),
        ..Default::default()
    })
    .await;
    assert!(!grouped.is_empty() && grouped.iter().all(|sim| sim.group == "fleet-a"));
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
            metrics.contains(r#"gateway_cache_answers_total{cache="inventory",kind="missed",otel_scope_name="transatel-gateway"} 200"#)
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

fn batch(sims: Vec<Option<SimRef>>) -> BatchGetInventoryRequest {
    BatchGetInventoryRequest {
        sims: sims.into_iter().flatten().collect(),
        ..Default::default()
    }
}

async fn all(env: &TestEnv, request: BatchGetInventoryRequest) -> Vec<BatchGetInventoryResponse> {
    let mut stream = env
        .inventory()
        .batch_get_inventory(request)
        .await
        .unwrap()
        .into_inner();
    let mut entries = Vec::new();
    while let Some(entry) = stream.message().await.unwrap() {
        entries.push(entry);
    }
    entries
}

#[tokio::test]
async fn a_batch_answers_every_sim_under_a_bounded_concurrency_and_a_bad_one_spoils_nothing() {
    let env = TestEnv::with(&[("INVENTORY__BATCH_CONCURRENCY", "8")]).await;
    // So that reads overlap.
    env.control()
        .configure(|settings| settings.latency = Duration::from_millis(1));
    let mut sims: Vec<Option<SimRef>> = (0..997).map(|n| by_msisdn(&msisdn(n % 100 + 1))).collect();
    sims.push(by_msisdn("33600000000"));
    sims.push(by_iccid(&iccid(&env, 3)));
    sims.push(by_iccid("8988247999999999999"));
    let entries = all(&env, batch(sims.clone())).await;
    assert_eq!(entries.len(), 1000);
    let indices: BTreeSet<i32> = entries.iter().map(|entry| entry.index).collect();
    assert_eq!(indices.len(), 1000);
    for entry in &entries {
        assert_eq!(entry.sim, sims[entry.index as usize]);
        match entry.outcome.as_ref().unwrap() {
            batch_get_inventory_response::Outcome::Inventory(inventory) => {
                assert!(!inventory.sim.as_ref().unwrap().msisdn.is_empty());
            }
            batch_get_inventory_response::Outcome::Error(error) => {
                assert!([997, 999].contains(&entry.index), "{error:?}");
                assert_eq!(error.code, Code::NotFound as i32);
                assert_eq!(error.details.len(), 1, "with the same details as a call");
            }
        }
    }
    let peak = env.control().counters().requests[&format!("GET {INVENTORY}")].peak_in_flight;
    assert!((2..=8).contains(&peak), "{peak} at once");
}

#[tokio::test]
async fn a_batch_comes_in_the_order_of_completion() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", INVENTORY).then(Fault::hold("slow").step()));
    let request = batch(vec![
        by_msisdn(&msisdn(1)),
        by_msisdn(&msisdn(2)),
        by_msisdn(&msisdn(4)),
    ]);
    let mut stream = env
        .inventory()
        .batch_get_inventory(request)
        .await
        .unwrap()
        .into_inner();
    let mut order = Vec::new();
    order.push(stream.message().await.unwrap().unwrap().index);
    order.push(stream.message().await.unwrap().unwrap().index);
    control.until_held("slow", 1).await;
    control.release("slow");
    order.push(stream.message().await.unwrap().unwrap().index);
    assert!(stream.message().await.unwrap().is_none());
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_obeys_its_deadline_and_keeps_what_it_has() {
    let _still = StillClock::hold();
    // A breaker would end it earlier: nothing would be asked any more.
    let env = TestEnv::with(&[("BREAKER__FAILURES", "1000000")]).await;
    let control = env.control();
    control.queue(
        Script::on("GET", INVENTORY)
            .then(Fault::Pass)
            .then(Fault::Hang.step().forever()),
    );
    let sims = (1..=20).map(|n| by_msisdn(&msisdn(n))).collect();
    let mut request = Request::new(batch(sims));
    request
        .metadata_mut()
        .insert("grpc-timeout", "60S".parse().unwrap());
    let mut stream = env
        .inventory_untimed()
        .batch_get_inventory(request)
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    // Beyond a unary call's longest deadline, which does not count here, and
    // beyond this one's.
    for _ in 0..61 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    let late = loop {
        match stream.message().await {
            Ok(Some(entry)) => assert!(matches!(
                entry.outcome,
                Some(batch_get_inventory_response::Outcome::Error(_))
            )),
            Ok(None) => panic!("the stream ended as if it were complete"),
            Err(status) => break reason(&status),
        }
    };
    assert_eq!(
        (late.code, late.reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
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
