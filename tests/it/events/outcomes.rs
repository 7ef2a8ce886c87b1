//! Outcomes in the ledger are events of the log, whichever database keeps both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::sync::Notify;
use transatel_gateway::config::StoreUrl;
use transatel_gateway::domain::change::{SimAction, SubscriptionAction};
use transatel_gateway::domain::event::{Details, Event, EventType, Origin};
use transatel_gateway::domain::product::Amount;
use transatel_gateway::domain::subscription::{Balance, Level};
use transatel_gateway::domain::write::{Kind, Line, State, SubscriptionChange, SubscriptionTerms, WriteId};
use transatel_gateway::domain::{Country, EsimStatus, Iccid};
use transatel_gateway::store::events::{Appended, EventLog};
use transatel_gateway::store::{Attempt, Begun, Record, Settled, Settlement};

use crate::events::event_log::{Stage, event, ids, incoming, named};
use crate::writes::ledger::sims::change;
use crate::writes::ledger::{
    BY_ANOTHER, NOT_PLACED, at, begun, failure, horizon, in_state, list_price, msisdn, placed, purchase_mut,
    repeating, request, settled, suite_of, unknown, wanted,
};

suite_of! { crate::events::event_log::Stage:
    each_outcome_of_an_order_is_an_event,
    each_outcome_of_an_operation_is_an_event,
    an_order_about_a_subscription_names_it,
    a_change_without_an_outcome_is_no_event,
    late_proof_is_a_second_event,
    what_the_gateway_concluded_proves_nothing,
    outcomes_and_events_are_numbered_together,
    replicas_that_publish_at_once_append_each_outcome_once_and_in_order,
    an_event_is_joined_to_the_operation_whose_transaction_it_names,
    details_are_read_as_they_were_appended,
}

async fn logged(stage: &Stage) -> Vec<Event> {
    stage.other.publish().await.unwrap();
    let page = stage.other.events_after(0, 1_000).await.unwrap();
    for (place, logged) in (1..).zip(&page) {
        assert_eq!(logged.sequence, place, "numbers have no gaps");
        assert!(logged.damaged.is_empty());
    }
    page.into_iter().map(|logged| logged.event).collect()
}

fn types(events: &[Event]) -> Vec<EventType> {
    events.iter().map(Event::event_type).collect()
}

/// An attempt with everything that an event of it carries.
fn complete(sim: u32) -> Attempt {
    let mut attempt = wanted(sim, "P", request(sim.into()));
    attempt.write.caller = Some("shop".into());
    let purchase = purchase_mut(&mut attempt.write);
    purchase.line.iccid = Iccid::parse("8988247000000000019");
    purchase.terms.reference = "cart 7 'é".into();
    purchase.list_price = list_price(350, -5);
    attempt
}

fn operation(sim: u32, number: u128) -> Attempt {
    let mut attempt = change(sim, SimAction::Suspend, request(number));
    attempt.write.caller = Some("fleet".into());
    attempt
}

async fn each_outcome_of_an_order_is_an_event(stage: &Stage) {
    let ledger = &*stage.ledger;
    let outcomes = [
        (placed(Some("S'1")), EventType::OrderPlaced, Some("S'1")),
        (Settlement::Rejected(failure()), EventType::OrderRejected, None),
        (NOT_PLACED, EventType::OrderNotPlaced, None),
        (
            Settlement::NeedsOperator(failure()),
            EventType::OrderNeedsOperator,
            None,
        ),
    ];
    let mut expected = Vec::new();
    for (sim, (settlement, kind, subscription)) in (1..).zip(outcomes) {
        let record = begun(ledger, complete(sim)).await;
        let record = settled(ledger, &record, unknown(100), 1).await;
        let record = settled(ledger, &record, settlement, 10 * i64::from(sim)).await;
        let when = at(10 * i64::from(sim));
        let expected_type = EventType::KNOWN.iter().find(|(known, _)| *known == kind).unwrap();
        expected.push(Event {
            id: String::new(),
            origin: Origin::Gateway,
            raw_type: expected_type.1.into(),
            occurred_at: Some(when),
            received_at: when,
            sim: record.write.kind.sim(),
            subscription_id: subscription.map(Into::into),
            product_id: Some("P".into()),
            order_id: Some(record.write.id),
            request_id: Some(record.write.request_id),
            caller: Some("shop".into()),
            reference: Some("cart 7 'é".into()),
            details: Details {
                list_price: list_price(350, -5),
                ..Details::default()
            },
            ..Event::default()
        });
    }
    let events = logged(stage).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), 4);
    for id in ids {
        assert!(
            uuid::Uuid::try_parse(&id)
                .is_ok_and(|id| id.to_string().len() == 36 && id.get_version_num() == 4)
        );
    }
    let events: Vec<_> = events
        .into_iter()
        .map(|event| Event {
            id: String::new(),
            ..event
        })
        .collect();
    assert_eq!(events, expected);
}

