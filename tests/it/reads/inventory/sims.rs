//! The state of SIMs, one by one and in lists.

use std::collections::BTreeSet;

use tonic::Code;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, ProfileStatus, Script};

use super::{BY_SERIAL, SEARCH, iccid, msisdn, of};
use crate::support::gateway::{SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, reason, subscriptions_of};

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
        let answer = inventory.get_sim(request).await.unwrap().into_inner();
        answer.sim.unwrap()
    };
    let fresh = get(1).await;
    assert_eq!(fresh.status(), SimStatus::Preactivated);
    assert_eq!(fresh.esim_status(), EsimStatus::Released);
    assert_eq!(fresh.ids.as_ref().unwrap().iccid, iccid(&env, 1));
    assert!(fresh.as_of.is_some() && fresh.last_seen_at.is_none() && !fresh.plan.is_empty());
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
    assert_ne!(hidden.sim.unwrap().status(), SimStatus::Unspecified);
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
        .map(|sim| sim.ids.as_ref().unwrap().iccid.clone())
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
async fn sims_are_listed_by_the_status_of_their_esim_and_by_being_unused() {
    let env = TestEnv::open().await;
    let control = env.control();
    let mut inventory = env.inventory();
    let all_of = async |mut request: ListSimsRequest| {
        let mut inventory = env.inventory();
        let mut sims = Vec::new();
        loop {
            let page = inventory.list_sims(request.clone()).await.unwrap().into_inner();
            assert!(page.sims.len() <= 50);
            sims.extend(page.sims);
            if page.next_page_token.is_empty() {
                return sims;
            }
            request.page_token = page.next_page_token;
        }
    };
    let cards =
        |sims: Vec<Sim>| -> BTreeSet<String> { sims.into_iter().map(|sim| sim.ids.unwrap().iccid).collect() };
    let released = ListSimsRequest {
        esim_statuses: vec![EsimStatus::Released.into()],
        page_size: 50,
        ..Default::default()
    };
    let listed = all_of(released.clone()).await;
    assert!(listed.iter().all(|sim| sim.esim_status() == EsimStatus::Released));
    let expected = Criteria {
        esim_status: Some(ProfileStatus::Released),
        ..Criteria::default()
    };
    // The search shows only the card of this one.
    let bare = iccid(&env, 34);
    let expected = control.find_sims(expected, usize::MAX).into_iter();
    let expected = expected.map(|sim| sim.iccid).filter(|card| *card != bare);
    let released_cards = cards(listed);
    assert_eq!(released_cards, expected.collect());

    // What is on a device costs no read; the others are read.
    let unused = ListSimsRequest {
        statuses: vec![SimStatus::Preactivated.into()],
        esim_statuses: released.esim_statuses.clone(),
        unused: true,
        page_size: 1000,
        ..Default::default()
    };
    let before = control.received("GET", SUBSCRIPTIONS);
    let listed = cards(all_of(unused.clone()).await);
    let fresh = control.find_sims(Criteria::FRESH, usize::MAX).into_iter();
    let fresh = fresh.filter(|sim| sim.eid.is_none() && sim.iccid != bare);
    assert_eq!(listed, fresh.map(|sim| sim.iccid).collect());
    let reads = control.received("GET", SUBSCRIPTIONS) - before;
    assert!(reads as usize <= released_cards.len(), "{reads}");

    // One that nothing can be bought for is left out, and not the error of the page.
    let unknown = Fault::problem(404, "SUBSCRIBER_NOT_FOUND");
    control.queue(subscriptions_of(&msisdn(1)).then(unknown));
    assert_eq!(all_of(unused.clone()).await.len(), listed.len() - 1);

    // A token is of its filter.
    let page = inventory
        .list_sims(ListSimsRequest {
            page_size: 2,
            ..released
        })
        .await
        .unwrap();
    let error = inventory
        .list_sims(ListSimsRequest {
            page_token: page.into_inner().next_page_token,
            ..unused
        })
        .await
        .unwrap_err();
    assert_eq!(reason(&error).reason, "PAGE_TOKEN_INVALID");
}
