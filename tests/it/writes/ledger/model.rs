//! Sequences of operations as nobody would write them: the ledger answers
//! each as a simple list of rows does.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use transatel_gateway::store::{Claims, Note, Traffic};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Begin {
        request: u8,
        sim: u8,
        product: u8,
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
        (subscription, proptest::option::of(0..60_i64)).prop_map(|(subscription, next)| Settlement::Placed {
            subscription_id: subscription.map(Into::into),
            provider_reference: None,
            next_check_at: next.map(at),
        });
    prop_oneof![
        3 => placed,
        1 => Just(Settlement::Rejected(failure())),
        3 => (0..60_i64).prop_map(unknown),
        2 => proptest::option::of(0..60_i64).prop_map(|next| Settlement::NotPlaced {
            next_check_at: next.map(at),
        }),
        1 => Just(Settlement::NeedsOperator(failure())),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        6 => (0..6_u8, 0..2_u8, 0..2_u8, rarely(), 0..60_i64).prop_map(
            |(request, sim, product, generation_off, lease)| Step::Begin { request, sim, product, generation_off, lease }
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
}

impl Model {
    fn in_slot<'a>(&'a self, order: &'a Order) -> impl Iterator<Item = &'a Record> {
        let same = |other: &Order| {
            (&other.sim.msisdn, &other.wish.product_id) == (&order.sim.msisdn, &order.wish.product_id)
        };
        self.rows
            .iter()
            .map(|row| &row.record)
            .filter(move |record| same(&record.order))
    }

    fn traffic(&self, order: &Order) -> Traffic {
        Traffic {
            in_flight: self
                .in_slot(order)
                .find(|record| record.order.state.is_in_flight())
                .map(|record| record.order.id),
            generation: self.in_slot(order).map(|record| i64::from(record.attempt)).sum(),
        }
    }

    fn begin(&mut self, attempt: &Attempt) -> Begun {
        let order = &attempt.order;
        let traffic = self.traffic(order);
        let known = self
            .rows
            .iter()
            .position(|row| row.record.order.request_id == order.request_id);
        if let Some(at) = known {
            let record = &self.rows[at].record;
            let same = record.order.wish == order.wish && record.order.sim == order.sim;
            if record.order.state != State::NotPlaced || !same {
                return Begun::Known(Box::new(record.clone()));
            }
        }
        if let Some(other) = traffic.in_flight {
            return Begun::Busy(other);
        }
        if traffic.generation != attempt.generation {
            return Begun::Moved;
        }
        let mut record = Record {
            order: order.clone(),
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
            record.order.id = before.order.id;
            record.order.created_at = before.order.created_at;
            record.attempt = before.attempt + 1;
            record.first_baseline = before.first_baseline;
            record.checks = before.checks;
            record.due_at = before.due_at;
            record.checked_at = before.checked_at;
            record.observed = before.observed;
        }
        self.rows.push(Row {
            record: record.clone(),
            lease: Some(attempt.lease_until),
        });
        Begun::Yes(Box::new(record))
    }

    fn settle(&mut self, id: OrderId, attempt: i32, settlement: &Settlement, now: Timestamp) -> Settled {
        let Some(place) = self.rows.iter().position(|row| row.record.order.id == id) else {
            return Settled::Gone;
        };
        let record = &self.rows[place].record;
        let subscription = match settlement {
            Settlement::Placed { subscription_id, .. } => subscription_id.clone(),
            _ => None,
        };
        let fills = record.order.state == State::Placed
            && record.order.subscription_id.is_none()
            && subscription.is_some();
        let fills = fills
            || record.order.state == State::Placed
                && subscription.is_some()
                && record.order.subscription_id == subscription;
        let any_attempt = settlement.state() == State::Placed;
        if !(any_attempt || record.attempt == attempt)
            || !(record.order.state.may_become(settlement.state()) || fills)
        {
            return Settled::No(Box::new(record.clone()));
        }
        let claimed = subscription.is_some()
            && self.rows.iter().any(|row| {
                let other = &row.record.order;
                other.id != id
                    && other.sim.msisdn == record.order.sim.msisdn
                    && other.subscription_id == subscription
            });
        let busy = settlement.state().is_in_flight()
            && self
                .in_slot(&record.order)
                .any(|other| other.order.id != id && other.order.state.is_in_flight());
        if claimed || busy {
            return Settled::Claimed;
        }
        let row = &mut self.rows[place];
        row.lease = None;
        let record = &mut row.record;
        if record.order.state != settlement.state() {
            record.order.updated_at = now;
            record.checks = 0;
            record.observed = Observed::default();
        }
        record.checked_at = Some(now);
        record.order.state = settlement.state();
        record.order.subscription_id = subscription;
        record.order.failure = None;
        record.order.next_check_at = None;
        let due_at = record.due_at.take();
        match settlement {
            Settlement::Placed { next_check_at, .. } if record.order.subscription_id.is_none() => {
                record.order.next_check_at = *next_check_at;
                record.due_at = *next_check_at;
            }
            Settlement::Unknown {
                provider_reference,
                sent_by,
                next_check_at,
            } => {
                let kept = record.order.provider_reference.take();
                record.order.provider_reference = provider_reference.clone().or(kept);
                record.sent_by = *sent_by;
                record.order.next_check_at = Some(*next_check_at);
                record.due_at = Some(*next_check_at);
            }
            Settlement::Rejected(failure) => {
                record.order.failure = Some(failure.clone());
                record.due_at = due_at.filter(|_| record.attempt > 1);
            }
            Settlement::NeedsOperator(failure) => record.order.failure = Some(failure.clone()),
            Settlement::NotPlaced { next_check_at } => record.due_at = *next_check_at,
            Settlement::Placed { .. } => {}
        }
        Settled::Yes(Box::new(record.clone()))
    }

    fn release(&mut self, id: OrderId, attempt: i32, now: Timestamp) {
        self.rows.retain_mut(|row| {
            let order = &mut row.record.order;
            if order.id != id || row.record.attempt != attempt || order.state != State::Submitting {
                return true;
            }
            order.state = State::NotPlaced;
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
            if row.record.order.state == State::Submitting && (all || ended) {
                row.record.order.state = State::Unknown;
                row.record.order.updated_at = now;
                row.record.order.next_check_at = Some(now);
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

    fn is_looked_for(order: &Order) -> bool {
        match order.state {
            State::Unknown | State::NotPlaced | State::Rejected => true,
            State::Placed => order.subscription_id.is_none(),
            State::Submitting | State::NeedsOperator => false,
        }
    }

    fn take_due(&mut self, now: Timestamp, lease: Timestamp, limit: i64) -> Vec<Record> {
        let is_due = |row: &Row| {
            Self::is_looked_for(&row.record.order)
                && row.record.due_at.is_some_and(|due| due <= now)
                && row.lease.is_none_or(|lease| lease <= now)
        };
        let mut due: Vec<&mut Row> = self.rows.iter_mut().filter(|row| is_due(row)).collect();
        due.sort_by_key(|row| (row.record.due_at, row.record.order.id));
        due.truncate(usize::try_from(limit).unwrap());
        due.into_iter()
            .map(|row| {
                row.lease = Some(lease);
                row.record.clone()
            })
            .collect()
    }

    fn postpone(&mut self, id: OrderId, attempt: i32, look: Look) {
        for row in &mut self.rows {
            let record = &mut row.record;
            let order = &mut record.order;
            if order.id == id && record.attempt == attempt && Self::is_looked_for(order) {
                if record.due_at.is_some() && record.due_at == look.was_due_at {
                    record.due_at = look.next_check_at;
                    if matches!(order.state, State::Unknown | State::Placed) {
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
            let order = &row.record.order;
            let over = match order.state {
                State::Rejected | State::NotPlaced => row.record.due_at.is_none(),
                State::Placed => order.subscription_id.is_some() || order.next_check_at.is_none(),
                State::Submitting | State::Unknown | State::NeedsOperator => false,
            };
            !(over && order.updated_at < before)
        });
        (rows - self.rows.len()) as u64
    }

    fn claims(&self, sim: u32, product: &str, other_than: OrderId) -> Claims {
        let watched = |id: OrderId| {
            let row = self.rows.iter().find(|row| row.record.order.id == id);
            row.is_some_and(|row| row.record.due_at.is_some())
        };
        let others: Vec<&Order> = self
            .rows
            .iter()
            .map(|row| &row.record.order)
            .filter(|order| order.id != other_than && order.sim.msisdn.as_ref() == Some(&msisdn(sim)))
            .collect();
        let mut named: Vec<&&Order> = others
            .iter()
            .filter(|order| order.subscription_id.is_some())
            .collect();
        named.sort_by_key(|order| order.id);
        Claims {
            subscription_ids: named
                .iter()
                .filter_map(|order| order.subscription_id.clone())
                .collect(),
            rivals: others
                .iter()
                .filter(|order| {
                    order.wish.product_id == product
                        && match order.state {
                            State::Submitting | State::Unknown | State::NeedsOperator => true,
                            State::Placed => order.subscription_id.is_none(),
                            State::NotPlaced | State::Rejected => watched(order.id),
                        }
                })
                .count() as i64,
        }
    }
}

/// Runs the steps on both and compares every answer, and after each step
/// everything that can be read.
async fn agree(ledger: &dyn OrderLedger, steps: &[Step]) {
    let mut model = Model::default();
    let mut ids = [OrderId::new(); 6];
    for (now, step) in (0..).zip(steps) {
        let now = at(now);
        let attempt_of = |model: &Model, id: OrderId, off: bool| {
            let row = model.rows.iter().find(|row| row.record.order.id == id);
            row.map_or(1, |row| row.record.attempt) + i32::from(off)
        };
        match step.clone() {
            Step::Begin {
                request: number,
                sim,
                product,
                generation_off,
                lease,
            } => {
                let mut attempt = wanted(sim.into(), &format!("P{product}"), request(number.into()));
                attempt.order.created_at = now;
                attempt.order.updated_at = now;
                attempt.lease_until = at(lease);
                attempt.generation = model.traffic(&attempt.order).generation + i64::from(generation_off);
                let expected = model.begin(&attempt);
                let answer = ledger.begin(attempt).await.unwrap();
                if let Begun::Yes(record) = &answer {
                    ids[usize::from(number)] = record.order.id;
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
                let expected = model.settle(id, attempt, &settlement, now);
                let note = attempt_off.then(Note::default);
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
                let row = model.rows.iter().find(|row| row.record.order.id == id);
                let look = Look {
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
    }
}

async fn compare(ledger: &dyn OrderLedger, model: &Model) {
    let mut records: Vec<&Record> = model.rows.iter().map(|row| &row.record).collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.order.id));
    let page = ledger.page(&Filter::default(), None, 100).await.unwrap();
    assert_eq!(
        page,
        records
            .iter()
            .map(|record| record.order.clone())
            .collect::<Vec<_>>()
    );
    for record in records {
        assert_eq!(found(ledger, record.order.id).await.as_ref(), Some(record));
        let order = &record.order;
        let place = Slot {
            msisdn: order.sim.msisdn.clone().unwrap(),
            product_id: order.wish.product_id.clone(),
        };
        assert_eq!(ledger.traffic(&place).await.unwrap(), model.traffic(order));
    }
    for (sim, product) in [(0, "P0"), (1, "P1")] {
        let id = model
            .rows
            .first()
            .map_or_else(OrderId::new, |row| row.record.order.id);
        let claims = ledger.claims(&slot(sim, product), id).await.unwrap();
        assert_eq!(claims, model.claims(sim, product, id));
    }
}

fn check(cases: u32, runtime: &tokio::runtime::Runtime, ledger: impl AsyncFn() -> Arc<dyn OrderLedger>) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..50))| {
        runtime.block_on(async { agree(&*ledger().await, &steps).await });
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn sqlite_answers_as_the_model_does() {
    check(100, &runtime(), async || open(StoreUrl::Memory).await.ledger);
}

#[test]
fn postgresql_answers_as_the_model_does() {
    let runtime = runtime();
    if runtime.block_on(postgres::database()).is_some() {
        check(10, &runtime, async || {
            open_postgres(&postgres::database().await.unwrap()).await
        });
    }
}
