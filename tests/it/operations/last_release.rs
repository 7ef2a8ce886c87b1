//! A rollout from the last release, and back: its program and this one on the
//! same ledger. `.ci/run upgrade` builds that program from `.ci/last-release`,
//! names it in `LAST_RELEASE` and runs these tests.

use std::collections::BTreeSet;

use tonic::transport::Endpoint;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, Sandbox, Script};

use crate::support::gateway::{Events, ORDERS, Provisioning, settings, simulator, until};
use crate::support::postgres;
use crate::support::process::Process;
use crate::writes::orders::{create, get, order, until_state, was_not_sent};

/// Whose program it is.
#[derive(Clone, Copy, Debug)]
enum Release {
    Last,
    This,
}

impl Release {
    fn program(self) -> String {
        match self {
            Self::Last => std::env::var("LAST_RELEASE").expect("LAST_RELEASE names no program"),
            Self::This => env!("CARGO_BIN_EXE_transatel-gateway").to_owned(),
        }
    }
}

/// A gateway in a process of its own.
struct Pod {
    release: Release,
    process: Process,
    orders: Provisioning,
    events: Events,
}

impl Pod {
    async fn start(release: Release, sandbox: &Sandbox, store: &str) -> Self {
        let own = [
            ("STORE__URL", store),
            // The catalog is not loaded in the time of the first order.
            ("CATALOG__WARM_UP", "10s"),
            ("ORDERS__LEASE", "2s"),
            ("ORDERS__RECONCILE_AFTER", "20ms"),
            ("ORDERS__RECONCILE_AT_MOST", "50ms"),
            ("ORDERS__SETTLE_WINDOW", "300ms"),
        ];
        let environment = settings(&sandbox.base_url(), &own);
        let mut process = Process::start_program(release.program(), &["serve"], &environment);
        let line = process.logged("listening").await;
        let address = line.split("grpc=").nth(1).unwrap().split(' ').next().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        process.logged("ready").await;
        let channel = endpoint.connect().await.unwrap();
        Self {
            release,
            process,
            orders: Provisioning::new(channel.clone()),
            events: Events::new(channel),
        }
    }

    async fn stop(mut self) {
        self.process.signal("TERM").await;
        assert_eq!(self.process.ended().await, Some(0));
    }

    async fn kill(mut self) {
        self.process.signal("KILL").await;
        self.process.ended().await;
    }

    /// Finds what any process sold, in every way that callers have.
    async fn finds(&mut self, sold: &[CreateOrderRequest]) {
        let mut ids = BTreeSet::new();
        for request in sold {
            until_state(&mut self.orders, request, OrderState::Placed).await;
            ids.insert(get(&mut self.orders, request).await.unwrap().order_id);
        }
        let list = ListOrdersRequest {
            states: vec![OrderState::Placed.into()],
            ..Default::default()
        };
        let list = self.orders.list_orders(list).await.unwrap().into_inner();
        let listed: BTreeSet<String> = list.orders.into_iter().map(|order| order.order_id).collect();
        assert_eq!(listed, ids, "{:?}", self.release);
        let mut events = self.events.clone();
        until("every sale is an event", async || {
            let list = events.list_events(ListEventsRequest::default()).await.unwrap();
            let events = list.into_inner().events;
            let named: BTreeSet<String> = events.into_iter().map(|event| event.order_id).collect();
            ids.is_subset(&named)
        })
        .await;
        for request in sold {
            // A repeat is answered from the ledger.
            let known = create(&mut self.orders, request).await.unwrap();
            assert!(ids.contains(&known.order_id));
        }
    }
}

/// Sales, each on a SIM of its own.
struct Shop {
    sandbox: Sandbox,
    sims: Vec<String>,
    sold: Vec<CreateOrderRequest>,
}

impl Shop {
    async fn open() -> Self {
        let sandbox = simulator().await;
        let sims = sandbox.control().find_sims(Criteria::FRESH, 20);
        Self {
            sims: sims.into_iter().map(|sim| sim.msisdn).collect(),
            sandbox,
            sold: Vec::new(),
        }
    }

    async fn start(&self, release: Release, store: &str) -> Pod {
        Pod::start(release, &self.sandbox, store).await
    }

    /// Orders at this pod; gives the state in the answer.
    async fn order_at(&mut self, pod: &mut Pod) -> OrderState {
        let request = order(&self.sims.pop().unwrap());
        let mut answer = create(&mut pod.orders, &request).await;
        while answer.as_ref().is_err_and(was_not_sent) {
            answer = create(&mut pod.orders, &request).await;
        }
        self.sold.push(request);
        answer.unwrap().state()
    }

    async fn sell_at(&mut self, pod: &mut Pod) {
        assert_eq!(self.order_at(pod).await, OrderState::Placed, "{:?}", pod.release);
    }

    /// Orders at this pod, and the answer of the provider is lost: the pods that
    /// are left determine the outcome.
    async fn lose_an_answer_at(&mut self, pod: &mut Pod) {
        let lost = Script::on("POST", ORDERS).then(Fault::Reset.after_commit());
        self.sandbox.control().queue(lost);
        self.order_at(pod).await;
    }

    /// Nothing was sold twice.
    fn sold_once(&self) {
        let control = self.sandbox.control();
        assert_eq!(control.orders_accepted(), self.sold.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the last release's program: .ci/run upgrade"]
async fn replicas_of_the_last_release_live_through_a_rollout() {
    let store = postgres::database().await.expect("no PostgreSQL");
    let mut shop = Shop::open().await;
    let mut old = shop.start(Release::Last, &store).await;
    shop.sell_at(&mut old).await;

    let mut new = shop.start(Release::This, &store).await;
    new.finds(&shop.sold).await;
    for _ in 0..3 {
        shop.sell_at(&mut old).await;
        shop.sell_at(&mut new).await;
        shop.lose_an_answer_at(&mut old).await;
        shop.lose_an_answer_at(&mut new).await;
    }
    old.finds(&shop.sold).await;
    new.finds(&shop.sold).await;

    // A node is lost in the middle of it.
    shop.lose_an_answer_at(&mut old).await;
    old.kill().await;
    let mut old = shop.start(Release::Last, &store).await;
    shop.sell_at(&mut old).await;
    old.finds(&shop.sold).await;

    // Rolled back, and forth again.
    shop.lose_an_answer_at(&mut new).await;
    new.kill().await;
    shop.sell_at(&mut old).await;
    old.finds(&shop.sold).await;
    old.stop().await;
    let mut new = shop.start(Release::This, &store).await;
    new.finds(&shop.sold).await;
    shop.sold_once();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the last release's program: .ci/run upgrade"]
async fn a_file_goes_from_the_last_release_to_this_one_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let mut shop = Shop::open().await;
    for release in [Release::Last, Release::This, Release::Last, Release::This] {
        let mut pod = shop.start(release, &store).await;
        pod.finds(&shop.sold).await;
        shop.sell_at(&mut pod).await;
        shop.lose_an_answer_at(&mut pod).await;
        pod.finds(&shop.sold).await;
        shop.lose_an_answer_at(&mut pod).await;
        pod.kill().await;
    }
    let mut last = shop.start(Release::Last, &store).await;
    last.finds(&shop.sold).await;
    shop.sold_once();
}
