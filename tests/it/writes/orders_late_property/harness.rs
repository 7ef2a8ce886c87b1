//! A provider and one or two gateways, for many cases after each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::OrderState;
use jiff::SignedDuration;
use tokio::sync::Semaphore;
use tonic::{Code, Request};
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::{self, Steps};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{EventOrder, Options, Sandbox, Script, SimStatus, Webhook};

use super::case::{Answer, Case, Events, Freeze, SEND_TIMEOUT, Shows, WINDOW};
use super::seen::{Seen, What};
use crate::support::gateway::{Gateway, ORDERS, SECRET, Secret};
use crate::support::postgres;
use crate::support::property::{AT_LAST, loaded};
use crate::writes::orders::get;
use crate::writes::orders_late::clocks::Steppable;

const SETTINGS: [(&str, &str); 7] = [
    ("ORDERS__RECONCILE_AFTER", "15ms"),
    ("ORDERS__RECONCILE_AT_MOST", "60ms"),
    ("ORDERS__ESCALATE_AFTER", "30s"),
    ("TRANSATEL__ATTEMPT_TIMEOUT", "250ms"),
    ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
    ("EVENTS__POLL_INTERVAL", "1s"),
    ("TELEMETRY__SAMPLE_RATIO", "0"),
];

pub struct Harness {
    sandbox: Sandbox,
    gateways: Vec<Gateway>,
    clock: Steppable,
    freezer: Arc<Freezer>,
    sims: Vec<String>,
    _secret: Secret,
}

/// Where the first gateway stands still, when the test says so.
#[derive(Default)]
struct Freezer {
    at: Mutex<Option<steps::Step>>,
    is_frozen: AtomicBool,
    go: Mutex<Option<Arc<Semaphore>>>,
}

impl Freezer {
    fn steps(self: &Arc<Self>) -> Steps {
        let freezer = Arc::clone(self);
        Steps::new(move |step| {
            let freezer = Arc::clone(&freezer);
            Box::pin(async move {
                let go = {
                    let mut at = freezer.at.lock().unwrap();
                    if *at != Some(step) {
                        return;
                    }
                    *at = None;
                    freezer.go.lock().unwrap().clone()
                };
                freezer.is_frozen.store(true, Ordering::SeqCst);
                if let Some(go) = go {
                    let _ = go.acquire().await;
                }
            })
        })
    }

    fn freeze(&self, at: steps::Step) {
        self.is_frozen.store(false, Ordering::SeqCst);
        *self.go.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
        *self.at.lock().unwrap() = Some(at);
    }

    fn wake(&self) -> bool {
        *self.at.lock().unwrap() = None;
        if let Some(go) = self.go.lock().unwrap().take() {
            go.add_permits(100);
        }
        self.is_frozen.load(Ordering::SeqCst)
    }
}

/// Answers that callers got, and when they asked and were answered.
#[derive(Default)]
struct Answers(Mutex<Vec<(Instant, Instant, api::Order)>>);

impl Answers {
    fn push(&self, asked: Instant, order: api::Order) {
        self.0.lock().unwrap().push((asked, Instant::now(), order));
    }

    /// Pairs of answers of which one was given before the other was asked for.
    fn in_turn(&self) -> Vec<(api::Order, api::Order)> {
        let all = self.0.lock().unwrap();
        let pairs = all
            .iter()
            .flat_map(|one| all.iter().map(move |other| (one, other)));
        pairs
            .filter(|((_, answered, _), (asked, _, _))| answered <= asked)
            .map(|((_, _, before), (_, _, after))| (before.clone(), after.clone()))
            .collect()
    }
}

impl Harness {
    pub async fn alone(cases: u64) -> Self {
        Self::open(cases, "sqlite::memory:", 1).await
    }

    pub async fn replicated(cases: u64) -> Self {
        let store = postgres::database().await.unwrap();
        Self::open(cases, &store, 2).await
    }

