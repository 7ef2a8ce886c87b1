//! What keeps the ledger in order, and what shows it.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::*;

suite! {
    orders_of_dead_processes_become_unknown,
    a_process_never_takes_over_its_own_attempts,
    an_attempt_whose_lease_lies_beyond_the_horizon_is_taken_over,
    a_look_that_became_due_meanwhile_is_not_put_off,
    what_lies_beyond_the_horizon_is_due_now,
    what_is_due_is_leased_and_comes_back,
    pages_are_stable_while_orders_are_added,
    settled_orders_are_forgotten_and_others_are_not,
    more_is_forgotten_than_fits_into_one_step,
    writes_are_counted_by_kind_and_state,
    the_order_that_is_unknown_for_longest_tells_since_when,
    the_oldest_in_a_state_come_first_and_name_no_sim,
}

async fn orders_of_dead_processes_become_unknown(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.lease_until = at(10);
    let dead = begun(ledger, attempt).await;
    let alive = begun(ledger, wanted(2, "P", request(2))).await;
    let other = in_state(ledger, 3, State::Done).await;
    assert_eq!(ledger.take_over(BY_ANOTHER, at(9), horizon()).await.unwrap(), 0);
    assert_eq!(ledger.take_over(BY_ANOTHER, at(10), horizon()).await.unwrap(), 1);
    let now = found(ledger, dead.write.id).await.unwrap();
    assert_eq!((now.write.state, now.write.updated_at), (State::Unknown, at(10)));
    assert_eq!((now.write.next_check_at, now.sent_by), (Some(at(10)), at(10)));
    assert_eq!(found(ledger, alive.write.id).await.as_ref(), Some(&alive));
    assert_eq!(
        ledger.take_over(TakeOver::All, at(11), horizon()).await.unwrap(),
        1
    );
    let now = found(ledger, alive.write.id).await.unwrap();
    assert_eq!((now.write.state, now.sent_by), (State::Unknown, at(60)));
    assert_eq!(
        ledger.take_over(TakeOver::All, at(12), horizon()).await.unwrap(),
        0
    );
    assert_eq!(found(ledger, other.write.id).await, Some(other));
}

async fn a_process_never_takes_over_its_own_attempts(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.owner = Uuid::from_u128(7);
    begun(ledger, attempt).await;
    // Whatever a clock says.
    assert_eq!(
        ledger
            .take_over(BY_ANOTHER, at(900_000), horizon())
            .await
            .unwrap(),
        0
    );
    let other = TakeOver::DeadExcept(Uuid::from_u128(8));
    assert_eq!(ledger.take_over(other, at(900_000), horizon()).await.unwrap(), 1);
}

async fn an_attempt_whose_lease_lies_beyond_the_horizon_is_taken_over(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.lease_until = at(3_600);
    attempt.owner = Uuid::from_u128(8);
    begun(ledger, attempt).await;
    // The clock was set back by an hour after it had begun.
    assert_eq!(ledger.take_over(BY_ANOTHER, at(0), at(3_600)).await.unwrap(), 0);
    let own = TakeOver::DeadExcept(Uuid::from_u128(8));
    assert_eq!(ledger.take_over(own, at(0), at(240)).await.unwrap(), 0);
    assert_eq!(ledger.take_over(BY_ANOTHER, at(0), at(240)).await.unwrap(), 1);
}

async fn a_look_that_became_due_meanwhile_is_not_put_off(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = in_state(ledger, 1, State::Unknown).await;
    let due = ledger.take_due(at(100), at(200), horizon(), 9).await.unwrap();
    assert_eq!(
        ledger
            .make_due(&record.write.id.to_string(), at(101))
            .await
            .unwrap(),
        1
    );
    ledger
        .postpone(record.write.id, 1, look(&due[0], Some(5_000)))
        .await
        .unwrap();
    let again = ledger.take_due(at(102), at(200), horizon(), 9).await.unwrap();
    assert_eq!((again.len(), again[0].checks), (1, 1));
}

async fn what_lies_beyond_the_horizon_is_due_now(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = in_state(ledger, 1, State::Unknown).await;
    let due = ledger.take_due(at(100), at(200), horizon(), 9).await.unwrap();
    ledger
        .postpone(record.write.id, 1, look(&due[0], Some(3_600)))
        .await
        .unwrap();
    // The clock was set back by an hour.
    assert_eq!(
        ledger.take_due(at(0), at(60), at(3_700), 9).await.unwrap().len(),
        0
    );
    assert_eq!(
        ledger.take_due(at(0), at(3_600), at(600), 9).await.unwrap().len(),
        1
    );
    // As was the clock of the process that leased it.
    assert_eq!(ledger.take_due(at(0), at(60), at(600), 9).await.unwrap().len(), 1);
    assert_eq!(ledger.take_due(at(1), at(60), at(600), 9).await.unwrap().len(), 0);
}

