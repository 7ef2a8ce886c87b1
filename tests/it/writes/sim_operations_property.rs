//! The property of orders, for operations on SIMs: whatever the provider, the
//! network and the callers do, the provider takes an operation at most once, and
//! what the gateway finally says of it is true.
//!
//! `OPERATIONS_CASES` sets how many cases are run, `OPERATIONS_SEED` which;
//! both are printed. A failing case names its own seed: run it alone with
//! `OPERATIONS_CASES=1 OPERATIONS_SEED=<seed>`.

use std::time::Duration;

use fastrand::Rng;
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Options, Outcome, Sandbox, Script, SimStatus, Step, TransactionView};

use crate::support::gateway::{
    Gateway, LINE, OPERATIONS, Provisioning, SUBSCRIBER, TOKEN, TRANSACTION, by_iccid,
};
use crate::support::property::{AT_LAST, Call, Run, any_fault, loaded};
use crate::writes::sim_operations::{Action, Change};

const CASES: u64 = 400;
const AT_ONCE: u64 = 32;

/// The settle window is well longer than a transaction and what any fault
/// delays.
const SETTINGS: [(&str, &str); 9] = [
    ("ORDERS__SEND_TIMEOUT", "60ms"),
    ("ORDERS__SETTLE_WINDOW", "1s"),
    ("ORDERS__ESCALATE_AFTER", "2s"),
    ("OPERATIONS__GIVE_UP_AFTER", "300ms"),
    ("ORDERS__LEASE", "5s"),
    ("TRANSATEL__ATTEMPT_TIMEOUT", "250ms"),
    ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
    ("TRANSATEL__RETRY_LONGEST_WAIT", "5ms"),
    ("TELEMETRY__SAMPLE_RATIO", "0"),
];

/// The last part of an operation's URL.
fn word(action: &Action) -> &'static str {
    action.route().rsplit('/').next().unwrap()
}

#[derive(Clone, Debug)]
struct Case {
    /// Each of its own kind, so that the provider's transactions can be told
    /// apart.
    requests: Vec<Change>,
    calls: Vec<Call>,
    faults: Vec<(&'static str, &'static str, Step)>,
    outcomes: Vec<(Outcome, Duration)>,
    begins: SimStatus,
    names_status: bool,
    bad_request: bool,
}

impl Case {
    fn of(seed: u64, msisdn: &str, card: &str, spare: &str) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let label = format!("g{}", rng.u16(..));
        let mut actions = Action::each(card, spare, &label);
        rng.shuffle(&mut actions);
        actions.truncate(rng.usize(1..4));
        let requests: Vec<_> = actions
            .into_iter()
            .map(|action| Change {
                request_id: uuid::Uuid::from_u128(rng.u128(..)).to_string(),
                ..Change::new(msisdn, action)
            })
            .collect();
        let faults = (0..rng.usize(0..5))
            .map(|_| {
                let (method, path) = match rng.u8(0..10) {
                    0..=5 => ("POST", requests[rng.usize(0..requests.len())].action.route()),
                    6 => ("GET", TRANSACTION),
                    7 => ("GET", SUBSCRIBER),
                    8 => ("GET", LINE),
                    _ => ("POST", TOKEN),
                };
                (method, path, any_fault(rng))
            })
            .collect();
        let outcomes = (0..4)
            .map(|_| {
                let outcome = match rng.u8(0..20) {
                    0..=13 => Outcome::Finish,
                    14..=16 => Outcome::Fail,
                    17..=18 => Outcome::Reject,
                    _ => Outcome::Hang,
                };
                (outcome, Duration::from_millis(rng.u64(0..80)))
            })
            .collect();
        let calls = Call::some(rng, requests.len());
        let statuses = [SimStatus::PreActivated, SimStatus::Active, SimStatus::Suspended];
        Self {
            calls,
            faults,
            outcomes,
            requests,
            begins: *rng.choice(&statuses).unwrap_or(&SimStatus::Active),
            names_status: rng.bool(),
            bad_request: rng.bool(),
        }
    }

    /// Whether the SIM could be in the requested state without this request.
    fn may_be_so_anyway(&self, action: &Action) -> bool {
        let shows = |action: &Action, status| action.leads_to() == Some(status);
        action.leads_to().is_some_and(|status| {
            let all = self.requests.iter();
            let same = all.filter(|request| shows(&request.action, status));
            self.begins == status || same.count() > 1
        })
    }
}

/// One provider and one gateway, for many cases after each other.
struct Harness {
    sandbox: Sandbox,
    gateway: Gateway,
}

impl Harness {
    async fn open(cases: u64) -> Self {
        let sandbox = Sandbox::start(Options {
            sims: 60 + 2 * u32::try_from(cases).unwrap(),
            ..Options::default()
        })
        .await
        .unwrap();
        let settings = [OPERATIONS.as_slice(), &SETTINGS].concat();
        let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
        loaded(&gateway).await;
        Self { sandbox, gateway }
    }

