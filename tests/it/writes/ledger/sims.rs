//! Changes of SIMs, which are kept beside orders.

use std::collections::BTreeMap;

use transatel_gateway::domain::Iccid;
use transatel_gateway::domain::change::{Labels, OptionalOperation, SimAction, SimChange, SimTerms};

use super::*;
use crate::writes::sim_operations::Action;

suite! {
    a_sim_has_one_change_in_flight_beside_its_orders,
    every_change_is_found_as_it_was_written,
    a_change_that_was_not_carried_out_is_not_begun_again,
}

pub fn change(sim: u32, action: SimAction, request_id: RequestId) -> Attempt {
    let mut attempt = wanted(sim, "P", request_id);
    attempt.write.kind = Kind::Sim(SimChange {
        msisdn: msisdn(sim),
        iccid: Iccid::parse("8988247000000000019").unwrap(),
        terms: SimTerms {
            action,
            plan: Some("PLAN 7".into()),
        },
    });
    attempt
}

fn sim_slot(sim: u32) -> Slot {
    Slot::Sim { msisdn: msisdn(sim) }
}

async fn a_sim_has_one_change_in_flight_beside_its_orders(stage: &Stage) {
    let ledger = &*stage.ledger;
    let first = begun(ledger, change(1, SimAction::Suspend, request(1))).await;
    let mut second = change(1, SimAction::Reactivate, request(2));
    second.generation = 1;
    let busy = ledger.begin(second.clone()).await.unwrap();
    assert!(
        matches!(busy, Begun::Busy(id) if id == first.write.id),
        "{busy:?}"
    );
    // It does not hold up an order for the SIM, nor another SIM.
    let order = begun(ledger, wanted(1, "P", request(3))).await;
    begun(ledger, change(2, SimAction::Suspend, request(4))).await;
    let traffic = ledger.slot_status(&sim_slot(1)).await.unwrap();
    assert_eq!((traffic.in_flight, traffic.generation), (Some(first.write.id), 1));

    // It stays in the way until it is settled; then the next one begins.
    let accepted = Settlement::Unknown {
        provider_reference: Some("T-1".into()),
        sent_by: at(1),
        next_check_at: at(4),
    };
    let first = settled(ledger, &first, accepted, 1).await;
    let busy = ledger.begin(second.clone()).await.unwrap();
    assert!(
        matches!(busy, Begun::Busy(id) if id == first.write.id),
        "{busy:?}"
    );
    let first = settled(ledger, &first, placed(None), 5).await;
    assert_eq!(first.write.provider_reference.as_deref(), Some("T-1"));
    begun(ledger, second).await;
    assert_eq!(ledger.slot_status(&sim_slot(1)).await.unwrap().generation, 2);

    // Orders are listed, changes of SIMs are not.
    let listed = ledger.page(&Filter::default(), None, 10).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|order| order.id).collect();
    assert_eq!(listed, [order.write.id]);
    // A change that was carried out claims no subscription.
    let claims = ledger.claims(&sim_slot(1), WriteId::new()).await.unwrap();
    assert_eq!(claims.rivals, 0);
}

async fn every_change_is_found_as_it_was_written(stage: &Stage) {
    let ledger = &*stage.ledger;
    let update = SimAction::Update(Labels {
        group: Some("fleet \"b\"".into()),
        reference: Some("é\u{1F4F1}".into()),
        metadata: BTreeMap::from([("depot".into(), "Lyon".into()), ("gone".into(), String::new())]),
    });
    let each = Action::each("8988247000000000019", "8988247000000000407", "fleet");
    let mut actions: Vec<_> = each.iter().map(Action::as_domain).collect();
    let kept: Vec<_> = actions.iter().map(OptionalOperation::of_sim).collect();
    for operation in OptionalOperation::ALL {
        assert_eq!(operation.is_of_sims(), kept.contains(&operation), "{operation:?}");
    }
    actions.push(update);
    for (sim, action) in (1..).zip(actions) {
        let attempt = change(sim, action, request(sim.into()));
        let record = begun(ledger, attempt.clone()).await;
        assert_eq!(record.write.kind, attempt.write.kind);
        let again = found(ledger, record.write.id).await.unwrap();
        assert_eq!(again.write.kind, attempt.write.kind);
    }
}

async fn a_change_that_was_not_carried_out_is_not_begun_again(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, change(1, SimAction::Terminate, request(1))).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    let record = settled(ledger, &record, NOT_PLACED, 2).await;
    let again = change(1, SimAction::Terminate, request(1));
    for mut again in [repeating(&record, again.clone()), again] {
        again.generation = 1;
        let known = ledger.begin(again).await.unwrap();
        assert!(matches!(known, Begun::Known(known) if *known == record));
    }
}
