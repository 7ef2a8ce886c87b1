//! Sequences of operations as nobody would write them: the ledger answers
//! each as a simple list of rows does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use transatel_gateway::domain::event::Event;
use transatel_gateway::domain::spend::Days;
use transatel_gateway::store::{Claims, LookUp, Note, SlotStatus};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Begin {
        request: u8,
        sim: u8,
        product: u8,
        looked: bool,
        generation_off: bool,
        lease: i64,
    },
    Settle {
        order: u8,
        attempt_off: bool,
        settlement: Settlement,
    },
    Release {
        order: u8,
        attempt_off: bool,
    },
    TakeOver {
        all: bool,
    },
    TakeDue {
        lease: i64,
        limit: i64,
    },
    Postpone {
        order: u8,
        next: Option<i64>,
    },
    Purge {
        before: i64,
    },
}

fn settlement() -> impl Strategy<Value = Settlement> {
    let subscription = proptest::option::of(select(vec!["S1", "S2", "S3"]));
    let placed =
        (subscription, proptest::option::of(0..60_i64)).prop_map(|(subscription, next)| Settlement::Done {
            subscription_id: subscription.map(Into::into),
            provider_reference: None,
            next_check_at: next.map(at),
        });
    prop_oneof![
        3 => placed,
        1 => Just(Settlement::Rejected(failure())),
        3 => (0..60_i64).prop_map(unknown),
        2 => proptest::option::of(0..60_i64).prop_map(|next| Settlement::NotDone {
            next_check_at: next.map(at),
        }),
        1 => Just(Settlement::NeedsOperator(failure())),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        6 => (0..6_u8, 0..2_u8, 0..2_u8, proptest::bool::weighted(0.8), rarely(), 0..60_i64).prop_map(
            |(request, sim, product, looked, generation_off, lease)| {
                Step::Begin { request, sim, product, looked, generation_off, lease }
            }
        ),
        6 => (0..6_u8, rarely(), settlement()).prop_map(
            |(order, attempt_off, settlement)| Step::Settle { order, attempt_off, settlement }
        ),
        1 => (0..6_u8, rarely()).prop_map(|(order, attempt_off)| Step::Release { order, attempt_off }),
        1 => any::<bool>().prop_map(|all| Step::TakeOver { all }),
        2 => (0..60_i64, 0..3_i64).prop_map(|(lease, limit)| Step::TakeDue { lease, limit }),
        2 => (0..6_u8, proptest::option::of(0..60_i64)).prop_map(|(order, next)| Step::Postpone { order, next }),
        1 => (0..60_i64).prop_map(|before| Step::Purge { before }),
    ]
}

/// A row of the model.
#[derive(Clone)]
struct Row {
    record: Record,
    lease: Option<Timestamp>,
}

#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    /// What the log of events has to hold.
    outcomes: Vec<Outcome>,
}

