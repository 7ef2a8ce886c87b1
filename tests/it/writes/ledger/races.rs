//! Many callers at once, in two replicas.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tokio::task::JoinSet;

use transatel_gateway::store::SimPurchase;

use super::*;

suite! {
    one_of_many_begins_of_a_request_sends,
    one_of_many_begins_on_a_slot_sends,
    one_of_many_begins_that_have_to_be_alone_sends,
    one_of_many_repeats_sends,
    a_request_id_is_for_one_slot,
    every_begin_has_seen_the_order_before_it,
    what_is_due_goes_to_one_replica,
    one_of_many_settlements_counts,
    one_of_many_orders_gets_a_subscription,
    what_is_repeated_is_not_forgotten,
    callers_that_give_up_harm_nobody,
}

/// How many do it at once.
const MANY: u32 = 50;

impl Stage {
    /// One of the replicas, in turns.
    fn replica(&self, turn: u32) -> Arc<dyn Ledger> {
        if turn.is_multiple_of(2) {
            self.ledger.clone()
        } else {
            self.other.clone()
        }
    }
}

/// Begins all at once. Who may send, and what the others were told.
async fn all_begin(stage: &Stage, attempts: Vec<Attempt>) -> (Vec<Record>, Vec<Begun>) {
    let mut callers = JoinSet::new();
    for (turn, attempt) in (0..).zip(attempts) {
        let replica = stage.replica(turn);
        callers.spawn(async move { replica.begin(attempt).await.unwrap() });
    }
    let (mut sends, mut told) = (Vec::new(), Vec::new());
    for answer in callers.join_all().await {
        match answer {
            Begun::Yes(record) => sends.push(*record),
            other => told.push(other),
        }
    }
    (sends, told)
}

async fn one_of_many_begins_of_a_request_sends(stage: &Stage) {
    let attempts = (0..MANY).map(|_| wanted(1, "P", request(1))).collect();
    let (sends, told) = all_begin(stage, attempts).await;
    assert_eq!(sends.len(), 1);
    for answer in told {
        assert!(
            matches!(&answer, Begun::Known(known) if **known == sends[0]),
            "{answer:?}"
        );
    }
}

async fn one_of_many_begins_on_a_slot_sends(stage: &Stage) {
    let attempts = (0..MANY)
        .map(|turn| wanted(1, "P", request(turn.into())))
        .collect();
    let (sends, told) = all_begin(stage, attempts).await;
    assert_eq!(sends.len(), 1);
    for answer in told {
        assert!(
            matches!(answer, Begun::Busy(id) if id == sends[0].write.id),
            "{answer:?}"
        );
    }
}

async fn one_of_many_begins_that_have_to_be_alone_sends(stage: &Stage) {
    let alone = |turn: u32, before: &[SimPurchase]| Attempt {
        alone: Some(before.to_vec()),
        ..wanted(1, &format!("P{turn}"), request(turn.into()))
    };
    let attempts = (0..MANY).map(|turn| alone(turn, &[])).collect();
    let (sends, others) = all_begin(stage, attempts).await;
    assert_eq!(sends.len(), 1);
    assert_eq!(others.len(), MANY as usize - 1);
    for answer in others {
        assert!(matches!(answer, Begun::Moved), "{answer:?}");
    }
    let ledger = &*stage.other;
    let purchases = async || ledger.sim_purchases(&msisdn(1)).await.unwrap();
    let in_flight = purchases().await;
    assert_eq!(in_flight.len(), 1);
    assert_eq!(
        (in_flight[0].id, in_flight[0].state),
        (sends[0].write.id, State::Submitting)
    );

    // Whatever becomes of it meanwhile: also when it is placed late, which is no attempt.
    let not_done = Settlement::NotDone {
        next_check_at: Some(horizon()),
    };
    settled(ledger, &sends[0], unknown(100), 1).await;
    settled(ledger, &sends[0], not_done, 1).await;
    let watched = purchases().await;
    assert!(watched[0].is_watched, "{watched:?}");
    settled(ledger, &sends[0], placed(Some("S")), 2).await;
    for before in [&[][..], &in_flight, &watched] {
        let late = ledger.begin(alone(MANY, before)).await.unwrap();
        assert!(matches!(late, Begun::Moved), "{before:?}: {late:?}");
    }
    let placed = purchases().await;
    assert_eq!(placed[0].subscription_id.as_deref(), Some("S"));
    assert!(!placed[0].is_watched);
    let known = ledger.begin(alone(MANY, &placed)).await.unwrap();
    assert!(matches!(known, Begun::Yes(_)), "{known:?}");
    // Other SIMs, and purchases that need not be alone, have nothing to do with it.
    let other = wanted(1, "Q", request(1_000));
    assert!(matches!(ledger.begin(other).await.unwrap(), Begun::Yes(_)));
}