    async fn open(cases: u64, store: &str, replicas: usize) -> Self {
        let sandbox = Sandbox::start(Options {
            sims: 60 + u32::try_from(cases).unwrap(),
            ..Options::default()
        })
        .await
        .unwrap();
        let secret = Secret::new(SECRET);
        let clock = Steppable::default();
        let freezer = Arc::new(Freezer::default());
        let window = format!("{}ms", WINDOW.as_millis());
        let timeout = format!("{}ms", SEND_TIMEOUT.as_millis());
        // Replicas that freeze are waited for until its end. Where there is one, a check may
        // take longer on a busy machine.
        let lease = match replicas {
            1 => "5s",
            _ => "1s",
        };
        let more = [
            ("STORE__URL", store),
            ("ORDERS__LEASE", lease),
            ("ORDERS__SETTLE_WINDOW", &window),
            ("ORDERS__SEND_TIMEOUT", &timeout),
        ];
        let settings = [SETTINGS.as_slice(), &secret.settings(), &more].concat();
        let mut gateways = Vec::new();
        for number in 0..replicas {
            let seams = match number {
                0 => Seams {
                    clock: clock.clock(),
                    steps: freezer.steps(),
                    ..Seams::default()
                },
                _ => Seams::default(),
            };
            let gateway = Gateway::start_in(&sandbox.base_url(), &settings, seams).await;
            loaded(&gateway).await;
            gateways.push(gateway);
        }
        let webhook = gateways.last().unwrap().webhook();
        sandbox
            .control()
            .set_webhook(Some(Webhook::new(webhook, SECRET)))
            .unwrap();
        let sims = (0..cases)
            .map(|number| format!("882470000000{:03}", 45 + number))
            .collect();
        Self {
            sandbox,
            gateways,
            clock,
            freezer,
            sims,
            _secret: secret,
        }
    }

    pub async fn run(&self, seed: u64, number: usize, seen: &Seen) {
        let msisdn = self.sims[number].as_str();
        let case = Case::of(seed, msisdn, self.gateways.len() > 1);
        let name = || format!("SEED={seed} {case:?}");
        let answers = Answers::default();
        self.prepare(&case, msisdn);
        let control = self.sandbox.control();
        let before = control.sim(msisdn).unwrap().subscriptions.len();
        let sent = control.received("POST", ORDERS);
        self.live(&case, seen, &answers, &name).await;
        let opinion = self.opinion(&case, seen, &answers, &name).await;
        if control.received("POST", ORDERS) > sent {
            Self::note(&case, seen);
        }
        self.tell_the_truth(&case, msisdn, opinion, seen, &name).await;
        let last = self
            .ask_at_last(&case, msisdn, seen, &answers, opinion, &name)
            .await;
        self.check(msisdn, before, last.as_ref(), &answers, &name);
        self.clean_up();
    }

    fn prepare(&self, case: &Case, msisdn: &str) {
        let control = self.sandbox.control();
        let status = match case.active {
            true => SimStatus::Active,
            false => SimStatus::PreActivated,
        };
        control.set_sim_status(msisdn, status).unwrap();
        let names = case.names_subscription;
        control.configure(|settings| settings.answers_name_subscription = names);
        control.show_next_order(msisdn, case.showing()).unwrap();
        if matches!(case.events, Events::AfterNotPlaced { .. }) {
            control.hold_events();
        }
        control.disturb_events_of(msisdn, case.disturbances()).unwrap();
        control.queue(Script::on("POST", ORDERS).then(case.fault()));
        if let Some(Freeze { at, .. }) = case.freeze {
            self.freezer.freeze(at);
        }
    }

    /// What the provider did with the order, which it has received.
    fn note(case: &Case, seen: &Seen) {
        let is_lost = !case.is_answered() && case.is_carried_out();
        for (what, so) in [
            (What::AnswerLost, is_lost),
            (What::NotCarriedOut, !case.is_carried_out()),
            (
                What::CarriedOutAfterTheCallerGaveUp,
                matches!(case.answer, Answer::OnceGone(_) | Answer::TooLate(_)),
            ),
            (What::AnswerAfterItsEvents, case.answer == Answer::AfterEvents),
            (
                What::InventoryLateWithinTheWindow,
                is_lost && case.shows == Shows::Within,
            ),
            (
                What::InventoryLateAtTheWindow,
                is_lost && case.shows == Shows::AtTheWindow,
            ),
            (
                What::InventoryLateBeyondTheWindow,
                is_lost && case.shows == Shows::Beyond,
            ),
            (What::InventoryNever, is_lost && case.shows == Shows::Never),
            (What::EventsLost, is_lost && case.events == Events::Lost),
            (What::EventsTwice, case.events == Events::Twice),
            (
                What::EventsLate,
                is_lost && matches!(case.events, Events::Late(_)),
            ),
        ] {
            if so {
                seen.note(what);
            }
        }
    }

