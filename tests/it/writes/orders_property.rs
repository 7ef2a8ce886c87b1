//! The property that decides: whatever the provider, the network and the
//! callers do, an order is bought at most once, and what the gateway finally
//! says of it is true.
//!
//! `ORDERS_CASES` sets how many cases are run, `ORDERS_SEED` which; both are
//! printed. A failing case names its own seed: run it alone with
//! `ORDERS_CASES=1 ORDERS_SEED=<seed>`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use api::{EventType, OrderState};
use fastrand::Rng;
use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Options, Sandbox, Script, SimStatus, Step};

use crate::support::gateway::{FRANCE, Gateway, ORDERS, SUBSCRIPTIONS, TOKEN, by_iccid, by_msisdn};
use crate::support::property::{AT_LAST, Call, Run, any_fault, loaded, settled};
use crate::writes::orders::get;

const CASES: u64 = 2_000;
/// Cases that run at once, each with a provider and a gateway of its own:
/// most of a case is waiting.
const AT_ONCE: u64 = 32;
/// How many events of each type there were.
static SEEN: Mutex<BTreeMap<&str, usize>> = Mutex::new(BTreeMap::new());
const SEARCH: &str = "/sim-search/api/sim/search";

/// The settle window is well longer than any fault delays what is done.
const SETTINGS: [(&str, &str); 10] = [
    ("ORDERS__SEND_TIMEOUT", "60ms"),
    ("ORDERS__RECONCILE_AFTER", "20ms"),
    ("ORDERS__RECONCILE_AT_MOST", "100ms"),
    ("ORDERS__SETTLE_WINDOW", "700ms"),
    ("ORDERS__ESCALATE_AFTER", "5s"),
    ("ORDERS__LEASE", "5s"),
    ("TRANSATEL__ATTEMPT_TIMEOUT", "250ms"),
    ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
    ("TRANSATEL__RETRY_LONGEST_WAIT", "5ms"),
    ("TELEMETRY__SAMPLE_RATIO", "0"),
];

#[derive(Clone, Debug)]
struct Case {
    faults: Vec<(&'static str, &'static str, Step)>,
    calls: Vec<Call>,
    requests: Vec<api::CreateOrderRequest>,
    active: bool,
    names_subscription: bool,
    preload_configured: bool,
}

impl Case {
    fn of(seed: u64, msisdn: &str) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let faults = (0..rng.usize(0..5))
            .map(|_| {
                let (method, path) = match rng.u8(0..10) {
                    0..=5 => ("POST", ORDERS),
                    6..=7 => ("GET", SUBSCRIPTIONS),
                    8 => ("POST", TOKEN),
                    _ => ("GET", SEARCH),
                };
                (method, path, any_fault(rng))
            })
            .collect();
        let requests: Vec<_> = (0..rng.usize(1..3))
            .map(|_| api::CreateOrderRequest {
                request_id: uuid::Uuid::from_u128(rng.u128(..)).to_string(),
                sim: by_msisdn(msisdn),
                product_id: FRANCE.into(),
                activation: i32::from(rng.u8(0..3)),
                ..Default::default()
            })
            .collect();
        let calls = Call::some(rng, requests.len());
        Self {
            faults,
            calls,
            requests,
            active: rng.bool(),
            names_subscription: rng.u8(0..4) > 0,
            preload_configured: rng.u8(0..10) > 0,
        }
    }
}

/// One provider and one gateway, for many cases after each other.
struct Harness {
    sandbox: Sandbox,
    gateway: Gateway,
    sims: Vec<String>,
}

impl Harness {
    async fn open(cases: u64) -> Self {
        let sandbox = Sandbox::start(Options {
            sims: 60 + u32::try_from(cases).unwrap(),
            ..Options::default()
        })
        .await
        .unwrap();
        let gateway = Gateway::start(&sandbox.base_url(), &SETTINGS).await;
        loaded(&gateway).await;
        // Beyond those with a story of their own.
        let sims = (0..cases)
            .map(|number| format!("882470000000{:03}", 45 + number))
            .collect();
        Self {
            sandbox,
            gateway,
            sims,
        }
    }