async fn each_outcome_of_an_operation_is_an_event(stage: &Stage) {
    let ledger = &*stage.ledger;
    let outcomes = [
        (placed(None), EventType::SimOperationSucceeded),
        (Settlement::Rejected(failure()), EventType::SimOperationFailed),
        (NOT_PLACED, EventType::SimOperationFailed),
        (
            Settlement::NeedsOperator(failure()),
            EventType::SimOperationNeedsOperator,
        ),
    ];
    for (sim, (settlement, kind)) in (1..).zip(outcomes) {
        let record = begun(ledger, operation(sim, sim.into())).await;
        let record = settled(ledger, &record, unknown(100), 1).await;
        let record = settled(ledger, &record, settlement, 2).await;
        let event = logged(stage).await.pop().unwrap();
        assert_eq!(event.event_type(), kind);
        assert_eq!(event.operation_id, Some(record.write.id));
        assert_eq!(event.request_id, Some(record.write.request_id));
        assert_eq!((event.order_id, event.product_id), (None, None));
        assert_eq!(event.caller.as_deref(), Some("fleet"));
        assert_eq!(event.sim, record.write.kind.sim());
    }
    assert_eq!(logged(stage).await.len(), 4);
}

async fn an_order_about_a_subscription_names_it(stage: &Stage) {
    let ledger = &*stage.ledger;
    // PostgreSQL holds no NUL: the order is settled all the same.
    for (sim, id) in [(1, "S \"1\""), (2, "S\0")] {
        for (number, action) in [SubscriptionAction::CancelRenewal, SubscriptionAction::Terminate]
            .into_iter()
            .enumerate()
        {
            let mut attempt = wanted(sim, "P", request(u128::from(sim) * 10 + number as u128));
            attempt.generation = number as i64;
            attempt.write.kind = Kind::Subscription(SubscriptionChange {
                line: Line {
                    msisdn: msisdn(sim),
                    iccid: None,
                },
                product_id: "P".into(),
                terms: SubscriptionTerms {
                    subscription_id: id.into(),
                    action,
                },
            });
            let record = begun(ledger, attempt).await;
            let record = settled(ledger, &record, placed(None), 1).await;
            let event = logged(stage).await.pop().unwrap();
            assert_eq!(event.event_type(), EventType::OrderPlaced);
            assert_eq!(event.order_id, Some(record.write.id));
            if sim == 1 {
                assert_eq!(event.subscription_id.as_deref(), Some(id));
            }
        }
    }
    assert_eq!(logged(stage).await.len(), 4);
}

