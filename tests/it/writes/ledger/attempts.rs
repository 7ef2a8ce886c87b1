//! What begins, what does not, and what is taken back.

use transatel_gateway::domain::Iccid;
use transatel_gateway::domain::write::Activation;

use super::*;

suite! {
    a_new_order_is_found_as_it_was_written,
    a_known_request_is_not_begun_again_whatever_its_order_became,
    a_repeat_keeps_what_names_the_order_and_forgets_the_rest,
    the_first_attempts_baseline_is_kept_for_good,
    the_looks_at_an_order_go_on_after_a_repeat_that_was_not_sent,
    what_began_after_the_request_was_looked_for_is_not_repeated,
    another_slot_is_not_a_repeat,
    a_slot_is_busy_while_its_order_is_in_flight,
    a_slot_that_moved_is_not_begun_on,
    what_was_not_sent_is_taken_back,
    how_an_attempt_is_sent_is_kept,
    the_list_price_is_that_of_the_latest_attempt,
    texts_that_a_database_cannot_hold_do_no_harm,
}

async fn a_new_order_is_found_as_it_was_written(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    let bought = purchase_mut(&mut attempt.write);
    bought.line.iccid = Iccid::parse("8988247000000000001");
    bought.terms.activation = Some(Activation::Immediate);
    bought.activation_used = Some(Activation::OnFirstUse);
    bought.list_price = list_price(-1_050, -7);
    bought.terms.reference = "shop's \"number\" 7; DROP TABLE orders -- é\u{1F4F1}".into();
    let euro = Currency::parse("EUR").unwrap();
    bought.terms.max_price = Money::new(euro, -3, -250_000_001);
    attempt.write.caller = Some("spiffe://shop".into());
    attempt.write.created_at = Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
    attempt.baseline = vec!["SUB-1".into(), "quote\" and \\ and é".into()];
    let record = begun(ledger, attempt.clone()).await;
    // What is finer than a microsecond is cut off.
    attempt.write.created_at = Timestamp::from_microsecond(1_800_000_000_123_456).unwrap();
    // By then it is checked, whatever becomes of its process.
    attempt.write.next_check_at = Some(at(60));
    let expected = Record {
        write: attempt.write,
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
    assert_eq!(found(ledger, record.write.id).await.as_ref(), Some(&expected));
    let by_request = ledger.find(Key::Request(request(1))).await.unwrap();
    assert_eq!(by_request, Some(expected));
    assert_eq!(found(ledger, WriteId::new()).await, None);
    assert_eq!(ledger.find(Key::Request(request(2))).await.unwrap(), None);
}

async fn a_known_request_is_not_begun_again_whatever_its_order_became(stage: &Stage) {
    let ledger = &*stage.ledger;
    for (sim, state) in (1..).zip(State::ALL) {
        let record = in_state(ledger, sim, state).await;
        let mut again = wanted(sim, "P", request(sim.into()));
        again.generation = 1;
        if state == State::NotDone {
            again = repeating(&record, again);
        }
        match (state, ledger.begin(again).await.unwrap()) {
            (State::NotDone, Begun::Yes(repeated)) => assert_eq!(repeated.write.id, record.write.id),
            (_, Begun::Known(known)) => assert_eq!(*known, record),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_repeat_keeps_what_names_the_order_and_forgets_the_rest(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.write.caller = Some("first".into());
    let first = begun(ledger, attempt).await;
    let first = settled(ledger, &first, unknown(100), 1).await;
    ledger
        .postpone(first.write.id, 1, look(&first, Some(200)))
        .await
        .unwrap();
    let first = settled(ledger, &first, Settlement::NeedsOperator(failure()), 2).await;
    let watched = Settlement::NotDone {
        next_check_at: Some(at(300)),
    };
    let first = settled(ledger, &first, watched, 3).await;
    // Callers need not wait for what is only watched.
    assert_eq!((first.due_at, first.write.next_check_at), (Some(at(300)), None));
    assert_eq!(first.write.failure, None);

    let mut again = repeating(&first, wanted(1, "P", request(1)));
    again.write.created_at = at(50);
    again.write.updated_at = at(51);
    again.baseline = vec!["SUB-9".into()];
    again.lease_until = at(110);
    again.generation = 1;
    let second = begun(ledger, again).await;
    let mut expected = first.clone();
    expected.write.state = State::Submitting;
    expected.write.updated_at = at(51);
    expected.attempt = 2;
    expected.baseline = vec!["SUB-9".into()];
    expected.sent_by = at(110);
    expected.write.next_check_at = Some(at(110));
    assert_eq!(second, expected);

    // The attempt before has nothing more to say, but that it was carried out.
    for settlement in settlements() {
        if settlement.state() == State::Done {
            continue;
        }
        let stale = ledger
            .settle(first.write.id, 1, settlement, None, at(60))
            .await
            .unwrap();
        assert!(matches!(stale, Settled::No(record) if *record == second));
    }
    let kept = ledger.release(first.write.id, 1, at(60)).await.unwrap();
    assert!(matches!(kept, Released::Kept(record) if *record == second));
    ledger
        .postpone(first.write.id, 1, look(&first, None))
        .await
        .unwrap();
    assert_eq!(found(ledger, first.write.id).await.as_ref(), Some(&second));
    let carried_out = settled(ledger, &first, placed(Some("SUB-10")), 70).await;
    assert_eq!((carried_out.write.state, carried_out.attempt), (State::Done, 2));
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
        let mut again = repeating(&record, wanted(1, "P", request(1)));
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
            ledger.release(record.write.id, attempt, at(3)).await.unwrap();
        }
    }
}

async fn the_looks_at_an_order_go_on_after_a_repeat_that_was_not_sent(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, wanted(1, "P", request(1))).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    let watched = Settlement::NotDone {
        next_check_at: Some(at(300)),
    };
    settled(ledger, &record, watched, 2).await;
    let mut again = repeating(&record, wanted(1, "P", request(1)));
    again.generation = 1;
    let repeat = begun(ledger, again).await;
    let due = async || {
        let due = ledger.take_due(at(400), at(500), horizon(), 9).await;
        due.unwrap().len()
    };
    assert_eq!(due().await, 0, "it is on its way");
    ledger.release(repeat.write.id, 2, at(3)).await.unwrap();
    assert_eq!(due().await, 1);
}

/// Its caller and its content have to be checked first.
async fn what_began_after_the_request_was_looked_for_is_not_repeated(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = in_state(ledger, 1, State::NotDone).await;
    let mut unaware = wanted(1, "P", request(1));
    unaware.generation = 1;
    let known = ledger.begin(unaware.clone()).await.unwrap();
    assert!(matches!(known, Begun::Known(known) if *known == record));
    assert_eq!(found(ledger, record.write.id).await.as_ref(), Some(&record));
    assert_eq!(begun(ledger, repeating(&record, unaware)).await.attempt, 2);
}

async fn another_slot_is_not_a_repeat(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = in_state(ledger, 1, State::NotDone).await;
    for (sim, product) in [(2, "P"), (1, "Q")] {
        for generation in [0, 1] {
            let mut attempt = repeating(&record, wanted(sim, product, request(1)));
            attempt.generation = generation;
            let known = ledger.begin(attempt).await.unwrap();
            assert!(matches!(known, Begun::Known(known) if *known == record));
        }
    }
}

async fn a_slot_is_busy_while_its_order_is_in_flight(stage: &Stage) {
    let ledger = &*stage.ledger;
    for (sim, state) in (1..).zip(State::ALL) {
        let record = in_state(ledger, sim, state).await;
        let mut other = wanted(sim, "P", request(1000 + u128::from(sim)));
        other.generation = 1;
        match ledger.begin(other).await.unwrap() {
            Begun::Busy(id) => assert!(state.is_in_flight() && id == record.write.id, "{state:?}"),
            Begun::Yes(_) => assert!(!state.is_in_flight(), "{state:?}"),
            other => panic!("{state:?}: {other:?}"),
        }
        let traffic = ledger.slot_status(&slot(sim, "P")).await.unwrap();
        assert!(traffic.in_flight.is_some());
        // Another product on the SIM is another slot.
        begun(ledger, wanted(sim, "Q", request(2000 + u128::from(sim)))).await;
    }
}

async fn a_slot_that_moved_is_not_begun_on(stage: &Stage) {
    let ledger = &*stage.ledger;
    let empty = ledger.slot_status(&slot(1, "P")).await.unwrap();
    assert_eq!((empty.in_flight, empty.generation), (None, 0));
    in_state(ledger, 1, State::Done).await;
    let outdated = ledger.begin(wanted(1, "P", request(2))).await.unwrap();
    assert!(matches!(outdated, Begun::Moved));
    assert_eq!(ledger.find(Key::Request(request(2))).await.unwrap(), None);

    let mut attempt = wanted(1, "P", request(2));
    attempt.generation = ledger.slot_status(&slot(1, "P")).await.unwrap().generation;
    let record = begun(ledger, attempt).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    settled(ledger, &record, NOT_PLACED, 1).await;
    let mut repeat = repeating(&record, wanted(1, "P", request(2)));
    repeat.generation = 1;
    assert!(matches!(
        ledger.begin(repeat.clone()).await.unwrap(),
        Begun::Moved
    ));
    repeat.generation = 2;
    assert_eq!(begun(ledger, repeat).await.attempt, 2);
    assert_eq!(ledger.slot_status(&slot(1, "P")).await.unwrap().generation, 3);
}

async fn what_was_not_sent_is_taken_back(stage: &Stage) {
    let ledger = &*stage.ledger;
    let first = begun(ledger, wanted(1, "P", request(1))).await;
    ledger.release(first.write.id, 1, at(1)).await.unwrap();
    assert_eq!(found(ledger, first.write.id).await, None);
    assert_eq!(ledger.slot_status(&slot(1, "P")).await.unwrap().generation, 0);

    let first = in_state(ledger, 1, State::NotDone).await;
    let mut again = repeating(&first, wanted(1, "P", request(1)));
    again.generation = 1;
    let second = begun(ledger, again).await;
    ledger.release(second.write.id, 2, at(7)).await.unwrap();
    let back = found(ledger, second.write.id).await.unwrap();
    assert_eq!((back.write.state, back.write.updated_at), (State::NotDone, at(7)));
    for (sim, state) in (2..).zip(State::ALL.into_iter().filter(|state| *state != State::Submitting)) {
        let record = in_state(ledger, sim, state).await;
        ledger.release(record.write.id, 1, at(8)).await.unwrap();
        assert_eq!(found(ledger, record.write.id).await, Some(record));
    }
}

async fn texts_that_a_database_cannot_hold_do_no_harm(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    purchase_mut(&mut attempt.write).terms.reference = "a\0b".into();
    attempt.baseline = vec!["SUB\0".into()];
    let record = begun(ledger, attempt).await;
    assert_eq!(purchase(&record.write).terms.reference, "a\u{FFFD}b");
    assert_eq!(record.baseline, ["SUB\0"]);
    settled(ledger, &record, placed(Some("SUB\0")), 1).await;
    begun(ledger, wanted(2, "P", request(2))).await;
}

async fn how_an_attempt_is_sent_is_kept(stage: &Stage) {
    let ledger = &*stage.ledger;
    let with = |activation_used, generation| {
        let mut attempt = wanted(1, "P", request(1));
        purchase_mut(&mut attempt.write).activation_used = activation_used;
        attempt.generation = generation;
        attempt
    };
    let (first_use, at_once) = (Some(Activation::OnFirstUse), Some(Activation::Immediate));
    let used = |record: &Record| purchase(&record.write).activation_used;
    let record = begun(ledger, with(first_use, 0)).await;
    let id = record.write.id;
    assert_eq!(used(&record), first_use);
    let set = async |attempt| {
        let set = ledger.set_activation_used(id, attempt, Activation::Immediate);
        set.await.unwrap();
        used(&found(ledger, id).await.unwrap())
    };
    assert_eq!(set(2).await, first_use, "of another attempt");
    assert_eq!(set(1).await, at_once);
    let record = settled(ledger, &record, unknown(100), 1).await;
    assert_eq!(used(&record), at_once);
    settled(ledger, &record, NOT_PLACED, 2).await;
    let record = begun(ledger, repeating(&record, with(first_use, 1))).await;
    assert_eq!((record.attempt, used(&record)), (2, first_use));
    assert_eq!(set(1).await, first_use, "of an earlier attempt");
}

async fn the_list_price_is_that_of_the_latest_attempt(stage: &Stage) {
    let ledger = &*stage.ledger;
    let id = next_id();
    let with = |list_price, generation| {
        let mut attempt = wanted(1, "P", request(1));
        attempt.write.id = id;
        purchase_mut(&mut attempt.write).list_price = list_price;
        attempt.generation = generation;
        attempt
    };
    for (generation, price) in (0..).zip([list_price(350, 1), list_price(420, 2), None]) {
        let record = begun(ledger, with(price.clone(), generation)).await;
        assert_eq!(purchase(&record.write).list_price, price);
        let record = settled(ledger, &record, unknown(100), 1).await;
        let record = settled(ledger, &record, NOT_PLACED, 2).await;
        assert_eq!(purchase(&record.write).list_price, price);
        assert_eq!(found(ledger, record.write.id).await, Some(record));
    }
    // One that was not sent is another attempt too.
    let record = begun(ledger, with(list_price(500, 3), 3)).await;
    ledger.release(record.write.id, 4, at(3)).await.unwrap();
    let kept = found(ledger, record.write.id).await.unwrap();
    assert_eq!(purchase(&kept.write).list_price, list_price(500, 3));
}
