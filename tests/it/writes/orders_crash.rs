//! A gateway that is killed (`kill -9`) at every step of an order, and
//! the process that comes after it on the same ledger.

use std::time::Duration;

use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;
use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::{
    CreateOrderRequest, EventFilter, ListEventsRequest, OrderState,
};
use transatel_simulator::{Control, EventOrder, Fault, Sandbox, Script, Showing, Step as FaultStep, Webhook};

use crate::support::gateway::{
    Events, ORDERS, Provisioning, SECRET, SUBSCRIPTIONS, Secret, settings, simulator, spawn, until,
};
use crate::support::process::Process;
use crate::support::stopping;
use crate::writes::orders::{create, get, order, was_not_sent};

/// Runs what has to survive on a ledger of either kind.
macro_rules! on_both_ledgers {
    ($survive_all:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn killed_at_every_step_on_sqlite() {
            let folder = tempfile::tempdir().unwrap();
            let store = format!("sqlite://{}", folder.path().join("ledger.db").display());
            $survive_all(&store).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn killed_at_every_step_on_postgres() {
            if let Some(store) = crate::support::postgres::database().await {
                $survive_all(&store).await;
            }
        }
    };
}
pub(crate) use on_both_ledgers;

/// What a process dies of.
#[derive(Clone, Debug)]
pub enum Death {
    /// It stops at a step of its own and is killed there.
    At(Step),
    /// It is killed while the provider keeps it waiting here.
    Waiting(&'static str, &'static str),
    /// The same, when the provider has already carried the request out.
    WaitingAfterCommit(&'static str, &'static str),
}

impl Death {
    /// Has the provider hold what the process shall wait for; gives the step
    /// at which it shall stop.
    pub fn prepare(&self, control: &Control) -> Option<Step> {
        let (method, path, step) = match self {
            Self::At(step) => return Some(*step),
            Self::Waiting(method, path) => (method, path, Fault::hold("wait").step()),
            Self::WaitingAfterCommit(method, path) => (method, path, Fault::hold("wait").after_commit()),
        };
        control.queue(Script::on(method, path).then(step));
        None
    }

    /// Kills the process at its moment.
    pub async fn strike(&self, process: &mut Process, control: &Control) {
        match self {
            Self::At(_) => {
                process.logged("stopped at a step").await;
            }
            Self::Waiting(..) | Self::WaitingAfterCommit(..) => control.until_held("wait", 1).await,
        }
        process.signal("KILL").await;
        assert_eq!(process.ended().await, None, "{self:?}");
    }
}

/// How the provider answers the order before that.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Ordinary,
    /// The gateway's guess of the activation is refused.
    OtherActivation,
    /// Carried out, answer lost.
    CarriedOut,
    /// Not carried out, answer lost.
    Dropped,
    /// Carried out, answer lost, and the inventory shows it only after the
    /// next process has taken it for not placed.
    ShowsLate,
    /// The same, and only its event tells of it, once there is a process to
    /// take it.
    EventLate,
}

fn scenarios() -> Vec<(Death, Answer)> {
    let mut all = Vec::new();
    for step in Step::ALL {
        let answers: &[Answer] = match step {
            Step::BetweenActivations => &[Answer::OtherActivation],
            Step::BeforeCheck | Step::Checked => &[
                Answer::CarriedOut,
                Answer::Dropped,
                Answer::ShowsLate,
                Answer::EventLate,
            ],
            Step::Answered | Step::Settled => &[
                Answer::Ordinary,
                Answer::CarriedOut,
                Answer::Dropped,
                Answer::ShowsLate,
                Answer::EventLate,
            ],
            _ => &[Answer::Ordinary],
        };
        all.extend(answers.iter().map(|answer| (Death::At(step), *answer)));
    }
    for wait in [
        Death::Waiting("GET", SUBSCRIPTIONS),
        Death::Waiting("POST", crate::support::gateway::TOKEN),
        Death::Waiting("POST", ORDERS),
        Death::WaitingAfterCommit("POST", ORDERS),
    ] {
        all.push((wait, Answer::Ordinary));
    }
    for late in [Answer::ShowsLate, Answer::EventLate] {
        all.push((Death::Waiting("POST", ORDERS), late));
    }
    all
}