async fn a_change_without_an_outcome_is_no_event(stage: &Stage) {
    let ledger = &*stage.ledger;
    // Begun, withdrawn, and gone.
    let first = begun(ledger, wanted(1, "P", request(1))).await;
    ledger.release(first.write.id, 1, at(1)).await.unwrap();
    // Taken over, and checked.
    begun(ledger, wanted(2, "P", request(2))).await;
    assert_eq!(ledger.take_over(BY_ANOTHER, at(61), horizon()).await.unwrap(), 1);
    ledger.take_due(at(61), at(90), horizon(), 10).await.unwrap();
    assert_eq!(logged(stage).await, []);
    // Repeated after an outcome, and withdrawn.
    let record = in_state(ledger, 3, State::NotDone).await;
    let repeat = |generation| Attempt {
        generation,
        ..repeating(&record, wanted(3, "P", request(3)))
    };
    let repeated = begun(ledger, repeat(1)).await;
    assert_eq!((repeated.write.id, repeated.attempt), (record.write.id, 2));
    ledger.release(record.write.id, 2, at(3)).await.unwrap();
    assert_eq!(types(&logged(stage).await), [EventType::OrderNotPlaced]);
    // A repeat that was sent has an outcome of its own.
    let repeated = begun(ledger, repeat(2)).await;
    let repeated = settled(ledger, &repeated, unknown(100), 4).await;
    let repeated = settled(ledger, &repeated, NOT_PLACED, 5).await;
    // What is refused, and what only completes an order, changes no state.
    let refused = ledger.settle(repeated.write.id, 9, NOT_PLACED, None, at(6)).await;
    assert!(matches!(refused.unwrap(), Settled::No(_)));
    let done = settled(ledger, &repeated, placed(None), 7).await;
    settled(ledger, &done, placed(Some("S")), 8).await;
    settled(ledger, &done, placed(Some("S")), 9).await;
    let expected = [
        EventType::OrderNotPlaced,
        EventType::OrderNotPlaced,
        EventType::OrderPlaced,
    ];
    assert_eq!(types(&logged(stage).await), expected);
    // What another order has claimed is rolled back whole.
    let other = begun(ledger, wanted(3, "Q", request(4))).await;
    let id = other.write.id;
    let claimed = ledger.settle(id, 1, placed(Some("S")), None, at(10)).await;
    assert!(matches!(claimed.unwrap(), Settled::Claimed));
    assert_eq!(logged(stage).await.len(), 3);
}

async fn late_proof_is_a_second_event(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut expected = Vec::new();
    for (sim, (state, first)) in (1..).zip([
        (State::NotDone, EventType::OrderNotPlaced),
        (State::Rejected, EventType::OrderRejected),
        (State::NeedsOperator, EventType::OrderNeedsOperator),
    ]) {
        let record = in_state(ledger, sim, state).await;
        settled(ledger, &record, placed(Some(&format!("S{sim}"))), 50).await;
        expected.extend([first, EventType::OrderPlaced]);
    }
    let events = logged(stage).await;
    assert_eq!(types(&events), expected);
    let placed: Vec<_> = events
        .iter()
        .filter_map(|event| event.subscription_id.as_deref())
        .collect();
    assert_eq!(placed, ["S1", "S2", "S3"]);
    // They outlive the order.
    assert_eq!(ledger.purge(horizon()).await.unwrap(), 3);
    assert_eq!(logged(stage).await, events);
}

async fn what_the_gateway_concluded_proves_nothing(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = in_state(ledger, 1, State::Done).await;
    let order = record.write.id;
    assert_eq!(stage.log.events_of(order).await.unwrap(), []);
    let without = stage.log.orders_without_event(at(0), at(10), 10).await;
    assert_eq!(without.unwrap(), [order]);
    assert_eq!(stage.log.last_received_at().await.unwrap(), None);
    let report = Event {
        order_id: Some(order),
        raw_type: "OCS/PRODUCT/PRELOADED".into(),
        received_at: at(5),
        ..event("A")
    };
    stage.log.append(vec![incoming(report)]).await.unwrap();
    in_state(ledger, 2, State::Rejected).await;
    let own: Vec<_> = stage.log.events_of(order).await.unwrap();
    assert_eq!(
        own.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(),
        ["A"]
    );
    assert_eq!(stage.other.last_received_at().await.unwrap(), Some(at(5)));
    // An order that is not placed, as the gateway says, is sent again.
    let known = in_state(ledger, 3, State::NotDone).await;
    let repeat = Attempt {
        generation: 1,
        ..repeating(&known, wanted(3, "P", request(3)))
    };
    assert!(matches!(ledger.begin(repeat).await.unwrap(), Begun::Yes(_)));
}