async fn what_is_due_is_leased_and_comes_back(stage: &Stage) {
    let ledger = &*stage.ledger;
    for (sim, state) in (1..).zip(State::ALL) {
        in_state(ledger, sim, state).await;
    }
    let unnamed = begun(ledger, wanted(10, "P", request(10))).await;
    let looked_for = Settlement::Done {
        subscription_id: None,
        provider_reference: None,
        next_check_at: Some(at(50)),
    };
    let unnamed = settled(ledger, &unnamed, looked_for, 1).await;
    assert_eq!(
        ledger
            .take_due(at(49), at(200), horizon(), 10)
            .await
            .unwrap()
            .len(),
        0
    );
    let due = ledger.take_due(at(100), at(200), horizon(), 10).await.unwrap();
    let states: Vec<State> = due.iter().map(|record| record.write.state).collect();
    assert_eq!(states, [State::Done, State::Unknown], "earliest first");
    assert_eq!(
        ledger
            .take_due(at(199), at(300), horizon(), 10)
            .await
            .unwrap()
            .len(),
        0
    );
    assert_eq!(
        ledger
            .take_due(at(200), at(300), horizon(), 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        ledger
            .take_due(at(200), at(300), horizon(), 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        ledger
            .take_due(at(400), at(500), horizon(), 0)
            .await
            .unwrap()
            .len(),
        0
    );
    let none = ledger.take_due(at(400), at(500), horizon(), -1).await.unwrap();
    assert_eq!(none.len(), 0);

    ledger
        .postpone(unnamed.write.id, 1, look(&unnamed, Some(290)))
        .await
        .unwrap();
    let due = ledger.take_due(at(290), at(300), horizon(), 10).await.unwrap();
    assert_eq!((due.len(), due[0].checks), (1, 1), "postponing ends the lease");
    ledger
        .postpone(unnamed.write.id, 1, look(&due[0], None))
        .await
        .unwrap();
    let left = ledger.take_due(at(9000), at(9001), horizon(), 10).await.unwrap();
    assert_eq!(left.len(), 1, "what is not to be looked for stays out");
    settled(ledger, &left[0], NOT_PLACED, 9000).await;
    assert_eq!(
        ledger
            .take_due(at(99_000), at(99_001), horizon(), 10)
            .await
            .unwrap()
            .len(),
        0
    );
    let checked = found(ledger, unnamed.write.id).await.unwrap();
    assert_eq!((checked.checks, checked.due_at), (2, None));
}

async fn pages_are_stable_while_orders_are_added(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut ids = Vec::new();
    for sim in 0..25 {
        let mut attempt = wanted(sim % 5, &format!("P{sim}"), request(sim.into()));
        attempt.write.created_at = at(sim.into());
        ids.push(begun(ledger, attempt).await.write.id);
    }
    ids.reverse();
    let everything = Filter::default();
    let mut seen: Vec<WriteId> = Vec::new();
    for step in 0.. {
        let page = ledger.page(&everything, seen.last().copied(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|order| order.id));
        begun(ledger, wanted(100 + step, "P", request(1000 + u128::from(step)))).await;
    }
    assert_eq!(
        seen, ids,
        "newest first, none twice, none missing, none of the new"
    );

    let page = async |filter: Filter| -> Vec<WriteId> {
        let orders = ledger.page(&filter, None, 1000).await.unwrap();
        orders.iter().map(|order| order.id).collect()
    };
    let of_sim = Filter {
        msisdn: Some(msisdn(3)),
        ..Filter::default()
    };
    let expected: Vec<_> = ids.iter().copied().skip(1).step_by(5).collect();
    assert_eq!(page(of_sim.clone()).await, expected);
    let between = Filter {
        created_from: Some(at(5)),
        created_until: Some(at(15)),
        ..Filter::default()
    };
    assert_eq!(page(between.clone()).await, ids[10..20]);
    let both = Filter {
        msisdn: of_sim.msisdn,
        ..between
    };
    assert_eq!(page(both.clone()).await, [ids[11], ids[16]]);
    let after = ledger.page(&both, Some(ids[11]), 9).await.unwrap();
    assert_eq!(after.len(), 1);

    let record = found(ledger, ids[11]).await.unwrap();
    settled(ledger, &record, placed(None), 1).await;
    let in_states = |states: &[State]| Filter {
        states: states.to_vec(),
        ..both.clone()
    };
    assert_eq!(page(in_states(&[State::Done, State::Done])).await, [ids[11]]);
    assert_eq!(page(in_states(&State::ALL)).await, [ids[11], ids[16]]);
    assert_eq!(page(in_states(&[State::Unknown])).await, []);
}

async fn settled_orders_are_forgotten_and_others_are_not(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut kept = Vec::new();
    for (sim, state) in (1..).zip(State::ALL) {
        let record = in_state(ledger, sim, state).await;
        if state.is_in_flight() {
            kept.push(record.write.id);
        }
    }
    let record = begun(ledger, wanted(20, "P", request(20))).await;
    let looked_for = Settlement::Done {
        subscription_id: None,
        provider_reference: None,
        next_check_at: Some(at(50)),
    };
    kept.push(settled(ledger, &record, looked_for, 1).await.write.id);
    let named = begun(ledger, wanted(21, "P", request(21))).await;
    settled(ledger, &named, placed(Some("SUB")), 1).await;
    assert_eq!(ledger.purge(at(1)).await.unwrap(), 0);
    assert_eq!(ledger.purge(at(2)).await.unwrap(), 4);
    let mut left = ledger.page(&Filter::default(), None, 100).await.unwrap();
    left.sort_by_key(|order| order.id);
    kept.sort();
    assert_eq!(left.iter().map(|order| order.id).collect::<Vec<_>>(), kept);
}

async fn more_is_forgotten_than_fits_into_one_step(stage: &Stage) {
    let ledger = &*stage.ledger;
    let orders = (0..1100).map(|sim| in_state(ledger, sim, State::Rejected));
    // No more at once than there are connections a few times: outcomes are
    // committed one after the other.
    let orders = stream::iter(orders).buffer_unordered(32);
    assert_eq!(orders.count().await, 1100);
    assert_eq!(ledger.purge(at(2)).await.unwrap(), 1100);
    assert_eq!(ledger.counts().await.unwrap(), []);
}

async fn writes_are_counted_by_kind_and_state(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut expected = BTreeMap::new();
    let mut sim = 0;
    for (count, state) in (1..).zip(State::ALL) {
        for _ in 0..count {
            sim += 1;
            in_state(ledger, sim, state).await;
        }
        expected.insert(("purchase", state.order_name()), count);
    }
    let counts = ledger.counts().await.unwrap().into_iter();
    let counts: BTreeMap<_, i64> = counts
        .map(|count| ((count.kind, count.state), count.writes))
        .collect();
    assert_eq!(counts, expected);
}

async fn the_order_that_is_unknown_for_longest_tells_since_when(stage: &Stage) {
    let ledger = &*stage.ledger;
    in_state(ledger, 1, State::NeedsOperator).await;
    assert_eq!(ledger.unknown_since().await.unwrap(), None);
    let earlier = begun(ledger, wanted(2, "P", request(2))).await;
    settled(ledger, &earlier, unknown(50), 7).await;
    let later = begun(ledger, wanted(3, "P", request(3))).await;
    settled(ledger, &later, unknown(20), 9).await;
    assert_eq!(ledger.unknown_since().await.unwrap(), Some(at(7)));
    // A look that finds nothing out does not make it younger.
    ledger
        .postpone(earlier.write.id, 1, look(&earlier, Some(90)))
        .await
        .unwrap();
    assert_eq!(ledger.unknown_since().await.unwrap(), Some(at(7)));
    settled(ledger, &earlier, placed(None), 11).await;
    assert_eq!(ledger.unknown_since().await.unwrap(), Some(at(9)));
}

async fn the_oldest_in_a_state_come_first_and_name_no_sim(stage: &Stage) {
    let ledger = &*stage.ledger;
    let oldest = async |state, limit| {
        let found = ledger.oldest_in_flight(state, limit).await.unwrap();
        let shown = found
            .iter()
            .map(|write| (write.id, write.kind, write.state, write.since.unwrap()));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(oldest(State::Unknown, 9).await, []);
    let stuck = in_state(ledger, 1, State::NeedsOperator).await;
    let later = begun(ledger, wanted(2, "P", request(2))).await;
    let earlier = begun(ledger, wanted(3, "P", request(3))).await;
    settled(ledger, &later, unknown(20), 9).await;
    settled(ledger, &earlier, unknown(50), 7).await;
    let sent = begun(ledger, wanted(4, "P", request(4))).await;
    in_state(ledger, 5, State::Done).await;

    let earlier = (earlier.write.id, "purchase", "unknown", at(7));
    assert_eq!(
        oldest(State::Unknown, 9).await,
        [earlier, (later.write.id, "purchase", "unknown", at(9))]
    );
    assert_eq!(oldest(State::Unknown, 1).await, [earlier]);
    let ids = async |state| {
        oldest(state, 9)
            .await
            .iter()
            .map(|write| write.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(State::Submitting).await, [sent.write.id]);
    assert_eq!(ids(State::NeedsOperator).await, [stuck.write.id]);
    assert_eq!(ids(State::Done).await, []);
}