/// A gateway in a process of its own, and a caller of it.
pub struct Running {
    pub process: Process,
    /// Where it takes events, if it does.
    pub webhook: Option<String>,
    pub channel: Channel,
    pub client: Provisioning,
    pub events: Events,
}

impl Running {
    /// Repeats an order as its caller does, until it is placed.
    pub async fn until_placed(&mut self, request: &CreateOrderRequest, what: &str) {
        until(what, async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match create(&mut self.client, request).await {
                Ok(order) => {
                    assert_ne!(order.state(), OrderState::NeedsOperator, "{what}");
                    order.state() == OrderState::Placed
                }
                Err(status) if was_not_sent(&status) => false,
                Err(status) => panic!("{what}: {status:?} {}", self.process.last_words().await),
            }
        })
        .await;
    }

    pub async fn kill(mut self) {
        self.process.signal("KILL").await;
        self.process.ended().await;
    }
}

/// Asks beside the test, and again whenever nothing was sent: on a busy machine a short
/// lease may end before. Ends with the gateway.
pub fn spawn_until_sent<T, F>(mut ask: impl FnMut() -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = Result<T, Status>> + Send,
    T: Send,
{
    spawn(async move {
        while let Err(status) = ask().await {
            let has_reason = status.get_error_details().error_info().is_some();
            if !has_reason || !was_not_sent(&status) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// Asks for an order.
pub fn spawn_order(client: &Provisioning, request: &CreateOrderRequest) -> JoinHandle<()> {
    let (client, request) = (client.clone(), request.clone());
    spawn_until_sent(move || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { create(&mut client, &request).await }
    })
}

/// Starts a gateway that finds out quickly.
pub async fn start(sandbox: &Sandbox, store: &str, stop_at: Option<Step>, more: &[(&str, &str)]) -> Running {
    // With PostgreSQL the next process waits for its end.
    let lease = match store.starts_with("sqlite:") {
        true => "4s",
        false => "1s",
    };
    let quick = [
        ("STORE__URL", store),
        ("ORDERS__RECONCILE_AFTER", "20ms"),
        ("ORDERS__RECONCILE_AT_MOST", "100ms"),
        ("ORDERS__SETTLE_WINDOW", "400ms"),
        ("ORDERS__LEASE", lease),
    ];
    // Otherwise the time of the first order is over, on a busy machine, before it is sent.
    let loads_catalog_first = [("CATALOG__WARM_UP", "10s")];
    let all = [&loads_catalog_first, more, &quick].concat();
    let environment = settings(&sandbox.base_url(), &all);
    let mut process = match stop_at {
        Some(step) => stopping::serve_until(step, &environment),
        None => Process::start(&["serve"], &environment),
    };
    let line = process.logged("listening").await;
    let address_of = |name: &str| {
        let rest = line.split(name).nth(1)?;
        rest.split(' ').next().map(str::trim).map(str::to_owned)
    };
    let address = address_of("grpc=").unwrap();
    let webhook = address_of("webhook=").map(|address| format!("http://{address}/webhooks/transatel"));
    process.logged("ready").await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel: Channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => panic!("{error:?} {}", process.last_words().await),
    };
    Running {
        process,
        webhook,
        client: Provisioning::new(channel.clone()),
        events: Events::new(channel.clone()),
        channel,
    }
}

/// Kills a gateway at one moment; checks what the next one makes of it.
async fn survives(store: &str, msisdn: &str, sandbox: &Sandbox, death: Death, answer: Answer) {
    let what = format!("{death:?}, {answer:?}");
    let control = sandbox.control();
    let on_post = |step: FaultStep| control.queue(Script::on("POST", ORDERS).then(step));
    match answer {
        Answer::Ordinary => {}
        Answer::OtherActivation => on_post(Fault::problem(400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step()),
        Answer::CarriedOut => on_post(Fault::Reset.after_commit()),
        Answer::Dropped => on_post(Fault::Reset.step()),
        Answer::ShowsLate => control.show_next_order(msisdn, Showing::held()).unwrap(),
        Answer::EventLate => {
            control.show_next_order(msisdn, Showing::never()).unwrap();
            control.hold_events();
        }
    }
    let is_late = matches!(answer, Answer::ShowsLate | Answer::EventLate);
    if is_late && matches!(death, Death::At(_)) {
        on_post(Fault::Reset.after_commit());
    }
    let secret = Secret::new(SECRET);
    let stop_at = death.prepare(&control);
    let waits_for_token = matches!(death, Death::Waiting(_, crate::support::gateway::TOKEN));
    let more: &[_] = match waits_for_token {
        true => &[("CATALOG__WARM_UP", "0s")],
        false => &[],
    };
    let mut first = start(sandbox, store, stop_at, more).await;
    let request = order(msisdn);
    let call = spawn_order(&first.client, &request);
    death.strike(&mut first.process, &control).await;
    let _ = call.await;
    control.release("wait");
    control.clear_faults();

    let mut next = start(sandbox, store, None, &secret.settings()).await;
    if is_late {
        let started = std::time::Instant::now();
        until(&what, async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let known = get(&mut next.client, &request).await;
            let state = match known {
                Ok(order) => order.state(),
                Err(status) => panic!("{what}: {status:?} {}", next.process.last_words().await),
            };
            assert!(
                started.elapsed() < crate::support::gateway::SOON,
                "{what}: {state:?}"
            );
            state == OrderState::NotPlaced
        })
        .await;
        control.show_inventory(msisdn).unwrap();
        let webhook = next.webhook.take().unwrap();
        control.set_webhook(Some(Webhook::new(webhook, SECRET))).unwrap();
        control.release_events(EventOrder::AsHappened);
        // By itself, before anybody repeats it.
        until(&what, async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            get(&mut next.client, &request).await.unwrap().state() == OrderState::Placed
        })
        .await;
    }
    // What is known of it, it knows; and it is carried on with or found out.
    next.until_placed(&request, &what).await;
    let subscriptions = control.sim(msisdn).unwrap();
    let bought: Vec<_> = subscriptions.bought().collect();
    assert_eq!(bought.len(), 1, "{what}: bought once");
    let known = get(&mut next.client, &request).await.unwrap();
    assert_eq!(
        known.subscription_id,
        bought[0].subscription_id.to_string(),
        "{what}"
    );
    assert_eq!(bought[0].transaction_reference, Some(known.order_id), "{what}");
    // Each outcome that it came to is one event, whichever process died.
    let own = outcomes(&mut next.events, &request.request_id).await;
    let (last, before) = own.split_last().unwrap();
    assert_eq!(last, "GATEWAY/ORDER/PLACED", "{what}: {own:?}");
    let was_not_placed = before == ["GATEWAY/ORDER/NOT_PLACED"];
    assert!(was_not_placed || before.is_empty() && !is_late, "{what}: {own:?}");
    next.kill().await;
}

/// The gateway's own events of a request, in the order of the log.
async fn outcomes(events: &mut Events, request_id: &str) -> Vec<String> {
    let request = ListEventsRequest {
        filter: Some(EventFilter {
            request_ids: vec![request_id.into()],
            ..Default::default()
        }),
        page_size: 1_000,
        ..Default::default()
    };
    let listed = events.list_events(request).await.unwrap().into_inner().events;
    let names = listed.into_iter().map(|event| event.raw_type);
    names.filter(|name| name.starts_with("GATEWAY/")).collect()
}

/// Every moment, on one ledger after the other.
async fn survive_all(store: &str) {
    for (number, (death, answer)) in scenarios().into_iter().enumerate() {
        let sandbox = simulator().await;
        // One SIM each: they share the ledger.
        let msisdn = format!("8824700000000{}", 41 + number);
        let status = transatel_simulator::SimStatus::PreActivated;
        sandbox.control().set_sim_status(&msisdn, status).unwrap();
        let before = sandbox.control().sim(&msisdn).unwrap();
        for subscription in before.bought() {
            sandbox
                .control()
                .expire(&msisdn, Some(subscription.subscription_id))
                .unwrap();
        }
        survives(store, &msisdn, &sandbox, death, answer).await;
    }
}

#[test]
fn the_documents_say_how_many_moments() {
    let moments = format!("{} moments", scenarios().len());
    assert!(
        include_str!("../../../docs/orders.md").contains(&moments),
        "{moments}"
    );
}

on_both_ledgers!(survive_all);