    /// Everybody asks at once, while the clock is set and a replica freezes.
    async fn live(&self, case: &Case, seen: &Seen, answers: &Answers, name: &impl Fn() -> String) {
        let calls = case.calls.iter().map(|call| async move {
            tokio::time::sleep(call.after).await;
            let gateway = &self.gateways[call.replica % self.gateways.len()];
            let mut request = Request::new(case.request.clone());
            request.set_timeout(call.deadline);
            let mut client = gateway.provisioning();
            let asked = Instant::now();
            let answer = client.create_order(request);
            let answer = match call.gives_up {
                Some(after) => tokio::time::timeout(after, answer).await.ok(),
                None => Some(answer.await),
            };
            if let Some(Ok(answer)) = answer {
                answers.push(asked, answer.into_inner().order.unwrap());
            }
        });
        let steps = case.clock.iter().map(|(after, by)| async move {
            tokio::time::sleep(*after).await;
            self.clock.step(*by);
            let state = self.state(case).await;
            match (*by > SignedDuration::ZERO, state) {
                (true, Some(OrderState::Submitting)) => seen.note(What::ClockAheadWhileInFlight),
                (true, Some(OrderState::Unknown)) => seen.note(What::ClockAheadWhileUnknown),
                (true, _) => {}
                (false, _) => seen.note(What::ClockBack),
            }
        });
        let thaw = async {
            let Some(freeze) = case.freeze else { return };
            if freeze.past_the_lease {
                // Until the other replica has taken the order over and has an
                // opinion, or it turns out that nothing was begun.
                let started = Instant::now();
                let mut is_over = false;
                while !is_over {
                    assert!(started.elapsed() < AT_LAST, "never taken over: {}", name());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let state = self.state(case).await;
                    is_over = match state {
                        None => started.elapsed() > Duration::from_secs(1),
                        Some(OrderState::Submitting | OrderState::Unknown) => false,
                        Some(_) => true,
                    };
                }
            }
            if self.freezer.wake() {
                seen.note(match freeze.at {
                    steps::Step::Durable => What::FrozenBeforeTheSend,
                    _ => What::FrozenAfterTheAnswer,
                });
                if freeze.past_the_lease {
                    seen.note(What::FrozenPastTheLease);
                }
            }
        };
        tokio::join!(
            futures_util::future::join_all(calls),
            futures_util::future::join_all(steps),
            thaw,
        );
    }

    async fn state(&self, case: &Case) -> Option<OrderState> {
        let mut client = self.gateways.last().unwrap().provisioning();
        let order = get(&mut client, &case.request).await.ok()?;
        Some(order.state())
    }

