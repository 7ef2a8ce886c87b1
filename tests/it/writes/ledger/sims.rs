//! Changes of SIMs, which are kept as orders without a product.

use std::collections::BTreeMap;

use transatel_gateway::domain::Iccid;
use transatel_gateway::domain::act::{Labels, SimAct, SimChange};

use super::*;

suite! {
    a_sim_has_one_change_in_flight_beside_its_orders,
    every_change_is_found_as_it_was_written,
    a_change_that_was_not_carried_out_is_not_begun_again,
}

fn change(sim: u32, act: SimAct, request_id: RequestId) -> Attempt {
    let mut attempt = wanted(sim, "", request_id);
    attempt.order.wish.act = Act::Sim(SimChange {
        act,
        rate_plan: Some("PLAN 7".into()),
    });
    attempt
}

async fn a_sim_has_one_change_in_flight_beside_its_orders(stage: &Stage) {
    let ledger = &*stage.ledger;
    let first = begun(ledger, change(1, SimAct::Suspend, request(1))).await;
    let mut second = change(1, SimAct::Reactivate, request(2));
    second.generation = 1;
    let busy = ledger.begin(second.clone()).await.unwrap();
    assert!(
        matches!(busy, Begun::Busy(id) if id == first.order.id),
        "{busy:?}"
    );
    // A bundle of the SIM, and another SIM, are no matter of it.
    let order = begun(ledger, wanted(1, "P", request(3))).await;
    begun(ledger, change(2, SimAct::Suspend, request(4))).await;
    let traffic = ledger.traffic(&slot(1, "")).await.unwrap();
    assert_eq!((traffic.in_flight, traffic.generation), (Some(first.order.id), 1));

    // It stays in the way until it is settled; then the next one begins.
    let accepted = Settlement::Unknown {
        provider_reference: Some("T-1".into()),
        sent_by: at(1),
        next_check_at: at(4),
    };
    let first = settled(ledger, &first, accepted, 1).await;
    let busy = ledger.begin(second.clone()).await.unwrap();
    assert!(
        matches!(busy, Begun::Busy(id) if id == first.order.id),
        "{busy:?}"
    );
    let first = settled(ledger, &first, placed(None), 5).await;
    assert_eq!(first.order.provider_reference.as_deref(), Some("T-1"));
    begun(ledger, second).await;
    assert_eq!(ledger.traffic(&slot(1, "")).await.unwrap().generation, 2);

    // Orders are listed, changes of SIMs are not.
    let listed = ledger.page(&Filter::default(), None, 10).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|order| order.id).collect();
    assert_eq!(listed, [order.order.id]);
    // What was done and names no bundle is nobody's unnamed bundle.
    let claims = ledger.claims(&slot(1, ""), OrderId::new()).await.unwrap();
    assert_eq!(claims.rivals, 0);
}

async fn every_change_is_found_as_it_was_written(stage: &Stage) {
    let ledger = &*stage.ledger;
    let update = SimAct::Update(Labels {
        group: Some("fleet \"b\"".into()),
        reference: Some("é\u{1F4F1}".into()),
        metadata: BTreeMap::from([("depot".into(), "Lyon".into()), ("gone".into(), String::new())]),
    });
    let swap = SimAct::Swap {
        new_iccid: Iccid::parse("8988247000000000407").unwrap(),
    };
    let acts = [
        SimAct::Activate,
        SimAct::Suspend,
        SimAct::Reactivate,
        SimAct::Terminate,
        update,
        swap,
    ];
    for (sim, act) in (1..).zip(acts) {
        let attempt = change(sim, act, request(sim.into()));
        let record = begun(ledger, attempt.clone()).await;
        assert_eq!(record.order.wish, attempt.order.wish);
        let again = found(ledger, record.order.id).await.unwrap();
        assert_eq!(again.order.wish, attempt.order.wish);
    }
}

async fn a_change_that_was_not_carried_out_is_not_begun_again(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, change(1, SimAct::Terminate, request(1))).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    let record = settled(ledger, &record, NOT_PLACED, 2).await;
    // As a caller does that looked before anything was known of it.
    let mut again = change(1, SimAct::Terminate, request(1));
    again.generation = 1;
    let known = ledger.begin(again).await.unwrap();
    assert!(matches!(known, Begun::Known(known) if *known == record));
}