/// Replicas that settle orders, publish and append events at once: nobody waits for
/// the other forever, and a reader that has seen a number has seen all before.
async fn outcomes_and_events_are_numbered_together(stage: &Stage) {
    const EACH: u32 = 25;
    let ledger = &*stage.ledger;
    let mut begun_orders: Vec<Record> = Vec::new();
    for sim in 0..4 * EACH {
        begun_orders.push(begun(ledger, wanted(sim, "P", request(sim.into()))).await);
    }
    let settling = begun_orders.chunks(EACH as usize).map(async |orders| {
        for order in orders {
            settled(ledger, order, placed(None), 1).await;
        }
    });
    let appending = (0..4).map(async |writer: u32| {
        let log: &dyn EventLog = match writer % 2 {
            0 => &*stage.log,
            _ => &*stage.other,
        };
        let mut seen = 0;
        for turn in 0..EACH {
            log.append(vec![named(1_000 * writer + turn)]).await.unwrap();
            let read = ids(log, seen).await;
            for (place, (sequence, _)) in (seen + 1..).zip(&read) {
                assert_eq!(*sequence, place, "a gap");
            }
            seen += read.len() as u64;
        }
    });
    let mut published = [0, 0];
    let [here, there] = &mut published;
    let publishing = async |log: &dyn EventLog, published: &mut u64| loop {
        *published += log.publish().await.unwrap();
        tokio::task::yield_now().await;
    };
    let publishing = async { tokio::join!(publishing(&*stage.log, here), publishing(&*stage.other, there)) };
    let all = async {
        tokio::select! {
            all = async {
                tokio::join!(
                    futures_util::future::join_all(settling),
                    futures_util::future::join_all(appending)
                )
            } => all,
            _ = publishing => unreachable!("it goes on"),
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    let events = logged(stage).await;
    assert_eq!(events.len(), 8 * EACH as usize);
    let orders: BTreeSet<_> = events.iter().filter_map(|event| event.order_id).collect();
    assert_eq!(orders.len(), 4 * EACH as usize);
    assert_eq!(stage.log.extent().await.unwrap().latest, u64::from(8 * EACH));
}

/// More than fit into one batch, of orders that come to two outcomes each.
async fn replicas_that_publish_at_once_append_each_outcome_once_and_in_order(stage: &Stage) {
    const ORDERS: u32 = 200;
    let ledger = &*stage.ledger;
    for sim in 0..ORDERS {
        let record = in_state(ledger, sim, State::NeedsOperator).await;
        settled(ledger, &record, placed(None), 2).await;
    }
    let logs = [&*stage.log, &*stage.other, &*stage.log, &*stage.other];
    let published = futures_util::future::join_all(logs.map(|log| log.publish())).await;
    let published: u64 = published.into_iter().map(Result::unwrap).sum();
    let events = logged(stage).await;
    assert_eq!(events.len(), 2 * ORDERS as usize);
    assert!(published == 0 || published == events.len() as u64, "{published}");
    let mut of_order: BTreeMap<WriteId, Vec<EventType>> = BTreeMap::new();
    for event in &events {
        let outcomes = of_order.entry(event.order_id.unwrap()).or_default();
        outcomes.push(event.event_type());
    }
    let both = [EventType::OrderNeedsOperator, EventType::OrderPlaced];
    assert_eq!(of_order.len(), ORDERS as usize);
    assert!(
        of_order.values().all(|outcomes| *outcomes == both),
        "{of_order:?}"
    );
    assert_eq!(stage.other.publish().await.unwrap(), 0);
}

async fn an_event_is_joined_to_the_operation_whose_transaction_it_names(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, operation(1, 1)).await;
    let accepted = Settlement::Unknown {
        provider_reference: Some("T-1".into()),
        sent_by: at(1),
        next_check_at: at(2),
    };
    let record = settled(ledger, &record, accepted, 1).await;
    let of = |id: &str, transaction: &str| {
        incoming(Event {
            transaction_id: Some(transaction.into()),
            ..event(id)
        })
    };
    let appended = stage.log.append(vec![of("A", "T-1"), of("B", "T-2")]).await;
    let new = |sequence| Appended::New {
        sequence,
        order_id: None,
    };
    assert_eq!(appended.unwrap(), [new(1), new(2)]);
    settled(ledger, &record, placed(None), 3).await;
    stage.other.append(vec![of("C", "T-1")]).await.unwrap();
    let events = logged(stage).await;
    let joined: Vec<Option<WriteId>> = events.iter().map(|event| event.operation_id).collect();
    let own = Some(record.write.id);
    assert_eq!(joined, [own, None, own, own]);
    for event in [&events[0], &events[3]] {
        assert_eq!(event.request_id, Some(record.write.request_id));
        assert_eq!(event.caller.as_deref(), Some("fleet"));
    }
    // A reference of the provider for an order is no transaction.
    let order = begun(ledger, wanted(2, "P", request(2))).await;
    let sent = Settlement::Done {
        subscription_id: None,
        provider_reference: Some("T-9".into()),
        next_check_at: None,
    };
    settled(ledger, &order, sent, 1).await;
    stage.log.publish().await.unwrap();
    stage.log.append(vec![of("D", "T-9")]).await.unwrap();
    let last = logged(stage).await.pop().unwrap();
    assert_eq!((last.operation_id, last.request_id), (None, None));
}

async fn details_are_read_as_they_were_appended(stage: &Stage) {
    let order = begun(&*stage.ledger, complete(1)).await.write;
    let whole = Event {
        details: Details {
            activated_at: Some(at(1)),
            activation_deadline: Some(at(2)),
            expires_at: Some(at(3)),
            country: Country::from_alpha2("FR"),
            esim_status: Some(EsimStatus::Enabled),
            balance: Some(Balance {
                resource: "R".into(),
                label: "\"é\"".into(),
                level: Level::Limited {
                    remaining: Some(Amount::DataBytes(7)),
                    initial: None,
                },
                fair_use: false,
                period_start: None,
                period_end: Some(at(4)),
            }),
            list_price: None,
            stock: None,
        },
        order_id: Some(order.id),
        ..event("A")
    };
    let arrivals = vec![incoming(whole.clone()), named("B")];
    stage.log.append(arrivals).await.unwrap();
    let expected = Event {
        request_id: Some(order.request_id),
        caller: Some("shop".into()),
        reference: Some("cart 7 'é".into()),
        ..whole
    };
    // The only one that has bought for the SIM.
    let named = Event {
        caller: Some("shop".into()),
        ..event("B")
    };
    assert_eq!(logged(stage).await, [expected, named]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_tells_the_others_of_an_outcome() {
    let Some(stage) = Stage::postgresql().await else {
        return;
    };
    let notify = Notify::new();
    let listening = stage.other.listen(&notify);
    let notified = async {
        // The first one says that it listens.
        notify.notified().await;
        in_state(&*stage.ledger, 1, State::Done).await;
        assert_eq!(stage.log.publish().await.unwrap(), 1);
        notify.notified().await;
        assert_eq!(logged(&stage).await.len(), 1);
    };
    tokio::select! {
        () = listening => unreachable!("it listens until it is dropped"),
        notified = tokio::time::timeout(crate::support::gateway::SOON, notified) => notified.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_settled_while_another_session_holds_the_log() {
    let Some(url) = crate::support::postgres::database().await else {
        return;
    };
    let opened = crate::writes::ledger::open(StoreUrl::parse(&url).unwrap()).await;
    let record = begun(&*opened.ledger, complete(1)).await;
    let mut server = PgConnection::connect(&url).await.unwrap();
    let mut holding = server.begin().await.unwrap();
    let hold = sqlx::raw_sql("SELECT * FROM event_log FOR UPDATE");
    hold.execute(&mut *holding).await.unwrap();
    settled(&*opened.ledger, &record, placed(None), 1).await;
    // Nothing of it is lost, and nothing is read before its turn.
    assert_eq!(opened.events.extent().await.unwrap().latest, 0);
    holding.rollback().await.unwrap();
    assert_eq!(opened.events.publish().await.unwrap(), 1);
    assert_eq!(opened.events.extent().await.unwrap().latest, 1);
}