    /// What the gateway takes for the truth before the provider has said all.
    async fn opinion(
        &self,
        case: &Case,
        seen: &Seen,
        answers: &Answers,
        name: &impl Fn() -> String,
    ) -> Option<OrderState> {
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < AT_LAST, "no opinion: {}", name());
            let mut client = self.gateways.last().unwrap().provisioning();
            let asked = Instant::now();
            match get(&mut client, &case.request).await {
                Ok(order) => {
                    answers.push(asked, order.clone());
                    match order.state() {
                        OrderState::Submitting | OrderState::Unknown => {}
                        // Bought, and only its name is looked for.
                        OrderState::NeedsOperator => {
                            seen.note(What::NeededAnOperator);
                            return Some(OrderState::NeedsOperator);
                        }
                        state => return Some(state),
                    }
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::NotFound, "{}", name());
                    return None;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Now everything shows that is ever going to.
    async fn tell_the_truth(
        &self,
        case: &Case,
        msisdn: &str,
        opinion: Option<OrderState>,
        seen: &Seen,
        name: &impl Fn() -> String,
    ) {
        let control = self.sandbox.control();
        let bought = || {
            let sim = control.sim(msisdn).unwrap();
            sim.subscriptions
                .iter()
                .any(|subscription| subscription.transaction_reference.is_some())
        };
        // What is carried out late has been by now, or is very soon.
        let started = Instant::now();
        let late = matches!(case.answer, Answer::OnceGone(_) | Answer::TooLate(_)) && opinion.is_some();
        // A request that was cut off before it had arrived never is.
        while late && case.freeze.is_none() && !bought() && started.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let is_not_placed = opinion == Some(OrderState::NotPlaced) && bought();
        if let Events::AfterNotPlaced { reversed } = case.events {
            if reversed && control.attach(msisdn, "FR").is_ok() && bought() {
                seen.note(What::EventsOutOfOrder);
            }
            let order = match reversed {
                true => EventOrder::Reversed,
                false => EventOrder::AsHappened,
            };
            if control.release_events(order) > 0 && is_not_placed {
                seen.note(What::EventAfterNotPlaced);
            }
        }
        if control.show_inventory(msisdn).unwrap() > 0 && is_not_placed {
            seen.note(What::InventoryAfterNotPlaced);
        }
        self.deliver(name).await;
        control.clear_faults();
    }

    /// Every event arrives. One that failed, on a machine that is busy, would
    /// come again by itself only after minutes.
    async fn deliver(&self, name: &impl Fn() -> String) {
        let control = self.sandbox.control();
        let started = Instant::now();
        let sent = async || {
            let sent = control.until_events_sent();
            tokio::time::timeout(Duration::from_millis(500), sent)
                .await
                .is_ok()
        };
        while !sent().await {
            assert!(started.elapsed() < AT_LAST, "events never arrive: {}", name());
            control.resume_webhook();
            control.flush_events().await;
        }
    }

    /// Asked for again without any trouble, it is bought if it can be, and
    /// never twice.
    async fn ask_at_last(
        &self,
        case: &Case,
        msisdn: &str,
        seen: &Seen,
        answers: &Answers,
        opinion: Option<OrderState>,
        name: &impl Fn() -> String,
    ) -> Option<api::Order> {
        let started = Instant::now();
        let sent = self.sandbox.control().received("POST", ORDERS);
        let mut last = None;
        loop {
            assert!(
                started.elapsed() < AT_LAST,
                "never answered, at last {last:?}: {}",
                name()
            );
            // Also of what a caller that has gone has left behind just now.
            let control = self.sandbox.control();
            control.show_inventory(msisdn).unwrap();
            control.release_events(EventOrder::AsHappened);
            self.deliver(name).await;
            let mut client = self.gateways.last().unwrap().provisioning();
            let asked = Instant::now();
            match client.create_order(case.request.clone()).await {
                Ok(answer) => {
                    let order = answer.into_inner().order.unwrap();
                    answers.push(asked, order.clone());
                    let is_open = matches!(order.state(), OrderState::Submitting | OrderState::Unknown);
                    if !is_open {
                        let again = self.sandbox.control().received("POST", ORDERS) > sent;
                        if opinion == Some(OrderState::NotPlaced) && order.state() == OrderState::Placed {
                            seen.note(match again {
                                true => What::RepeatSentAndBought,
                                false => What::NotPlacedBecamePlaced,
                            });
                        }
                        return Some(order);
                    }
                    last = Some(Ok(order));
                }
                Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                    last = Some(Err(status));
                }
                Err(status) => panic!("{status:?}: {}", name()),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn check(
        &self,
        msisdn: &str,
        before: usize,
        last: Option<&api::Order>,
        answers: &Answers,
        name: &impl Fn() -> String,
    ) {
        let control = self.sandbox.control();
        let order = last.unwrap();
        let bought = control.subscriptions_by_reference(&order.order_id);
        assert!(bought.len() <= 1, "bought {} times: {}", bought.len(), name());
        let all = control.sim(msisdn).unwrap();
        let ordered = all
            .subscriptions
            .iter()
            .filter(|one| one.transaction_reference.is_some());
        assert_eq!(ordered.count(), bought.len(), "bought by no order: {}", name());
        // The infrastructure's own comes with a first attach.
        assert!(all.subscriptions.len() - before <= 2, "{}", name());
        match order.state() {
            OrderState::Placed => {
                let bought = bought.first().unwrap_or_else(|| panic!("not bought: {}", name()));
                let known = &order.subscription_id;
                assert!(
                    known.is_empty() || *known == bought.subscription_id.to_string(),
                    "another subscription: {}",
                    name()
                );
            }
            OrderState::NeedsOperator => {}
            other => panic!("{other:?} at last: {}", name()),
        }
        // No answer was contradicted by a later one.
        for (before, after) in answers.in_turn() {
            if before.state() != OrderState::Submitting {
                assert_eq!(
                    before.order_id,
                    after.order_id,
                    "two orders for one request: {}",
                    name()
                );
            }
            if before.state() == OrderState::Placed {
                assert_eq!(after.state(), OrderState::Placed, "no longer placed: {}", name());
                let known = &before.subscription_id;
                assert!(
                    known.is_empty() || *known == after.subscription_id,
                    "another subscription later: {}",
                    name()
                );
            }
        }
    }

    fn clean_up(&self) {
        let control = self.sandbox.control();
        control.clear_faults();
        control.clear_disturbances();
    }
}
