//! A gateway under load whose database is behind a relay, and what it has
//! confirmed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use transatel_gateway_client::connectivity::v1::sim_ref::Id;
use transatel_gateway_client::connectivity::v1::{CreateOrderRequest, ListOrdersRequest, OrderState};
use transatel_simulator::{Criteria, Options, Sandbox};

use crate::events::streams::Follower;
use crate::events::webhook::{all, client, deliver, envelope};
use crate::support::gateway::{Gateway, SECRET, Secret, until};
use crate::support::postgres;
use crate::support::relay::Relay;
use crate::writes::orders::{create, order};

/// How long after the end of the trouble everything works again.
pub const AGAIN: Duration = Duration::from_secs(10);

/// How long a call of the tests waits.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Rounds of calls that fail at once do not follow closer than that.
const PACE: Duration = Duration::from_millis(100);

const SETTINGS: [(&str, &str); 5] = [
    ("ORDERS__RECONCILE_AFTER", "50ms"),
    ("ORDERS__RECONCILE_AT_MOST", "200ms"),
    ("ORDERS__SETTLE_WINDOW", "500ms"),
    ("ORDERS__LEASE", "3s"),
    // Not in the time of the first order.
    ("CATALOG__WARM_UP", "10s"),
];

/// How long a call waits, and how long the ledger may take for an operation.
#[derive(Clone, Copy)]
struct Limits {
    call: Duration,
    operation: &'static str,
}

/// A gateway whose database is behind a relay, and what it has confirmed.
pub struct Workload {
    limits: Limits,
    sandbox: Sandbox,
    pub relay: Relay,
    pub gateway: Gateway,
    /// Another replica with a path of its own to the database.
    direct: Gateway,
    sims: Vec<String>,
    wanted: Vec<CreateOrderRequest>,
    placed: Vec<String>,
    posted: u32,
    acknowledged: BTreeSet<String>,
    _secret: Secret,
}

/// What worked in one round of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worked {
    posted: bool,
    placed: bool,
    listed: bool,
}

const EVERYTHING: Worked = Worked {
    posted: true,
    placed: true,
    listed: true,
};

impl Workload {
    pub async fn open(database: &str) -> Self {
        let limits = Limits {
            call: CALL_TIMEOUT,
            operation: "1s",
        };
        Self::within(database, limits).await
    }

    /// Where nothing is silent: no call fails because a machine is slow.
    pub async fn open_patient(database: &str) -> Self {
        let limits = Limits {
            call: Duration::from_secs(5),
            operation: "5s",
        };
        Self::within(database, limits).await
    }

    async fn within(database: &str, limits: Limits) -> Self {
        let sandbox = Sandbox::start(Options {
            sims: 2_000,
            ..Options::default()
        })
        .await
        .unwrap();
        let relay = Relay::start(&postgres::socket(database)).await;
        let secret = Secret::new(SECRET);
        let through = postgres::through(&relay, database);
        let start = async |store: &str| {
            let own = [
                ("STORE__URL", store),
                ("STORE__OPERATION_TIMEOUT", limits.operation),
            ];
            let all = [&secret.settings()[..], &SETTINGS, &own].concat();
            Gateway::start(&sandbox.base_url(), &all).await
        };
        let (gateway, direct) = (start(&through).await, start(database).await);
        let sims = sandbox.control().find_sims(Criteria::FRESH, 400);
        Self {
            limits,
            sims: sims.into_iter().map(|sim| sim.msisdn).collect(),
            sandbox,
            relay,
            gateway,
            direct,
            wanted: Vec::new(),
            placed: Vec::new(),
            posted: 0,
            acknowledged: BTreeSet::new(),
            _secret: secret,
        }
    }