    /// A SIM for each case, and a spare card.
    async fn run(&self, seed: u64, number: usize) {
        let control = self.sandbox.control();
        // Beyond those with a story of their own.
        let [sim, spare] = [45, 46].map(|first| control.sim(&(first + 2 * number).to_string()).unwrap());
        let msisdn = sim.msisdn.as_str();
        let case = Case::of(seed, msisdn, &sim.iccid, &spare.iccid);
        let name = || format!("OPERATIONS_SEED={seed} {case:?}");
        control.set_sim_status(msisdn, case.begins).unwrap();
        control
            .set_sim_status(&spare.msisdn, SimStatus::PreActivated)
            .unwrap();
        control.configure(|settings| {
            let member = if case.names_status {
                "status"
            } else {
                "transactionStatus"
            };
            settings.operations.status_member = member.to_owned();
            settings.unknown_sim_is_bad_request = case.bad_request;
        });
        for (outcome, delay) in &case.outcomes {
            control.decide_operation(msisdn, *outcome, Some(*delay)).unwrap();
        }
        for (method, path, step) in &case.faults {
            control.queue(Script::on(method, path).then(step.clone()));
        }
        let swaps = case
            .requests
            .iter()
            .any(|request| matches!(request.action, Action::Swap { .. }));
        let calls = case.calls.iter().map(|call| {
            let mut client = self.gateway.provisioning();
            let mut request = case.requests[call.request].clone();
            // A card that is swapped leads elsewhere afterwards.
            if call.by_iccid && !swaps {
                request.sim = by_iccid(&sim.iccid);
            }
            async move {
                call.make(async |deadline| {
                    let _ = request.within(&mut client, Some(deadline)).await;
                })
                .await;
            }
        });
        futures_util::future::join_all(calls).await;
        control.clear_faults();

        let mut client = self.gateway.provisioning();
        for request in &case.requests {
            let operation = self.settled(&mut client, request, msisdn, &name).await;
            self.check(&case, request, operation.as_ref(), msisdn, &name);
        }
        // Asked for again without any fault, everything has its end, and
        // nothing is taken twice.
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
                    // A hold after a refused token or a limited rate.
                    Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                        last = Some(status);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    // What a caller that gave up has left behind may still be
                    // on its way.
                    Err(status) if status.code() == Code::Aborted => {
                        self.end_hanging(msisdn);
                        last = Some(status);
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Ok(_) | Err(_) => break,
                }
            }
            let operation = self.settled(&mut client, request, msisdn, &name).await;
            self.check(&case, request, operation.as_ref(), msisdn, &name);
        }
        for request in &case.requests {
            let operation = request.get(&mut client).await.ok();
            self.check(&case, request, operation.as_ref(), msisdn, &name);
        }
    }

    /// Ends badly what would hang for ever.
    fn end_hanging(&self, msisdn: &str) {
        let control = self.sandbox.control();
        if let Some(pending) = control.sim(msisdn).unwrap().pending {
            let _ = control.end_transaction(pending, false);
        }
    }

    /// The operation once nothing will change by itself. What hangs until an
    /// operator looks is ended there.
    async fn settled(
        &self,
        client: &mut Provisioning,
        request: &Change,
        msisdn: &str,
        name: &impl Fn() -> String,
    ) -> Option<api::SimOperation> {
        let started = std::time::Instant::now();
        loop {
            assert!(started.elapsed() < AT_LAST, "not settled: {}", name());
            match request.get(client).await {
                Ok(operation) if operation.needs_operator => {
                    self.end_hanging(msisdn);
                    // As an operator who looks: on a machine that stood still it may have
                    // been carried out after the gateway gave up.
                    let transactions = self.sandbox.control().transactions(Some(msisdn)).unwrap();
                    let carried_out = transactions.iter().any(|transaction| {
                        transaction.operation == word(&request.action) && transaction.status == "DONE"
                    });
                    let resolution = match carried_out {
                        true => api::OperatorResolution::Placed,
                        false => api::OperatorResolution::NotPlaced,
                    };
                    let word = api::ResolveSimOperationRequest {
                        operation_id: operation.operation_id,
                        resolution: resolution.into(),
                        note: String::new(),
                    };
                    client.resolve_sim_operation(word).await.unwrap();
                }
                Ok(operation) if operation.next_check_at.is_none() && operation.state() != PENDING => {
                    return Some(operation);
                }
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(status) => {
                    assert_eq!(status.code(), Code::NotFound, "{}", name());
                    return None;
                }
            }
        }
    }

    /// What is said of an operation is so.
    fn check(
        &self,
        case: &Case,
        request: &Change,
        operation: Option<&api::SimOperation>,
        msisdn: &str,
        name: &impl Fn() -> String,
    ) {
        let transactions = self.sandbox.control().transactions(Some(msisdn)).unwrap();
        let word = word(&request.action);
        let taken: Vec<&TransactionView> = transactions
            .iter()
            .filter(|transaction| transaction.operation == word)
            .collect();
        assert!(taken.len() <= 1, "{word} taken {} times: {}", taken.len(), name());
        let done = taken
            .first()
            .is_some_and(|transaction| transaction.status == "DONE");
        let Some(operation) = operation else {
            assert!(taken.is_empty(), "{word} taken and forgotten: {}", name());
            return;
        };
        let known = &operation.provider_reference;
        if let Some(transaction) = taken.first() {
            let id = transaction.transaction_id.to_string();
            assert!(
                known.is_empty() || *known == id,
                "another transaction: {}",
                name()
            );
        }
        match operation.state() {
            api::SimOperationState::Succeeded => {
                let so = done || case.may_be_so_anyway(&request.action);
                assert!(so, "{word} not carried out: {transactions:?} {}", name());
            }
            api::SimOperationState::Failed => {
                assert!(!done, "{word} carried out all the same: {}", name());
            }
            other => panic!("{word} {other:?}: {}", name()),
        }
    }
}

const PENDING: api::SimOperationState = api::SimOperationState::Pending;

#[test]
fn the_documents_say_how_many_cases() {
    assert!(include_str!("../../../docs/orders.md").contains("400 cases a run"));
    assert_eq!(CASES, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_taken_at_most_once_and_known_for_what_it_is() {
    Run::from_environment("OPERATIONS", CASES)
        .over(AT_ONCE, Harness::open, async |harness, seed, number| {
            harness.run(seed, number).await;
        })
        .await;
}
