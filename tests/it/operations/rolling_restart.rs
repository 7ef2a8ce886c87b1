//! A rollout: three replicas on one PostgreSQL are replaced one after the
//! other while callers call, and no call is lost.

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Options, Sandbox};

use crate::support::gateway::{FRANCE, ORDERS, by_msisdn, get, settings, spawn, until};
use crate::support::postgres;
use crate::support::process::Process;
use crate::writes::orders::order;

const PER_SECOND: f64 = 500.0;
/// A machine that is too slow for that pace gets a slower one.
const MOST_IN_FLIGHT: usize = 100;
/// Of so many calls one is an order, and so many are read from the provider.
const ROUND: usize = 20;
const LIVE: usize = 3;
/// How long calls go on before, between and after the restarts.
const STEADY: Duration = Duration::from_millis(500);
/// Longest time from SIGTERM to the end on a busy machine. Less than the delay
/// and a drain that something holds up.
const DOWN_WITHIN: Duration = Duration::from_millis(9_500);
const SHUTDOWN: [(&str, &str); 3] = [
    ("SHUTDOWN__PROPAGATION_DELAY", "2s"),
    ("SHUTDOWN__DRAIN", "10s"),
    ("SHUTDOWN__ORDER_DRAIN", "10s"),
];

/// A replica as a caller knows it.
#[derive(Clone)]
struct Known {
    id: u64,
    channel: Channel,
    serving: bool,
}

/// What callers know of the replicas, by a resolver and by health checks.
#[derive(Default)]
struct Replicas {
    known: Mutex<Vec<Known>>,
    turn: AtomicUsize,
}

/// Which replicas a caller takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    /// Those that serve, but for this one.
    Serving { not: Option<u64> },
    /// All that are there, as one that does not know yet which are going
    /// away: it meets their last moment.
    Behind,
}

