//! Lists of orders and of changes of SIMs, by what they are.

use transatel_gateway::domain::change::{SimAction, SubscriptionAction};
use transatel_gateway::domain::sim_operation::State as OperationState;
use transatel_gateway::domain::write::{OrderAction, SubscriptionChange, SubscriptionTerms};
use transatel_gateway::domain::{Iccid, SimRef};
use transatel_gateway::store::OperationFilter;

use super::sims::change;
use super::*;

suite! {
    orders_are_found_by_reference_product_kind_and_caller,
    operations_are_listed_newest_first_and_by_what_they_are,
}

async fn orders_are_found_by_reference_product_kind_and_caller(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut ids = Vec::new();
    for sim in 0..6 {
        let mut attempt = wanted(sim, &format!("P{}", sim % 2), request(sim.into()));
        attempt.write.caller = (sim > 0).then(|| format!("shop-{}", sim % 3));
        purchase_mut(&mut attempt.write).terms.reference =
            ["", "R \"1\"", "r \"1\""][sim as usize % 3].into();
        ids.push(begun(ledger, attempt).await.write.id);
    }
    for (sim, action) in [
        (6, SubscriptionAction::CancelRenewal),
        (7, SubscriptionAction::Terminate),
    ] {
        let mut attempt = wanted(sim, "P0", request(sim.into()));
        let line = purchase(&attempt.write).line.clone();
        attempt.write.kind = Kind::Subscription(SubscriptionChange {
            line,
            product_id: "P0".into(),
            terms: SubscriptionTerms {
                subscription_id: "SUB".into(),
                action,
            },
        });
        ids.push(begun(ledger, attempt).await.write.id);
    }
    begun(ledger, change(8, SimAction::Suspend, request(8))).await;
    let page = async |filter: Filter| -> Vec<usize> {
        let orders = ledger.page(&filter, None, 1000).await.unwrap();
        let places = orders
            .iter()
            .map(|order| ids.iter().position(|id| *id == order.id));
        places.map(Option::unwrap).collect()
    };
    let all = Filter::default;
    let reference = |text: &str| Filter {
        reference: Some(text.into()),
        ..all()
    };
    assert_eq!(page(reference("R \"1\"")).await, [4, 1]);
    assert_eq!(page(reference("r \"1\"")).await, [5, 2]);
    assert!(page(reference("R")).await.is_empty());
    let product = Filter {
        product_id: Some("P0".into()),
        ..all()
    };
    assert_eq!(page(product.clone()).await, [7, 6, 4, 2, 0]);
    let caller = Filter {
        caller: Some("shop-2".into()),
        ..all()
    };
    assert_eq!(page(caller.clone()).await, [5, 2]);
    for (action, expected) in [
        (OrderAction::Buy, vec![5, 4, 3, 2, 1, 0]),
        (
            OrderAction::Subscription(SubscriptionAction::CancelRenewal),
            vec![6],
        ),
        (OrderAction::Subscription(SubscriptionAction::Terminate), vec![7]),
    ] {
        let filter = Filter {
            action: Some(action),
            ..all()
        };
        assert_eq!(page(filter).await, expected, "{action:?}");
    }
    let everything = Filter {
        msisdn: Some(msisdn(2)),
        states: vec![State::Submitting],
        created_from: Some(at(0)),
        created_until: Some(at(1)),
        reference: Some("r \"1\"".into()),
        product_id: Some("P0".into()),
        action: Some(OrderAction::Buy),
        caller: Some("shop-2".into()),
    };
    assert_eq!(page(everything.clone()).await, [2]);
    assert_eq!(ledger.page(&everything, Some(ids[2]), 9).await.unwrap(), []);
    let other = Filter {
        msisdn: Some(msisdn(5)),
        ..everything
    };
    assert!(page(other).await.is_empty());
}

async fn operations_are_listed_newest_first_and_by_what_they_are(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut ids = Vec::new();
    let cards = ["8988247000000000019", "8988247000000000027"];
    let accepted = |name: &str| Settlement::Unknown {
        provider_reference: Some(name.into()),
        sent_by: at(1),
        next_check_at: at(4),
    };
    // Being sent, accepted long ago and just now, lost, done, refused, not done,
    // for an operator.
    let ways: [Vec<(Settlement, i64)>; 8] = [
        vec![],
        vec![(accepted("T-1"), 10)],
        vec![(accepted("T-2"), 11)],
        vec![(unknown(100), 20)],
        vec![(placed(None), 1)],
        vec![(Settlement::Rejected(failure()), 1)],
        vec![(unknown(100), 1), (NOT_PLACED, 2)],
        vec![(unknown(100), 1), (Settlement::NeedsOperator(failure()), 2)],
    ];
    for (sim, way) in (0..).zip(ways) {
        let mut attempt = change(sim, SimAction::Suspend, request(sim.into()));
        attempt.write.created_at = at(sim.into());
        if let Kind::Sim(change) = &mut attempt.write.kind {
            change.iccid = Iccid::parse(cards[sim as usize % 2]).unwrap();
        }
        let mut record = begun(ledger, attempt).await;
        for (settlement, now) in way {
            record = settled(ledger, &record, settlement, now).await;
        }
        ids.push(record.write.id);
        begun(ledger, wanted(sim, "P", request(100 + u128::from(sim)))).await;
    }
    let places = |page: &[Write]| -> Vec<usize> {
        let places = page.iter().map(|write| ids.iter().position(|id| *id == write.id));
        places.map(Option::unwrap).collect()
    };
    let page = async |filter: OperationFilter| -> Vec<usize> {
        places(&ledger.page_of_operations(&filter, None, 1000).await.unwrap())
    };
    let all = || OperationFilter {
        given_up_since: at(10),
        ..OperationFilter::default()
    };
    assert_eq!(page(all()).await, [7, 6, 5, 4, 3, 2, 1, 0]);
    let two = ledger.page_of_operations(&all(), Some(ids[5]), 2).await.unwrap();
    assert_eq!(places(&two), [4, 3]);
    use OperationState::{Failed, Pending, Succeeded, Unknown};
    for (states, expected) in [
        (vec![Pending], vec![2, 0]),
        (vec![Unknown], vec![7, 3, 1]),
        (vec![Succeeded], vec![4]),
        (vec![Failed], vec![6, 5]),
        (vec![Failed, Pending], vec![6, 5, 2, 0]),
        (OperationState::ALL.to_vec(), vec![7, 6, 5, 4, 3, 2, 1, 0]),
    ] {
        let filter = OperationFilter {
            states: states.clone(),
            ..all()
        };
        assert_eq!(page(filter).await, expected, "{states:?}");
    }
    let needs_operator = OperationFilter {
        needs_operator: true,
        ..all()
    };
    assert_eq!(page(needs_operator.clone()).await, [7]);
    let none = OperationFilter {
        states: vec![Pending],
        ..needs_operator
    };
    assert!(page(none).await.is_empty());
    let card = SimRef::Iccid(Iccid::parse(cards[1]).unwrap());
    let by_card = OperationFilter {
        sim: Some(card),
        ..all()
    };
    assert_eq!(page(by_card.clone()).await, [7, 5, 3, 1]);
    let by_number = OperationFilter {
        sim: Some(SimRef::Msisdn(msisdn(4))),
        ..all()
    };
    assert_eq!(page(by_number).await, [4]);
    let everything = OperationFilter {
        states: vec![Unknown],
        created_from: Some(at(1)),
        created_until: Some(at(4)),
        ..by_card
    };
    assert_eq!(page(everything).await, [3, 1]);
}