async fn one_of_many_repeats_sends(stage: &Stage) {
    let record = in_state(&*stage.ledger, 1, State::NotDone).await;
    let mut repeat = repeating(&record, wanted(1, "P", request(1)));
    repeat.generation = 1;
    let (sends, told) = all_begin(stage, vec![repeat; MANY as usize]).await;
    assert_eq!(
        (sends.len(), sends[0].attempt, sends[0].write.id),
        (1, 2, record.write.id)
    );
    for answer in told {
        assert!(
            matches!(&answer, Begun::Known(known) if **known == sends[0]),
            "{answer:?}"
        );
    }
}

async fn a_request_id_is_for_one_slot(stage: &Stage) {
    let attempts = (0..MANY).map(|turn| wanted(turn, "P", request(1))).collect();
    let (sends, told) = all_begin(stage, attempts).await;
    assert_eq!(sends.len(), 1);
    for answer in told {
        assert!(
            matches!(&answer, Begun::Known(known) if **known == sends[0]),
            "{answer:?}"
        );
    }
}

/// The baseline is read between `traffic` and `begin`: an order that came and
/// went in between would be missing from it.
async fn every_begin_has_seen_the_order_before_it(stage: &Stage) {
    let orders = std::sync::atomic::AtomicI64::new(0);
    let orders = &orders;
    let callers = (0..20).map(|turn| async move {
        let replica = stage.replica(turn);
        loop {
            let seen = orders.load(std::sync::atomic::Ordering::SeqCst);
            let traffic = replica.slot_status(&slot(1, "P")).await.unwrap();
            let mut attempt = wanted(1, "P", request(turn.into()));
            attempt.generation = traffic.generation;
            if traffic.in_flight.is_none()
                && let Begun::Yes(record) = replica.begin(attempt).await.unwrap()
            {
                let before = orders.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                assert_eq!(before, traffic.generation);
                assert!(seen <= before);
                settled(&*replica, &record, placed(None), 1).await;
                break;
            }
        }
    });
    join_all(callers).await;
    assert_eq!(orders.load(std::sync::atomic::Ordering::SeqCst), 20);
}

async fn what_is_due_goes_to_one_replica(stage: &Stage) {
    for sim in 0..40 {
        in_state(&*stage.ledger, sim, State::Unknown).await;
    }
    let callers = (0..8).map(|turn| async move {
        let replica = stage.replica(turn);
        let mut taken = Vec::new();
        loop {
            let due = replica.take_due(at(100), at(200), horizon(), 3).await.unwrap();
            if due.is_empty() {
                return taken;
            }
            taken.extend(due.into_iter().map(|record| record.write.id));
        }
    });
    let taken = join_all(callers).await.concat();
    let different: BTreeSet<WriteId> = taken.iter().copied().collect();
    assert_eq!((taken.len(), different.len()), (40, 40));
}

