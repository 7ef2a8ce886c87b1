//! The property of orders, for orders about a subscription: what the gateway finally
//! says of them is what became of the subscription.
//!
//! `FOLLOW_UPS_CASES` sets how many cases are run, `FOLLOW_UPS_SEED` which;
//! both are printed. A failing case names its own seed: run it alone with
//! `FOLLOW_UPS_CASES=1 FOLLOW_UPS_SEED=<seed>`.

use api::OrderState;
use fastrand::Rng;
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Options, Sandbox, Script, Step};
use uuid::Uuid;

use crate::support::gateway::{Gateway, OPERATIONS, ORDERS, SUBSCRIPTIONS, TOKEN};
use crate::support::property::{AT_LAST, Call, Run, any_fault, loaded, settled};
use crate::writes::follow_ups::{Action, FollowUp, status, subscribed};

const CASES: u64 = 200;
const AT_ONCE: u64 = 32;
const SETTINGS: [(&str, &str); 7] = [
    ("ORDERS__SEND_TIMEOUT", "60ms"),
    ("ORDERS__SETTLE_WINDOW", "700ms"),
    ("ORDERS__LEASE", "5s"),
    ("TRANSATEL__ATTEMPT_TIMEOUT", "250ms"),
    ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
    ("TRANSATEL__RETRY_LONGEST_WAIT", "5ms"),
    ("TELEMETRY__SAMPLE_RATIO", "0"),
];

#[derive(Clone, Debug)]
struct Case {
    requests: Vec<FollowUp>,
    calls: Vec<Call>,
    faults: Vec<(&'static str, &'static str, Step)>,
}

impl Case {
    fn of(seed: u64, msisdn: &str, subscription: Uuid) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mut actions = vec![Action::Cancel, Action::End];
        rng.shuffle(&mut actions);
        actions.truncate(rng.usize(1..3));
        let requests: Vec<_> = actions
            .into_iter()
            .map(|action| FollowUp {
                request_id: Uuid::from_u128(rng.u128(..)).to_string(),
                ..FollowUp::new(action, msisdn, subscription)
            })
            .collect();
        let faults = (0..rng.usize(0..5))
            .map(|_| {
                let (method, path) = match rng.u8(0..10) {
                    0..=6 => ("POST", ORDERS),
                    7..=8 => ("GET", SUBSCRIPTIONS),
                    _ => ("POST", TOKEN),
                };
                (method, path, any_fault(rng))
            })
            .collect();
        Self {
            calls: Call::some(rng, requests.len()),
            requests,
            faults,
        }
    }
}

struct Harness {
    sandbox: Sandbox,
    gateway: Gateway,
    subscriptions: Vec<(String, Uuid)>,
}

impl Harness {
    async fn open(cases: u64) -> Self {
        let sims = 100 + 4 * u32::try_from(cases).unwrap();
        let sandbox = Sandbox::start(Options {
            sims,
            ..Options::default()
        })
        .await
        .unwrap();
        let control = sandbox.control();
        control.configure(|settings| settings.follow_ups.enabled = true);
        let subscriptions = subscribed(&control, usize::try_from(cases).unwrap());
        let settings = [OPERATIONS.as_slice(), &SETTINGS].concat();
        let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
        loaded(&gateway).await;
        Self {
            sandbox,
            gateway,
            subscriptions,
        }
    }

    async fn run(&self, seed: u64, number: usize) {
        let (msisdn, subscription) = &self.subscriptions[number];
        let case = Case::of(seed, msisdn, *subscription);
        let name = || format!("FOLLOW_UPS_SEED={seed} {case:?}");
        let control = self.sandbox.control();
        for (method, path, step) in &case.faults {
            control.queue(Script::on(method, path).then(step.clone()));
        }
        let calls = case.calls.iter().map(|call| {
            let mut client = self.gateway.provisioning();
            let request = &case.requests[call.request];
            call.make(async move |deadline| {
                let _ = request.within(&mut client, Some(deadline)).await;
            })
        });
        futures_util::future::join_all(calls).await;
        control.clear_faults();
        let mut client = self.gateway.provisioning();
        let now = || status(&control, msisdn, *subscription);
        for request in &case.requests {
            let order = settled(async || request.get(&mut client).await, &name).await;
            check(request, order.as_ref(), &now(), &name);
        }
        // Asked for again without any fault, what can be done is done.
        for request in &case.requests {
            let started = std::time::Instant::now();
            let mut last = None;
            loop {
                assert!(
                    started.elapsed() < AT_LAST,
                    "never answered, at last {last:?}: {}",
                    name()
                );
                match request.send(&mut client).await {
                    Err(status)
                        if matches!(
                            status.code(),
                            Code::Unavailable | Code::ResourceExhausted | Code::Aborted
                        ) =>
                    {
                        let order = request.get(&mut client).await;
                        if order.is_ok_and(|order| order.state() == OrderState::Rejected) {
                            break;
                        }
                        last = Some(status);
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    }
                    Ok(_) | Err(_) => break,
                }
            }
            let order = settled(async || request.get(&mut client).await, &name).await;
            check(request, order.as_ref(), &now(), &name);
        }
        for request in &case.requests {
            let order = settled(async || request.get(&mut client).await, &name).await;
            check(request, order.as_ref(), &now(), &name);
        }
    }
}

/// What is said of an order is so. Only this request ends the subscription; only this
/// one cancels it, but what has ended will not renew either.
fn check(request: &FollowUp, order: Option<&api::Order>, now: &str, name: &impl Fn() -> String) {
    let (done, undone) = match request.action {
        Action::Cancel => (["canceled", "terminated"].contains(&now), now != "canceled"),
        Action::End => (now == "terminated", now != "terminated"),
    };
    let state = order.map(api::Order::state);
    let so = match state {
        Some(OrderState::Placed) => done,
        Some(OrderState::Rejected | OrderState::NotPlaced) | None => undone,
        Some(_) => false,
    };
    assert!(
        so,
        "{:?} is {state:?} and the subscription {now}: {}",
        request.action,
        name()
    );
}

#[test]
fn the_documents_say_how_many_cases() {
    assert!(include_str!("../../../docs/orders.md").contains("200 cases a run"));
    assert_eq!(CASES, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_an_order_about_a_subscription_is_so() {
    Run::from_environment("FOLLOW_UPS", CASES)
        .over(AT_ONCE, Harness::open, async |harness, seed, number| {
            harness.run(seed, number).await;
        })
        .await;
}