    /// Posts an event, places an order and lists orders at the same time.
    pub async fn round(&mut self) -> Worked {
        self.posted += 1;
        let id = format!("E{}", self.posted);
        let request = order(&self.sims.pop().expect("a SIM is left"));
        self.wanted.push(request.clone());
        let mut provisioning = [self.gateway.provisioning(), self.gateway.provisioning()];
        let [orders, lists] = &mut provisioning;
        let (url, http) = (self.gateway.webhook(), client());
        let body = envelope(&id, "T", json!({}));
        let within = self.limits.call;
        let (posted, placed, listed, ()) = tokio::join!(
            tokio::time::timeout(within, deliver(&http, &url, body)),
            tokio::time::timeout(within, create(orders, &request)),
            tokio::time::timeout(within, lists.list_orders(ListOrdersRequest::default())),
            tokio::time::sleep(PACE),
        );
        let worked = Worked {
            posted: posted.is_ok_and(|status| status == Some(204)),
            placed: placed.is_ok_and(|order| order.is_ok_and(|order| order.state() == OrderState::Placed)),
            listed: listed.is_ok_and(|list| list.is_ok()),
        };
        if worked.posted {
            self.acknowledged.insert(id);
        }
        if worked.placed {
            self.placed.push(request.request_id);
        }
        worked
    }

    /// The network goes silent while an event is appended, so many parts
    /// after its first.
    pub async fn silence_in_an_append(&mut self, parts: u64) {
        self.posted += 1;
        let id = format!("S{}", self.posted);
        self.relay.silence_after(parts);
        let (url, http) = (self.gateway.webhook(), client());
        let posted = deliver(&http, &url, envelope(&id, "T", json!({})));
        if tokio::time::timeout(self.limits.call, posted).await == Ok(Some(204)) {
            self.acknowledged.insert(id);
        }
        self.relay.silence();
        self.until_nothing_is_written().await;
    }

    /// Until nothing is written: the trouble is there.
    pub async fn until_nothing_is_written(&mut self) {
        let started = Instant::now();
        loop {
            let worked = self.round().await;
            if !worked.posted && !worked.placed {
                return;
            }
            assert!(started.elapsed() < AGAIN, "there is no trouble");
        }
    }

    /// Until everything works, which must be soon: the trouble ended now.
    pub async fn until_everything_works(&mut self) {
        let ended = Instant::now();
        loop {
            let worked = self.round().await;
            if worked == EVERYTHING {
                break;
            }
            assert!(ended.elapsed() < AGAIN, "only this works: {worked:?}");
        }
        println!("everything worked again after {:?}", ended.elapsed());
    }

    /// It was not by chance: no connection is left that does not serve.
    pub async fn everything_goes_on_working(&mut self) {
        for _ in 0..15 {
            assert_eq!(self.round().await, EVERYTHING);
        }
    }

    /// Until an event that the other replica took in reaches a stream of this
    /// one, which must be soon.
    pub async fn until_events_are_passed_on(&mut self, follower: &mut Follower) {
        let ended = Instant::now();
        self.posted += 1;
        let id = format!("D{}", self.posted);
        let body = envelope(&id, "T", json!({}));
        assert_eq!(deliver(&client(), &self.direct.webhook(), body).await, Some(204));
        self.acknowledged.insert(id.clone());
        let passed_on = async { while follower.event().await.event_id != id {} };
        let passed_on = tokio::time::timeout(AGAIN, passed_on).await;
        passed_on.expect("the event is not passed on");
        println!("events were passed on again after {:?}", ended.elapsed());
    }

    /// Nothing that was confirmed is lost, and nothing was bought twice.
    pub async fn nothing_is_lost(&mut self) {
        let events = all(&mut self.gateway.events()).await;
        let ids: BTreeSet<_> = events.iter().map(|event| event.event_id.clone()).collect();
        assert_eq!(ids.len(), events.len());
        let lost: Vec<_> = self.acknowledged.difference(&ids).collect();
        assert!(lost.is_empty(), "{lost:?}");
        for request in &self.wanted {
            let mut provisioning = self.gateway.provisioning();
            let id = request.request_id.clone();
            let placed = async || {
                let order = create(&mut provisioning, request).await;
                order.is_ok_and(|order| order.state() == OrderState::Placed)
            };
            until(&id, placed).await;
            let Some(Id::Msisdn(msisdn)) = request.sim.as_ref().and_then(|sim| sim.id.as_ref()) else {
                panic!("no MSISDN")
            };
            let sim = self.sandbox.control().sim(msisdn).unwrap();
            assert_eq!(sim.bought().count(), 1);
        }
        println!(
            "{} of {} orders and {} of {} events were confirmed at once",
            self.placed.len(),
            self.wanted.len(),
            self.acknowledged.len(),
            self.posted
        );
    }
}