async fn one_of_many_settlements_counts(stage: &Stage) {
    let record = in_state(&*stage.ledger, 1, State::Unknown).await;
    let id = record.write.id;
    let callers = (0..MANY).map(|turn| async move {
        let settlement = match turn % 3 {
            0 => placed(Some(&format!("SUB-{turn}"))),
            1 => NOT_PLACED,
            _ => Settlement::NeedsOperator(failure()),
        };
        let replica = stage.replica(turn);
        (
            settlement.state(),
            replica.settle(id, 1, settlement, None, at(5)).await.unwrap(),
        )
    });
    let answers = join_all(callers).await;
    let now = found(&*stage.other, id).await.unwrap().write.state;
    let yes: Vec<State> = answers
        .iter()
        .filter(|(_, answer)| matches!(answer, Settled::Yes(_)))
        .map(|(state, _)| *state)
        .collect();
    assert!(yes.contains(&now), "{yes:?} {now:?}");
    // What needs an operator may be decided afterwards, and what was not
    // placed may need one; that it was placed is the last word.
    let count = |state| yes.iter().filter(|yes| **yes == state).count();
    assert!(count(State::Done) <= 1 && count(State::NotDone) <= 2, "{yes:?}");
    assert_eq!(count(State::Done) == 1, now == State::Done, "{yes:?}");
}

async fn one_of_many_orders_gets_a_subscription(stage: &Stage) {
    let mut records = Vec::new();
    for turn in 0..MANY {
        let attempt = wanted(1, &format!("P{turn}"), request(turn.into()));
        records.push(begun(&*stage.ledger, attempt).await);
    }
    let callers = (0..).zip(&records).map(|(turn, record)| async move {
        let replica = stage.replica(turn);
        let settlement = placed(Some("SUB"));
        replica
            .settle(record.write.id, 1, settlement, None, at(1))
            .await
            .unwrap()
    });
    let answers = join_all(callers).await;
    let claimed = answers
        .iter()
        .filter(|answer| matches!(answer, Settled::Claimed))
        .count();
    let placed = answers
        .iter()
        .filter(|answer| matches!(answer, Settled::Yes(_)))
        .count();
    assert_eq!((claimed, placed), (MANY as usize - 1, 1));
}

async fn what_is_repeated_is_not_forgotten(stage: &Stage) {
    let mut known = Vec::new();
    for sim in 0..MANY {
        known.push(in_state(&*stage.ledger, sim, State::NotDone).await);
    }
    let repeats = (0..).zip(&known).map(|(sim, known)| async move {
        let mut repeat = repeating(known, wanted(sim, "P", request(sim.into())));
        repeat.generation = 1;
        repeat.write.updated_at = at(99);
        (sim, stage.replica(sim).begin(repeat).await.unwrap())
    });
    let purge = async { stage.other.purge(at(50)).await.unwrap() };
    let (answers, purged) = tokio::join!(join_all(repeats), purge);
    let mut kept = 0;
    for (sim, answer) in answers {
        let now = stage
            .ledger
            .find(Key::Request(request(sim.into())))
            .await
            .unwrap();
        match answer {
            Begun::Yes(record) => {
                assert_eq!(now, Some(*record));
                kept += 1;
            }
            // Forgotten: its generation is another one.
            Begun::Moved => assert_eq!(now, None),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(u64::from(MANY), kept + purged);
}

async fn callers_that_give_up_harm_nobody(stage: &Stage) {
    let mut callers = JoinSet::new();
    for turn in 0..200_u32 {
        let replica = stage.replica(turn);
        callers.spawn(async move {
            let attempt = wanted(turn % 20, "P", request(turn.into()));
            let patience = std::time::Duration::from_micros(u64::from(turn) * 50);
            let _ = tokio::time::timeout(patience, replica.begin(attempt)).await;
            let _ = tokio::time::timeout(patience, replica.counts()).await;
        });
    }
    callers.join_all().await;
    let mut in_flight: BTreeMap<Msisdn, u32> = BTreeMap::new();
    for order in stage.other.page(&Filter::default(), None, 1000).await.unwrap() {
        *in_flight.entry(order.kind.msisdn().clone()).or_default() += 1;
    }
    assert!(in_flight.values().all(|orders| *orders == 1), "{in_flight:?}");
    for sim in 100..120 {
        let record = begun(&*stage.ledger, wanted(sim, "P", request(1000 + u128::from(sim)))).await;
        assert_eq!(found(&*stage.other, record.write.id).await, Some(record));
    }
}