    async fn run(&self, seed: u64, msisdn: &str) {
        let case = Case::of(seed, msisdn);
        let control = self.sandbox.control();
        let status = if case.active {
            SimStatus::Active
        } else {
            SimStatus::PreActivated
        };
        control.set_sim_status(msisdn, status).unwrap();
        control.configure(|settings| {
            settings.answers_name_subscription = case.names_subscription;
            settings.preload_configured = case.preload_configured;
        });
        let sim = control.sim(msisdn).unwrap();
        let before = sim.subscriptions.len();
        for (method, path, step) in &case.faults {
            control.queue(Script::on(method, path).then(step.clone()));
        }
        let calls = case.calls.iter().map(|call| {
            let mut client = self.gateway.provisioning();
            let mut request = case.requests[call.request].clone();
            if call.by_iccid {
                request.sim = by_iccid(&sim.iccid);
            }
            let call = call.clone();
            async move {
                call.make(async |deadline| {
                    let mut request = Request::new(request.clone());
                    request.set_timeout(deadline);
                    let _ = client.create_order(request).await;
                })
                .await;
            }
        });
        futures_util::future::join_all(calls).await;
        control.clear_faults();
        control.configure(|settings| settings.preload_configured = true);
        let name = || format!("ORDERS_SEED={seed} {case:?}");

        // What is said of each order is so.
        let mut client = self.gateway.provisioning();
        for request in &case.requests {
            let order = settled(async || get(&mut client, request).await, &name).await;
            self.check(order.as_ref(), msisdn, &name);
        }

        // Asked for again without any fault, everything is bought that can be,
        // and nothing twice.
        let started = std::time::Instant::now();
        for request in &case.requests {
            let mut last = None;
            loop {
                assert!(
                    started.elapsed() < AT_LAST,
                    "never answered, at last {last:?}: {}",
                    name()
                );
                match client.create_order(request.clone()).await {
                    Ok(_) => break,
                    // A hold after a refused token or a limited rate.
                    Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                        last = Some(status);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(_) => break,
                }
            }
        }
        // And every subscription is an order's. What a caller that gave up has left
        // behind may still be on its way.
        loop {
            let mut bought = 0;
            for request in &case.requests {
                let order = settled(async || get(&mut client, request).await, &name).await;
                bought += self.check(order.as_ref(), msisdn, &name);
                self.check_outcomes(request, order.as_ref(), &name).await;
            }
            if self.subscriptions(msisdn) - before == bought {
                break;
            }
            assert!(
                started.elapsed() < AT_LAST,
                "subscriptions of no order: {}",
                name()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn subscriptions(&self, msisdn: &str) -> usize {
        self.sandbox.control().sim(msisdn).unwrap().subscriptions.len()
    }

    /// The events of an order are the outcomes that it came to: the last one is
    /// its state, and none comes twice in a row unless it was sent again.
    async fn check_outcomes(
        &self,
        request: &api::CreateOrderRequest,
        order: Option<&api::Order>,
        name: &impl Fn() -> String,
    ) {
        let filter = api::EventFilter {
            request_ids: vec![request.request_id.clone()],
            ..Default::default()
        };
        let request = api::ListEventsRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = self.gateway.events().list_events(request).await.unwrap();
        let events = listed.into_inner().events;
        let kinds: Vec<_> = events.iter().map(api::Event::r#type).collect();
        let expected = order.map(|order| match order.state() {
            OrderState::Placed => EventType::OrderPlaced,
            OrderState::Rejected => EventType::OrderRejected,
            OrderState::NotPlaced => EventType::OrderNotPlaced,
            OrderState::NeedsOperator => EventType::OrderNeedsOperator,
            other => panic!("{other:?}: {}", name()),
        });
        assert_eq!(kinds.last().copied(), expected, "{kinds:?} {}", name());
        for pair in kinds.windows(2) {
            assert_ne!(pair[0], EventType::OrderPlaced, "{kinds:?} {}", name());
            assert!(
                pair[0] != pair[1] || pair[0] == EventType::OrderNotPlaced,
                "{kinds:?} {}",
                name()
            );
        }
        if let (Some(order), Some(event)) = (order, events.last()) {
            assert_eq!(event.order_id, order.order_id, "{}", name());
        }
        let mut seen = SEEN.lock().unwrap();
        for kind in kinds {
            *seen.entry(kind.as_str_name()).or_default() += 1;
        }
    }

    /// What is said of an order is so; gives the subscriptions that it came to.
    fn check(&self, order: Option<&api::Order>, msisdn: &str, name: &impl Fn() -> String) -> usize {
        let Some(order) = order else { return 0 };
        let subscriptions = self.sandbox.control().subscriptions_by_reference(&order.order_id);
        assert!(
            subscriptions.len() <= 1,
            "bought {} times: {}",
            subscriptions.len(),
            name()
        );
        match order.state() {
            OrderState::Placed => {
                let bought = subscriptions
                    .first()
                    .unwrap_or_else(|| panic!("not bought: {}", name()));
                assert_eq!(bought.msisdn, msisdn, "{}", name());
                let known = &order.subscription_id;
                assert!(
                    known.is_empty() || *known == bought.subscription_id.to_string(),
                    "another subscription: {}",
                    name()
                );
            }
            OrderState::Rejected | OrderState::NotPlaced => {
                assert!(subscriptions.is_empty(), "bought all the same: {}", name());
            }
            OrderState::NeedsOperator => {}
            other => panic!("{other:?}: {}", name()),
        }
        subscriptions.len()
    }
}

#[test]
fn the_documents_say_how_many_cases() {
    assert!(include_str!("../../../docs/orders.md").contains("2,000 cases a run"));
    assert_eq!(CASES, 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_bought_at_most_once_and_its_final_state_is_true() {
    Run::from_environment("ORDERS", CASES)
        .over(AT_ONCE, Harness::open, async |harness, seed, number| {
            harness.run(seed, &harness.sims[number]).await;
        })
        .await;
    let seen = SEEN.lock().unwrap().clone();
    println!("{seen:?}");
    let every = [
        EventType::OrderPlaced,
        EventType::OrderRejected,
        EventType::OrderNotPlaced,
        EventType::OrderNeedsOperator,
    ];
    for kind in every {
        let is_rare = std::env::var_os("ORDERS_CASES").is_some();
        assert!(
            is_rare || seen.contains_key(kind.as_str_name()),
            "{kind:?} did not occur: {seen:?}"
        );
    }
}
