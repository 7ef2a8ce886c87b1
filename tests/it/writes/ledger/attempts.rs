//! What begins, what does not, and what is taken back.

use transatel_gateway::domain::money::Currency;
use transatel_gateway::domain::order::Activation;
use transatel_gateway::domain::{Iccid, Money};

use super::*;

suite! {
    a_new_order_is_found_as_it_was_written,
    a_known_request_is_not_begun_again_whatever_its_order_became,
    a_repeat_keeps_what_names_the_order_and_forgets_the_rest,
    the_first_attempts_baseline_is_kept_for_good,
    the_looks_at_an_order_go_on_after_a_repeat_that_was_not_sent,
    another_wish_is_no_repeat,
    a_slot_is_busy_while_its_order_is_in_flight,
    a_slot_that_moved_is_not_begun_on,
    what_was_not_sent_is_taken_back,
    texts_that_a_database_cannot_hold_do_no_harm,
}

async fn a_new_order_is_found_as_it_was_written(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.order.sim.iccid = Iccid::parse("8988247000000000001");
    attempt.order.wish.activation = Some(Activation::Immediate);
    attempt.order.wish.reference = "shop's \"number\" 7; DROP TABLE orders -- é\u{1F4F1}".into();
    let euro = Currency::parse("EUR").unwrap();
    attempt.order.wish.max_price = Money::new(euro, -3, -250_000_001);
    attempt.order.caller = Some("spiffe://shop".into());
    attempt.order.created_at = Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
    attempt.baseline = vec!["SUB-1".into(), "quote\" and \\ and é".into()];
    let record = begun(ledger, attempt.clone()).await;
    // What is finer than a microsecond is cut off.
    attempt.order.created_at = Timestamp::from_microsecond(1_800_000_000_123_456).unwrap();
    let expected = Record {
        order: attempt.order,
        attempt: 1,
        first_baseline: attempt.baseline.clone(),
        baseline: attempt.baseline,
        sent_by: at(60),
        checks: 0,
        due_at: None,
        checked_at: None,
        observed: Observed::default(),
    };
    assert_eq!(record, expected);
    assert_eq!(found(ledger, record.order.id).await.as_ref(), Some(&expected));
    let by_request = ledger.find(Key::Request(request(1))).await.unwrap();
    assert_eq!(by_request, Some(expected));
    assert_eq!(found(ledger, OrderId::new()).await, None);
    assert_eq!(ledger.find(Key::Request(request(2))).await.unwrap(), None);
}