impl Replicas {
    /// The next one in turn.
    fn next(&self, choice: Choice) -> Option<Known> {
        let known = self.known.lock().unwrap();
        let chosen = || {
            known.iter().filter(|replica| match choice {
                Choice::Serving { not } => replica.serving && Some(replica.id) != not,
                Choice::Behind => true,
            })
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        chosen().nth(turn % chosen().count().max(1)).cloned()
    }

    /// A connection was lost: nobody takes it before its health says more.
    fn lost(&self, id: u64) {
        let mut known = self.known.lock().unwrap();
        for replica in known.iter_mut().filter(|replica| replica.id == id) {
            replica.serving = false;
        }
    }

    fn serves(&self, id: u64) -> bool {
        let known = self.known.lock().unwrap();
        known.iter().any(|replica| replica.id == id && replica.serving)
    }

    /// Follows a replica's health until it is gone.
    async fn watch(&self, id: u64, address: String) {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        // Its own connection: it must not matter to the one with the calls.
        let mut health = HealthClient::new(endpoint.connect().await.unwrap());
        let request = HealthCheckRequest::default();
        let mut states = health.watch(request).await.unwrap().into_inner();
        let channel = endpoint.connect().await.unwrap();
        let serving = false;
        self.known.lock().unwrap().push(Known { id, channel, serving });
        while let Ok(Some(state)) = states.message().await {
            let serving = state.status() == ServingStatus::Serving;
            let mut known = self.known.lock().unwrap();
            for replica in known.iter_mut().filter(|replica| replica.id == id) {
                replica.serving = serving;
            }
        }
        self.known.lock().unwrap().retain(|replica| replica.id != id);
    }
}

struct Replica {
    id: u64,
    stop: oneshot::Sender<()>,
    /// What it logged, and its exit code.
    ended: JoinHandle<(Vec<String>, Option<i32>)>,
    watch: JoinHandle<()>,
}

/// Reads the log all the while, as a full pipe would hold the gateway up, and
/// sends SIGTERM when it is told to.
async fn attended(mut process: Process, stop: oneshot::Receiver<()>) -> (Vec<String>, Option<i32>) {
    let mut log = Vec::new();
    let mut stop = std::pin::pin!(stop.fuse());
    loop {
        tokio::select! {
            line = process.stderr.next_line() => match line.unwrap() {
                Some(line) => log.push(line),
                None => return (log, process.ended().await),
            },
            _ = &mut stop => process.signal("TERM").await,
        }
    }
}

impl Replica {
    /// Starts one; callers call it when it is here.
    async fn start(id: u64, sandbox: &Sandbox, store: &str, replicas: &Arc<Replicas>) -> Self {
        let more = [
            &SHUTDOWN[..],
            &[("STORE__URL", store), ("CATALOG__WARM_UP", "5s")],
        ]
        .concat();
        let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
        let line = process.logged("listening").await;
        let address = line
            .split("grpc=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        let (stop, stopped) = oneshot::channel();
        let ended = spawn(attended(process, stopped));
        let watch = spawn({
            let replicas = Arc::clone(replicas);
            async move { replicas.watch(id, address).await }
        });
        until("callers call it", async || {
            tokio::time::sleep(Duration::from_millis(1)).await;
            replicas.serves(id)
        })
        .await;
        Self {
            id,
            stop,
            ended,
            watch,
        }
    }

    /// Ends it as a rollout does; gives what it logged.
    async fn end(self) -> Vec<String> {
        let begin = Instant::now();
        self.stop.send(()).unwrap();
        let (log, code) = self.ended.await.unwrap();
        assert_eq!(code, Some(0), "{}: {log:?}", self.id);
        let taken = begin.elapsed();
        assert!(taken < DOWN_WITHIN, "{taken:?}: {log:?}");
        self.watch.await.unwrap();
        log
    }
}

/// One call of the load.
#[derive(Clone)]
enum Call {
    Cached,
    Live(String),
    Order(Box<CreateOrderRequest>),
}

impl Call {
    async fn send(&self, channel: Channel) -> Result<(), Status> {
        let timely = |mut request: Request<_>| {
            request.set_timeout(Duration::from_secs(25));
            request
        };
        let mut catalog = catalog_client::CatalogClient::new(channel.clone());
        match self {
            Self::Cached => catalog.get_product(get(FRANCE)).await.map(|_| ()),
            Self::Live(msisdn) => {
                let request = CheckEligibilityRequest {
                    sim: by_msisdn(msisdn),
                    product_ids: vec![FRANCE.into()],
                };
                catalog.check_eligibility(request).await.map(|_| ())
            }
            Self::Order(request) => {
                let mut client = provisioning_client::ProvisioningClient::new(channel);
                let request = timely(Request::new((**request).clone()));
                client.create_order(request).await.map(|_| ())
            }
        }
    }
}

/// What is allowed to go wrong once: the answer says when to call again, or
/// the connection was lost.
fn may_be_repeated(status: &Status) -> bool {
    let says_when = status.code() == Code::Unavailable && status.get_details_retry_info().is_some();
    let transport = status
        .source()
        .is_some_and(|source| source.is::<tonic::transport::Error>());
    says_when || transport
}

/// Calls, and calls once more where that is allowed; gives what went wrong
/// first.
async fn make(request: Call, choice: Choice, replicas: Arc<Replicas>) -> Option<(Choice, String)> {
    let one = replicas.next(choice).expect("a replica serves");
    let first = request.send(one.channel).await.err()?;
    assert!(may_be_repeated(&first), "{first:?} from {}", one.id);
    replicas.lost(one.id);
    let not = Some(one.id);
    let other = replicas.next(Choice::Serving { not }).expect("another serves");
    if let Err(second) = request.send(other.channel).await {
        panic!("{first:?} from {}, then {second:?} from {}", one.id, other.id);
    }
    Some((choice, format!("{:?} {}", first.code(), first.message())))
}

/// Calls at an even pace until `stop`; what a slow moment held up is
/// made up for.
async fn load(
    mut requests: impl Iterator<Item = Call>,
    replicas: Arc<Replicas>,
    stop: Arc<tokio::sync::Notify>,
) -> (usize, Vec<(Choice, String)>) {
    let begin = Instant::now();
    let mut calls = JoinSet::new();
    let (mut made, mut skipped) = (0, 0);
    let mut repeated = Vec::new();
    let mut note = |ended: Result<Option<(Choice, String)>, tokio::task::JoinError>| {
        repeated.extend(ended.unwrap());
        true
    };
    let mut beat = tokio::time::interval(Duration::from_millis(2));
    let mut stopped = std::pin::pin!(stop.notified());
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = &mut stopped => break,
        }
        while calls.try_join_next().is_some_and(&mut note) {}
        let due = (begin.elapsed().as_secs_f64() * PER_SECOND) as usize - skipped;
        // Who is not answered does not ask for more.
        let room = MOST_IN_FLIGHT - calls.len();
        skipped += (due - made).saturating_sub(room);
        for request in requests.by_ref().take((due - made).min(room)) {
            made += 1;
            let choice = if made.is_multiple_of(4) {
                Choice::Behind
            } else {
                Choice::Serving { not: None }
            };
            calls.spawn(make(request, choice, Arc::clone(&replicas)));
        }
    }
    while calls.join_next().await.is_some_and(&mut note) {}
    (made, repeated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_replica_is_restarted_and_no_call_is_lost() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let options = Options {
        sims: 20_000,
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let control = sandbox.control();
    let known = Arc::new(Replicas::default());
    let mut replicas = Vec::new();
    for id in 0..3 {
        replicas.push(Replica::start(id, &sandbox, &store, &known).await);
    }
    let mut sims = control
        .find_sims(Criteria::FRESH, 2_000)
        .into_iter()
        .map(|sim| sim.msisdn);
    let read: Vec<String> = sims.by_ref().take(50).collect();
    let ordered: Arc<Mutex<Vec<String>>> = Arc::default();
    let requests = (0_usize..).map({
        let ordered = Arc::clone(&ordered);
        move |number| match number % ROUND {
            0 => {
                let msisdn = sims.next().expect("a SIM for every order");
                ordered.lock().unwrap().push(msisdn.clone());
                Call::Order(Box::new(order(&msisdn)))
            }
            turn if turn <= LIVE => Call::Live(read[number % read.len()].clone()),
            _ => Call::Cached,
        }
    });
    let stop = Arc::new(tokio::sync::Notify::new());
    let calls = spawn(load(requests, Arc::clone(&known), Arc::clone(&stop)));
    tokio::time::sleep(STEADY).await;
    let mut log = Vec::new();
    for (id, replica) in (3..).zip(std::mem::take(&mut replicas)) {
        log.extend(replica.end().await);
        replicas.push(Replica::start(id, &sandbox, &store, &known).await);
        tokio::time::sleep(STEADY).await;
    }
    stop.notify_one();
    let (made, repeated) = calls.await.unwrap();
    let listening = |(choice, _): &&(Choice, String)| *choice != Choice::Behind;
    let surprised = repeated.iter().filter(listening).count();
    eprintln!(
        "{made} calls, {} repeated, {surprised} of callers that listen",
        repeated.len()
    );
    // Only what was on its way at the wrong moment: nobody else has to.
    assert!(surprised * 200 <= made, "{made}: {repeated:?}");

    let cut: Vec<_> = log
        .iter()
        .filter(|line| line.contains("cut off") || line.contains("left to"))
        .collect();
    assert!(cut.is_empty(), "{cut:?}");
    let ordered = ordered.lock().unwrap().clone();
    assert!(ordered.len() >= made / ROUND && made > 300, "{made}");
    for msisdn in &ordered {
        let bought = || control.sim(msisdn).unwrap().bought().count();
        until("every order is carried out", async || bought() > 0).await;
        assert_eq!(bought(), 1, "bought once");
    }
    assert_eq!(control.received("POST", ORDERS), ordered.len() as u64);
}