/// An event of the gateway: its type, the order, its subscription and when.
type Outcome = (&'static str, WriteId, Option<String>, Timestamp);

fn outcome(write: &Write) -> Option<Outcome> {
    let name = match write.state {
        State::Done => "GATEWAY/ORDER/PLACED",
        State::Rejected => "GATEWAY/ORDER/REJECTED",
        State::NotDone => "GATEWAY/ORDER/NOT_PLACED",
        State::NeedsOperator => "GATEWAY/ORDER/NEEDS_OPERATOR",
        State::Submitting | State::Unknown => return None,
    };
    Some((name, write.id, write.bought().cloned(), write.updated_at))
}

impl Model {
    fn in_slot<'a>(&'a self, order: &'a Write) -> impl Iterator<Item = &'a Record> {
        let same = |other: &Write| Slot::of(&other.kind) == Slot::of(&order.kind);
        self.rows
            .iter()
            .map(|row| &row.record)
            .filter(move |record| same(&record.write))
    }

    fn slot_status(&self, order: &Write) -> SlotStatus {
        SlotStatus {
            in_flight: self
                .in_slot(order)
                .find(|record| record.write.state.is_in_flight())
                .map(|record| record.write.id),
            generation: self.in_slot(order).map(|record| i64::from(record.attempt)).sum(),
            is_reserved: false,
        }
    }

    fn begin(&mut self, attempt: &Attempt) -> Begun {
        let order = &attempt.write;
        let status = self.slot_status(order);
        let known = self
            .rows
            .iter()
            .position(|row| row.record.write.request_id == order.request_id);
        if let Some(at) = known {
            let record = &self.rows[at].record;
            let is_repeat =
                record.write.id == order.id && Slot::of(&record.write.kind) == Slot::of(&order.kind);
            if record.write.state != State::NotDone || !is_repeat {
                return Begun::Known(Box::new(record.clone()));
            }
        }
        if let Some(other) = status.in_flight {
            return Begun::Busy(other);
        }
        if status.generation != attempt.generation {
            return Begun::Moved;
        }
        let mut record = Record {
            write: order.clone(),
            attempt: 1,
            first_baseline: attempt.baseline.clone(),
            baseline: attempt.baseline.clone(),
            sent_by: attempt.lease_until,
            checks: 0,
            due_at: None,
            checked_at: None,
            observed: Observed::default(),
        };
        if let Some(at) = known {
            let before = self.rows.remove(at).record;
            record.write.id = before.write.id;
            record.write.created_at = before.write.created_at;
            record.attempt = before.attempt + 1;
            record.first_baseline = before.first_baseline;
            record.checks = before.checks;
            record.due_at = before.due_at;
            record.checked_at = before.checked_at;
            record.observed = before.observed;
        }
        record.write.next_check_at = Some(record.sent_by);
        self.rows.push(Row {
            record: record.clone(),
            lease: Some(attempt.lease_until),
        });
        Begun::Yes(Box::new(record))
    }

    fn settle(
        &mut self,
        id: WriteId,
        attempt: i32,
        settlement: &Settlement,
        note: Option<&Note>,
        now: Timestamp,
    ) -> Settled {
        let Some(place) = self.rows.iter().position(|row| row.record.write.id == id) else {
            return Settled::Gone;
        };
        let record = &self.rows[place].record;
        let subscription = match settlement {
            Settlement::Done { subscription_id, .. } => subscription_id.clone(),
            _ => None,
        };
        let fills =
            record.write.state == State::Done && record.write.bought().is_none() && subscription.is_some();
        let fills = fills
            || record.write.state == State::Done
                && subscription.is_some()
                && record.write.bought() == subscription.as_ref();
        let any_attempt = settlement.state() == State::Done;
        if !(any_attempt || record.attempt == attempt)
            || !(record.write.state.may_become(settlement.state()) || fills)
        {
            return Settled::No(Box::new(record.clone()));
        }
        let claimed = subscription.is_some()
            && self.rows.iter().any(|row| {
                let other = &row.record.write;
                other.id != id
                    && other.kind.msisdn() == record.write.kind.msisdn()
                    && other.bought() == subscription.as_ref()
            });
        let busy = settlement.state().is_in_flight()
            && self
                .in_slot(&record.write)
                .any(|other| other.write.id != id && other.write.state.is_in_flight());
        if claimed || busy {
            return Settled::Claimed;
        }
        let row = &mut self.rows[place];
        row.lease = None;
        let record = &mut row.record;
        let is_new = record.write.state != settlement.state();
        if is_new {
            record.write.updated_at = now;
            record.checks = 0;
            record.observed = Observed::default();
        }
        record.checked_at = Some(now);
        record.write.state = settlement.state();
        purchase_mut(&mut record.write).subscription_id = subscription;
        record.write.failure = None;
        record.write.note = note.cloned().or(record.write.note.take());
        record.write.next_check_at = None;
        let due_at = record.due_at.take();
        match settlement {
            Settlement::Done { next_check_at, .. } if record.write.bought().is_none() => {
                record.write.next_check_at = *next_check_at;
                record.due_at = *next_check_at;
            }
            Settlement::Unknown {
                provider_reference,
                sent_by,
                next_check_at,
            } => {
                let kept = record.write.provider_reference.take();
                record.write.provider_reference = provider_reference.clone().or(kept);
                record.sent_by = *sent_by;
                record.write.next_check_at = Some(*next_check_at);
                record.due_at = Some(*next_check_at);
            }
            Settlement::Rejected(failure) => {
                record.write.failure = Some(failure.clone());
                record.due_at = due_at.filter(|_| record.attempt > 1);
            }
            Settlement::NeedsOperator(failure) => record.write.failure = Some(failure.clone()),
            Settlement::NotDone { next_check_at } => record.due_at = *next_check_at,
            Settlement::Done { .. } => {}
        }
        let record = record.clone();
        if is_new {
            self.outcomes.extend(outcome(&record.write));
        }
        Settled::Yes(Box::new(record))
    }

    fn release(&mut self, id: WriteId, attempt: i32, now: Timestamp) {
        self.rows.retain_mut(|row| {
            let order = &mut row.record.write;
            if order.id != id || row.record.attempt != attempt || order.state != State::Submitting {
                return true;
            }
            order.state = State::NotDone;
            order.updated_at = now;
            order.next_check_at = None;
            row.lease = None;
            attempt > 1
        });
    }

    fn take_over(&mut self, all: bool, now: Timestamp) -> u64 {
        let mut taken = 0;
        for row in &mut self.rows {
            let ended = row.lease.is_some_and(|lease| lease <= now);
            if row.record.write.state == State::Submitting && (all || ended) {
                row.record.write.state = State::Unknown;
                row.record.write.updated_at = now;
                row.record.write.next_check_at = Some(now);
                row.record.due_at = Some(now);
                row.record.checks = 0;
                row.record.checked_at = None;
                row.record.observed = Observed::default();
                row.lease = None;
                taken += 1;
            }
        }
        taken
    }

    fn is_looked_for(order: &Write) -> bool {
        match order.state {
            State::Unknown | State::NotDone | State::Rejected => true,
            State::Done => order.bought().is_none(),
            State::Submitting | State::NeedsOperator => false,
        }
    }

    fn take_due(&mut self, now: Timestamp, lease: Timestamp, limit: i64) -> Vec<Record> {
        let is_due = |row: &Row| {
            Self::is_looked_for(&row.record.write)
                && row.record.due_at.is_some_and(|due| due <= now)
                && row.lease.is_none_or(|lease| lease <= now)
        };
        let mut due: Vec<&mut Row> = self.rows.iter_mut().filter(|row| is_due(row)).collect();
        due.sort_by_key(|row| (row.record.due_at, row.record.write.id));
        due.truncate(usize::try_from(limit).unwrap());
        due.into_iter()
            .map(|row| {
                row.lease = Some(lease);
                row.record.clone()
            })
            .collect()
    }

    fn postpone(&mut self, id: WriteId, attempt: i32, look: Check) {
        for row in &mut self.rows {
            let record = &mut row.record;
            let order = &mut record.write;
            if order.id == id && record.attempt == attempt && Self::is_looked_for(order) {
                if record.due_at.is_some() && record.due_at == look.was_due_at {
                    record.due_at = look.next_check_at;
                    if matches!(order.state, State::Unknown | State::Done) {
                        order.next_check_at = look.next_check_at;
                    }
                }
                record.checks += 1;
                record.checked_at = Some(look.at);
                record.observed = look.observed;
                row.lease = None;
            }
        }
    }

    fn purge(&mut self, before: Timestamp) -> u64 {
        let rows = self.rows.len();
        self.rows.retain(|row| {
            let order = &row.record.write;
            let over = match order.state {
                State::Rejected | State::NotDone => row.record.due_at.is_none(),
                State::Done => order.bought().is_some() || order.next_check_at.is_none(),
                State::Submitting | State::Unknown | State::NeedsOperator => false,
            };
            !(over && order.updated_at < before)
        });
        (rows - self.rows.len()) as u64
    }

    fn claims(&self, sim: u32, product: &str, other_than: WriteId) -> Claims {
        let watched = |id: WriteId| {
            let row = self.rows.iter().find(|row| row.record.write.id == id);
            row.is_some_and(|row| row.record.due_at.is_some())
        };
        let others: Vec<&Write> = self
            .rows
            .iter()
            .map(|row| &row.record.write)
            .filter(|order| order.id != other_than && *order.kind.msisdn() == msisdn(sim))
            .collect();
        let mut named: Vec<&&Write> = others.iter().filter(|order| order.bought().is_some()).collect();
        named.sort_by_key(|order| order.id);
        Claims {
            subscription_ids: named.iter().filter_map(|order| order.bought().cloned()).collect(),
            rivals: others
                .iter()
                .filter(|order| {
                    purchase(order).terms.product_id == product
                        && match order.state {
                            State::Submitting | State::Unknown | State::NeedsOperator => true,
                            State::Done => order.bought().is_none(),
                            State::NotDone | State::Rejected => watched(order.id),
                        }
                })
                .count() as i64,
        }
    }
}

/// Runs the steps on both and compares every answer, and after each step
/// everything that can be read. Returns the outcomes.
async fn agree(opened: Opened, steps: &[Step]) -> Vec<Outcome> {
    let ledger = &*opened.ledger;
    let mut model = Model::default();
    let mut ids = [WriteId::new(); 6];
    for (now, step) in (0..).zip(steps) {
        let now = at(now);
        let attempt_of = |model: &Model, id: WriteId, off: bool| {
            let row = model.rows.iter().find(|row| row.record.write.id == id);
            row.map_or(1, |row| row.record.attempt) + i32::from(off)
        };
        match step.clone() {
            Step::Begin {
                request: number,
                sim,
                product,
                looked,
                generation_off,
                lease,
            } => {
                let mut attempt = wanted(sim.into(), &format!("P{product}"), request(number.into()));
                let known = model
                    .rows
                    .iter()
                    .map(|row| &row.record)
                    .find(|known| known.write.request_id == attempt.write.request_id);
                if let Some(known) = known.filter(|known| looked && known.write.state == State::NotDone) {
                    attempt = repeating(known, attempt);
                }
                attempt.write.created_at = now;
                attempt.write.updated_at = now;
                attempt.lease_until = at(lease);
                attempt.generation = model.slot_status(&attempt.write).generation + i64::from(generation_off);
                let expected = model.begin(&attempt);
                let answer = ledger.begin(attempt).await.unwrap();
                if let Begun::Yes(record) = &answer {
                    ids[usize::from(number)] = record.write.id;
                }
                assert_eq!(format!("{answer:?}"), format!("{expected:?}"));
            }
            Step::Settle {
                order,
                attempt_off,
                settlement,
            } => {
                let id = ids[usize::from(order)];
                let attempt = attempt_of(&model, id, attempt_off);
                let note = attempt_off.then(Note::default);
                let expected = model.settle(id, attempt, &settlement, note.as_ref(), now);
                let answer = ledger.settle(id, attempt, settlement, note, now).await.unwrap();
                assert_eq!(format!("{answer:?}"), format!("{expected:?}"));
            }
            Step::Release { order, attempt_off } => {
                let id = ids[usize::from(order)];
                let attempt = attempt_of(&model, id, attempt_off);
                model.release(id, attempt, now);
                ledger.release(id, attempt, now).await.unwrap();
            }
            Step::TakeOver { all } => {
                let whose = match all {
                    true => TakeOver::All,
                    false => BY_ANOTHER,
                };
                assert_eq!(
                    ledger.take_over(whose, now, horizon()).await.unwrap(),
                    model.take_over(all, now)
                );
            }
            Step::TakeDue { lease, limit } => {
                let expected = model.take_due(now, at(lease), limit);
                let due = ledger.take_due(now, at(lease), horizon(), limit).await.unwrap();
                assert_eq!(due, expected);
            }
            Step::Postpone { order, next } => {
                let id = ids[usize::from(order)];
                let attempt = attempt_of(&model, id, false);
                let row = model.rows.iter().find(|row| row.record.write.id == id);
                let look = Check {
                    at: now,
                    was_due_at: row.and_then(|row| row.record.due_at),
                    observed: Observed {
                        absent_for: Duration::from_micros(7),
                        watched_for: Duration::from_micros(8),
                    },
                    next_check_at: next.map(at),
                };
                model.postpone(id, attempt, look);
                ledger.postpone(id, attempt, look).await.unwrap();
            }
            Step::Purge { before } => {
                assert_eq!(ledger.purge(at(before)).await.unwrap(), model.purge(at(before)));
            }
        }
        compare(ledger, &model).await;
        compare_sums(ledger, &model).await;
    }
    opened.events.publish().await.unwrap();
    let logged = opened.events.events_after(0, 1_000).await.unwrap();
    let logged = logged.iter().map(|logged| &logged.event);
    let name = |event: &Event| event.raw_type.clone();
    let logged: Vec<_> = logged
        .map(|event| {
            let (id, subscription) = (event.order_id.unwrap(), event.subscription_id.clone());
            (name(event), id, subscription, event.occurred_at.unwrap())
        })
        .collect();
    let expected = model.outcomes.iter().cloned();
    let expected: Vec<_> = expected
        .map(|(name, id, subscription, at)| (name.to_owned(), id, subscription, at))
        .collect();
    assert_eq!(logged, expected);
    model.outcomes
}

async fn compare(ledger: &dyn Ledger, model: &Model) {
    let mut records: Vec<&Record> = model.rows.iter().map(|row| &row.record).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.write.id));
    let page = ledger.page(&Filter::default(), None, 100).await.unwrap();
    assert_eq!(
        page,
        records
            .iter()
            .map(|record| record.write.clone())
            .collect::<Vec<_>>()
    );
    for record in records {
        assert_eq!(found(ledger, record.write.id).await.as_ref(), Some(record));
        let order = &record.write;
        let slot = Slot::of(&order.kind);
        let status = model.slot_status(order);
        assert_eq!(ledger.slot_status(&slot).await.unwrap(), status);
        let known = ledger.look_up(order.request_id, &slot).await.unwrap();
        assert_eq!(known, LookUp::Known(Box::new(record.clone())));
        let new = ledger.look_up(RequestId(Uuid::nil()), &slot).await.unwrap();
        assert_eq!(new, LookUp::New(status));
    }
    for (sim, product) in [(0, "P0"), (1, "P1")] {
        let id = model
            .rows
            .first()
            .map_or_else(WriteId::new, |row| row.record.write.id);
        let claims = ledger.claims(&slot(sim, product), id).await.unwrap();
        assert_eq!(claims, model.claims(sim, product, id));
    }
}