async fn a_known_request_is_not_begun_again_whatever_its_order_became(stage: &Stage) {
    let ledger = &*stage.ledger;
    for (sim, state) in (1..).zip(State::ALL) {
        let record = in_state(ledger, sim, state).await;
        let mut again = wanted(sim, "P", request(sim.into()));
        again.generation = 1;
        match (state, ledger.begin(again).await.unwrap()) {
            (State::NotPlaced, Begun::Yes(repeated)) => assert_eq!(repeated.order.id, record.order.id),
            (_, Begun::Known(known)) => assert_eq!(*known, record),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_repeat_keeps_what_names_the_order_and_forgets_the_rest(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.order.caller = Some("first".into());
    let first = begun(ledger, attempt).await;
    let first = settled(ledger, &first, unknown(100), 1).await;
    ledger
        .postpone(first.order.id, 1, look(&first, Some(200)))
        .await
        .unwrap();
    let first = settled(ledger, &first, Settlement::NeedsOperator(failure()), 2).await;
    let watched = Settlement::NotPlaced {
        next_check_at: Some(at(300)),
    };
    let first = settled(ledger, &first, watched, 3).await;
    // Callers need not wait for what is only watched.
    assert_eq!((first.due_at, first.order.next_check_at), (Some(at(300)), None));
    assert_eq!(first.order.failure, None);

    let mut again = wanted(1, "P", request(1));
    again.order.created_at = at(50);
    again.order.updated_at = at(51);
    again.baseline = vec!["SUB-9".into()];
    again.lease_until = at(110);
    again.generation = 1;
    let second = begun(ledger, again).await;
    let mut expected = first.clone();
    expected.order.state = State::Submitting;
    expected.order.updated_at = at(51);
    expected.attempt = 2;
    expected.baseline = vec!["SUB-9".into()];
    expected.sent_by = at(110);
    assert_eq!(second, expected);

    // The attempt before has nothing more to say, but that it was carried out.
    for settlement in settlements() {
        if settlement.state() == State::Placed {
            continue;
        }
        let stale = ledger
            .settle(first.order.id, 1, settlement, None, at(60))
            .await
            .unwrap();
        assert!(matches!(stale, Settled::No(record) if *record == second));
    }
    let kept = ledger.release(first.order.id, 1, at(60)).await.unwrap();
    assert!(matches!(kept, Released::Kept(record) if *record == second));
    ledger
        .postpone(first.order.id, 1, look(&first, None))
        .await
        .unwrap();
    assert_eq!(found(ledger, first.order.id).await.as_ref(), Some(&second));
    let carried_out = settled(ledger, &first, placed(Some("SUB-10")), 70).await;
    assert_eq!((carried_out.order.state, carried_out.attempt), (State::Placed, 2));
}

async fn the_first_attempts_baseline_is_kept_for_good(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut first = wanted(1, "P", request(1));
    first.baseline = vec!["A".into()];
    let mut record = begun(ledger, first).await;
    let mut is_released = false;
    for attempt in 2..6 {
        if !is_released {
            record = settled(ledger, &record, unknown(100), 1).await;
            settled(ledger, &record, NOT_PLACED, 2).await;
        }
        let mut again = wanted(1, "P", request(1));
        again.baseline = vec!["A".into(), format!("N{attempt}")];
        again.generation = i64::from(attempt) - 1;
        let expected = again.baseline.clone();
        record = begun(ledger, again).await;
        assert_eq!(record.attempt, attempt);
        assert_eq!(record.first_baseline, ["A"], "attempt {attempt}");
        assert_eq!(record.baseline, expected);
        // Also through a repeat that was not sent.
        is_released = attempt % 2 == 0;
        if is_released {
            ledger.release(record.order.id, attempt, at(3)).await.unwrap();
        }
    }
}

async fn the_looks_at_an_order_go_on_after_a_repeat_that_was_not_sent(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, wanted(1, "P", request(1))).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    let watched = Settlement::NotPlaced {
        next_check_at: Some(at(300)),
    };
    settled(ledger, &record, watched, 2).await;
    let mut again = wanted(1, "P", request(1));
    again.generation = 1;
    let repeat = begun(ledger, again).await;
    let due = async || {
        let due = ledger.take_due(at(400), at(500), horizon(), 9).await;
        due.unwrap().len()
    };
    assert_eq!(due().await, 0, "it is on its way");
    ledger.release(repeat.order.id, 2, at(3)).await.unwrap();
    assert_eq!(due().await, 1);
}

async fn another_wish_is_no_repeat(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = in_state(ledger, 1, State::NotPlaced).await;
    let other_sim = wanted(2, "P", request(1));
    let other_product = wanted(1, "Q", request(1));
    let mut other_reference = wanted(1, "P", request(1));
    other_reference.order.wish.reference = "other".into();
    for mut attempt in [other_sim, other_product, other_reference] {
        attempt.generation = 1;
        let known = ledger.begin(attempt).await.unwrap();
        assert!(matches!(known, Begun::Known(known) if *known == record));
    }
}

async fn a_slot_is_busy_while_its_order_is_in_flight(stage: &Stage) {
    let ledger = &*stage.ledger;
    for (sim, state) in (1..).zip(State::ALL) {
        let record = in_state(ledger, sim, state).await;
        let mut other = wanted(sim, "P", request(1000 + u128::from(sim)));
        other.generation = 1;
        match ledger.begin(other).await.unwrap() {
            Begun::Busy(id) => assert!(state.is_in_flight() && id == record.order.id, "{state:?}"),
            Begun::Yes(_) => assert!(!state.is_in_flight(), "{state:?}"),
            other => panic!("{state:?}: {other:?}"),
        }
        let traffic = ledger.traffic(&slot(sim, "P")).await.unwrap();
        assert!(traffic.in_flight.is_some());
        // Another product on the SIM is another slot.
        begun(ledger, wanted(sim, "Q", request(2000 + u128::from(sim)))).await;
    }
}

async fn a_slot_that_moved_is_not_begun_on(stage: &Stage) {
    let ledger = &*stage.ledger;
    let empty = ledger.traffic(&slot(1, "P")).await.unwrap();
    assert_eq!((empty.in_flight, empty.generation), (None, 0));
    in_state(ledger, 1, State::Placed).await;
    let outdated = ledger.begin(wanted(1, "P", request(2))).await.unwrap();
    assert!(matches!(outdated, Begun::Moved));
    assert_eq!(ledger.find(Key::Request(request(2))).await.unwrap(), None);

    let mut attempt = wanted(1, "P", request(2));
    attempt.generation = ledger.traffic(&slot(1, "P")).await.unwrap().generation;
    let record = begun(ledger, attempt).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    settled(ledger, &record, NOT_PLACED, 1).await;
    let mut repeat = wanted(1, "P", request(2));
    repeat.generation = 1;
    assert!(matches!(
        ledger.begin(repeat.clone()).await.unwrap(),
        Begun::Moved
    ));
    repeat.generation = 2;
    assert_eq!(begun(ledger, repeat).await.attempt, 2);
    assert_eq!(ledger.traffic(&slot(1, "P")).await.unwrap().generation, 3);
}

async fn what_was_not_sent_is_taken_back(stage: &Stage) {
    let ledger = &*stage.ledger;
    let first = begun(ledger, wanted(1, "P", request(1))).await;
    ledger.release(first.order.id, 1, at(1)).await.unwrap();
    assert_eq!(found(ledger, first.order.id).await, None);
    assert_eq!(ledger.traffic(&slot(1, "P")).await.unwrap().generation, 0);

    in_state(ledger, 1, State::NotPlaced).await;
    let mut again = wanted(1, "P", request(1));
    again.generation = 1;
    let second = begun(ledger, again).await;
    ledger.release(second.order.id, 2, at(7)).await.unwrap();
    let back = found(ledger, second.order.id).await.unwrap();
    assert_eq!(
        (back.order.state, back.order.updated_at),
        (State::NotPlaced, at(7))
    );
    for (sim, state) in (2..).zip(State::ALL.into_iter().filter(|state| *state != State::Submitting)) {
        let record = in_state(ledger, sim, state).await;
        ledger.release(record.order.id, 1, at(8)).await.unwrap();
        assert_eq!(found(ledger, record.order.id).await, Some(record));
    }
}

async fn texts_that_a_database_cannot_hold_do_no_harm(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.order.wish.reference = "a\0b".into();
    attempt.baseline = vec!["SUB\0".into()];
    let record = begun(ledger, attempt).await;
    assert_eq!(record.order.wish.reference, "a\u{FFFD}b");
    assert_eq!(record.baseline, ["SUB\0"]);
    settled(ledger, &record, placed(Some("SUB\0")), 1).await;
    let nameless = Attempt {
        order: Order {
            sim: SimIds::default(),
            ..wanted(2, "P", request(2)).order
        },
        ..wanted(2, "P", request(2))
    };
    assert!(ledger.begin(nameless).await.is_err(), "an order without a SIM");
    begun(ledger, wanted(2, "P", request(2))).await;
}