/// Whatever happened: what was ever placed is in the sums once, and what is in
/// flight is in those of what may have been bought.
async fn compare_sums(ledger: &dyn Ledger, model: &Model) {
    let always = Days {
        first: 0,
        end: i64::MAX,
    };
    let spent = ledger.spend(always, None).await.unwrap();
    let orders = |is_placed| {
        let parts = spent.iter().filter(|spent| spent.is_placed == is_placed);
        parts.map(|spent| spent.sum.orders).sum::<i64>()
    };
    let placed = model
        .outcomes
        .iter()
        .filter(|(name, ..)| *name == "GATEWAY/ORDER/PLACED");
    let in_flight = model
        .rows
        .iter()
        .filter(|row| row.record.write.state.is_in_flight());
    assert_eq!(
        (orders(true), orders(false)),
        (placed.count() as i64, in_flight.count() as i64)
    );
}

/// Runs so many cases. Returns how many outcomes of each kind there were, and
/// how many orders were placed after another outcome.
fn check(
    cases: u32,
    runtime: &tokio::runtime::Runtime,
    open: impl AsyncFn() -> Opened,
) -> BTreeMap<&'static str, usize> {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let counts = RefCell::new(BTreeMap::new());
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..50))| {
        let outcomes = runtime.block_on(async { agree(open().await, &steps).await });
        for (number, (name, id, ..)) in outcomes.iter().enumerate() {
            let is_late = *name == "GATEWAY/ORDER/PLACED" && outcomes[..number].iter().any(|(_, other, ..)| other == id);
            *counts.borrow_mut().entry(*name).or_default() += 1;
            *counts.borrow_mut().entry("late").or_default() += usize::from(is_late);
        }
    });
    counts.into_inner()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn sqlite_answers_as_the_model_does() {
    let counts = check(100, &runtime(), async || open(StoreUrl::Memory).await);
    let kinds = ["PLACED", "REJECTED", "NOT_PLACED", "NEEDS_OPERATOR"];
    for name in kinds.map(|kind| format!("GATEWAY/ORDER/{kind}")) {
        assert!(
            counts.get(name.as_str()).is_some_and(|count| *count > 0),
            "{name}: {counts:?}"
        );
    }
    assert!(counts["late"] > 0, "{counts:?}");
}

#[test]
fn postgresql_answers_as_the_model_does() {
    let runtime = runtime();
    if runtime.block_on(postgres::database()).is_some() {
        check(10, &runtime, async || {
            let url = postgres::database().await.unwrap();
            open(StoreUrl::parse(&url).unwrap()).await
        });
    }
}
