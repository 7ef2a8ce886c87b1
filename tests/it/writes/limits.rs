//! Limits of what may be ordered: over gRPC, and on several replicas of which
//! one is killed.

use std::time::{Duration, Instant};

use api::OrderState;
use fastrand::Rng;
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Criteria, Fault, Options, Sandbox, Script, Step};

use crate::support::gateway::{
    FRANCE, Gateway, ORDERS, Provisioning, TestEnv, is_counted, reason, settings, simulator, until,
};
use crate::support::postgres;
use crate::support::process::Process;
use crate::support::property::AT_LAST;
use crate::writes::orders::{create, get, order};
use crate::writes::stock::{deliver, sale};

const NAMED: [(&str, &str); 2] = [
    ("CALLERS__HEADER", "l5d-client-id"),
    ("CALLERS__HEADER_FROM", "127.0.0.1"),
];

async fn buy(
    client: &mut Provisioning,
    caller: Option<&'static str>,
    msisdn: &str,
) -> Result<api::Order, Status> {
    buy_as(client, caller, &order(msisdn)).await
}

async fn buy_as(
    client: &mut Provisioning,
    caller: Option<&'static str>,
    request: &api::CreateOrderRequest,
) -> Result<api::Order, Status> {
    let mut call = Request::new(request.clone());
    if let Some(caller) = caller {
        call.metadata_mut()
            .insert("l5d-client-id", MetadataValue::from_static(caller));
    }
    Ok(client.create_order(call).await?.into_inner().order.unwrap())
}

fn sent(control: &Control) -> u64 {
    control.received("POST", ORDERS)
}

#[tokio::test]
async fn a_caller_that_has_ordered_as_much_as_it_may_is_refused() {
    let limits = r#"{ "shop" = ["2 orders/day"], "spender" = ["7.00 EUR/day"], "*" = ["1 orders/minute"] }"#;
    let env = TestEnv::with(&[&NAMED[..], &[("CALLERS__LIMITS", limits)]].concat()).await;
    let control = env.control();
    control.set_price(FRANCE, 350);
    let sims = control.find_sims(Criteria::FRESH, 10);
    let mut sims = sims.iter().map(|sim| sim.msisdn.as_str());
    let mut client = env.provisioning();
    for (caller, may, limit, value) in [
        (Some("shop"), 2, "orders_per_day", "2 orders per day"),
        (Some("spender"), 2, "spend_per_day", "7.00 EUR per day"),
        (Some("other"), 1, "orders_per_minute", "1 orders per minute"),
        (None, 1, "orders_per_minute", "1 orders per minute"),
    ] {
        for _ in 0..may {
            let placed = buy(&mut client, caller, sims.next().unwrap()).await.unwrap();
            assert_eq!(placed.state(), OrderState::Placed);
        }
        let before = sent(&control);
        let refused = reason(&buy(&mut client, caller, sims.next().unwrap()).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::ResourceExhausted, "CALLER_LIMIT_REACHED")
        );
        assert_eq!(
            (
                refused.metadata["limit"].as_str(),
                refused.metadata["limit_value"].as_str()
            ),
            (limit, value)
        );
        assert_eq!(refused.metadata["known_state"], "NONE");
        let wait = refused.details.retry_info().unwrap().retry_delay.unwrap();
        assert!(!wait.is_zero() && wait <= Duration::from_secs(86_400), "{wait:?}");
        assert_eq!(sent(&control), before);
        let metrics = env.gateway.metrics().await;
        let shown = caller.filter(|caller| *caller != "other").unwrap_or("_OTHER");
        let series =
            format!("transatel_gateway_caller_limit_refused_total{{caller=\"{shown}\",limit=\"{limit}\"");
        assert!(is_counted(&metrics, &[&series]), "{metrics}");
    }
}

#[tokio::test]
async fn the_account_has_a_last_fence() {
    let limits = [("ORDERS__SPEND_PER_DAY", "7 EUR")];
    let env = TestEnv::with(&[&NAMED[..], &limits].concat()).await;
    let control = env.control();
    control.set_price(FRANCE, 350);
    let sims = control.find_sims(Criteria::FRESH, 3);
    let mut client = env.provisioning();
    buy(&mut client, Some("shop"), &sims[0].msisdn).await.unwrap();
    buy(&mut client, None, &sims[1].msisdn).await.unwrap();
    let refused = reason(
        &buy(&mut client, Some("other"), &sims[2].msisdn)
            .await
            .unwrap_err(),
    );
    assert_eq!(refused.reason, "CALLER_LIMIT_REACHED");
    assert_eq!(refused.metadata["limit"], "account_spend_per_day");
}

#[tokio::test]
async fn a_sale_from_the_stock_is_one_order_however_many_sims_are_refused() {
    let limits = [("CALLERS__LIMITS", r#"{ "*" = ["1 orders/minute"] }"#)];
    let env = TestEnv::with(&[&NAMED[..], &limits].concat()).await;
    deliver(&env.sandbox, &mut env.inventory(), 10).await;
    let mut client = env.provisioning();
    let mut sell = async |caller| {
        let mut call = Request::new(sale());
        let name = MetadataValue::from_static(caller);
        call.metadata_mut().insert("l5d-client-id", name);
        client.create_order(call).await
    };
    for (caller, refusals, expected) in [("shop", 2, None), ("unlucky", 3, Some("SIM_STATUS_NOT_ELIGIBLE"))] {
        let refusal = Fault::problem(409, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step();
        env.control()
            .queue(Script::on("POST", ORDERS).then(refusal.times(refusals)));
        let sold = sell(caller).await.err().map(|status| reason(&status).reason);
        assert_eq!(sold.as_deref(), expected, "{caller}");
        let refused = reason(&sell(caller).await.unwrap_err());
        assert_eq!(refused.reason, "CALLER_LIMIT_REACHED", "{caller}");
        assert_eq!(refused.metadata["limit"], "orders_per_minute");
    }
}

/// The shares of limits that are shown, without those that are 0.
async fn shares(gateway: &Gateway) -> Vec<String> {
    shown(gateway, "transatel_gateway_caller_limit_used{").await
}

async fn shown(gateway: &Gateway, name: &str) -> Vec<String> {
    let metrics = gateway.metrics().await;
    let shown = metrics.lines().filter_map(|line| {
        let (labels, share) = line.strip_prefix(name)?.rsplit_once("} ")?;
        let (labels, _) = labels.split_once(",otel_scope_name")?;
        (share != "0").then(|| format!("{labels} {share}"))
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

#[tokio::test]
async fn what_is_used_of_limits_is_shown_by_names_of_the_settings() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let env = simulator().await;
    let own = [
        ("STORE__URL", store.as_str()),
        ("ORDERS__RECONCILE_AFTER", "20ms"),
        ("ORDERS__SPEND_PER_DAY", "14 EUR"),
        (
            "CALLERS__LIMITS",
            r#"{ "shop" = ["4 orders/day", "7.00 EUR/day"], "*" = ["4 orders/minute", "100 calls/second"] }"#,
        ),
        (
            "CALLERS__ALLOW",
            r#"{ "shop" = ["*"], "support" = ["*"], "*" = ["*"] }"#,
        ),
    ];
    let own = [&NAMED[..], &own].concat();
    let one = Gateway::start(&env.base_url(), &own).await;
    let other = Gateway::start(&env.base_url(), &own).await;
    let control = env.control();
    control.set_price(FRANCE, 350);
    let sims = control.find_sims(Criteria::FRESH, 4);
    for (sim, caller) in sims.iter().zip(["shop", "support", "stranger"]) {
        buy(&mut one.provisioning(), Some(caller), &sim.msisdn)
            .await
            .unwrap();
    }
    let expected = [
        r#"caller="_ALL",currency="EUR",limit="account_spend_per_day" 0.75"#,
        r#"caller="_OTHER",limit="orders_per_minute" 0.25"#,
        r#"caller="shop",currency="EUR",limit="spend_per_day" 0.5"#,
        r#"caller="shop",limit="orders_per_day" 0.25"#,
        r#"caller="support",limit="orders_per_minute" 0.25"#,
    ];
    // The ledger is the same for both.
    for gateway in [&one, &other] {
        until("what is used is shown", async || {
            shares(gateway).await == expected
        })
        .await;
        let spend = [
            r#"caller="_OTHER",currency="EUR" 3.5"#,
            r#"caller="shop",currency="EUR" 3.5"#,
            r#"caller="support",currency="EUR" 3.5"#,
        ];
        assert_eq!(shown(gateway, "transatel_gateway_caller_spend{").await, spend);
    }
}

#[tokio::test]
async fn what_is_used_is_not_shown_while_the_ledger_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let store = format!("sqlite://{}", file.display());
    let env = TestEnv::with(&[
        ("STORE__URL", &store),
        ("ORDERS__RECONCILE_AFTER", "20ms"),
        ("CALLERS__LIMITS", r#"{ "*" = ["2 orders/day"] }"#),
    ])
    .await;
    let sim = env.control().find_sims(Criteria::FRESH, 1).remove(0);
    create(&mut env.provisioning(), &order(&sim.msisdn))
        .await
        .unwrap();
    let expected = [r#"caller="_OTHER",limit="orders_per_day" 0.5"#];
    until("what is used is shown", async || {
        shares(&env.gateway).await == expected
    })
    .await;
    // Somebody else changes the tables.
    let change = |sql: &'static str| {
        let url = store.clone();
        async move {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            connection.execute(sql).await.unwrap();
        }
    };
    change("ALTER TABLE spend_totals RENAME TO gone").await;
    until("nothing is shown", async || shares(&env.gateway).await.is_empty()).await;
    change("ALTER TABLE gone RENAME TO spend_totals").await;
    until("it is shown again", async || {
        shares(&env.gateway).await == expected
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_compared_with_a_limit_is_not_bought() {
    let env = TestEnv::with(&[("ORDERS__SPEND_PER_DAY", "7 USD")]).await;
    let control = env.control();
    control.set_price(FRANCE, 350);
    let sim = control.find_sims(Criteria::FRESH, 1).remove(0);
    let refused = reason(
        &create(&mut env.provisioning(), &order(&sim.msisdn))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::FailedPrecondition, "PRICE_NOT_COMPARABLE")
    );
    assert_eq!(
        (refused.metadata["price"].as_str(), sent(&control)),
        ("3.50 EUR", 0)
    );
}

const QUICK: [(&str, &str); 7] = [
    ("ORDERS__SEND_TIMEOUT", "150ms"),
    ("ORDERS__RECONCILE_AFTER", "20ms"),
    ("ORDERS__RECONCILE_AT_MOST", "100ms"),
    ("ORDERS__SETTLE_WINDOW", "700ms"),
    ("ORDERS__LEASE", "3s"),
    ("CATALOG__WARM_UP", "10s"),
    ("ORDERS__SPEND_PER_DAY", "28 EUR"),
];

/// Answers that are lost, refusals, and orders that never arrive.
fn fault(rng: &mut Rng) -> Step {
    match rng.u8(0..6) {
        0 | 1 => Fault::Reset.after_commit(),
        2 => Fault::Reset.step(),
        3 => Fault::problem(402, "INSUFFICIENT_FUND").step(),
        4 => Fault::status(503).step(),
        _ => Fault::Pass.step(),
    }
}

/// So many are sold, of many more that are wanted.
const MOST: usize = 8;
const WANTED: usize = 30;

/// A provider, what is asked of it, and what goes wrong.
struct Demand {
    sandbox: Sandbox,
    requests: Vec<api::CreateOrderRequest>,
    sims: Vec<String>,
}

impl Demand {
    async fn new() -> Self {
        let options = Options {
            sims: 200,
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let control = sandbox.control();
        control.set_price(FRANCE, 350);
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let rng = &mut Rng::with_seed(seed);
        let script = Script::on("POST", ORDERS);
        control.queue((0..12).fold(script, |script, _| script.then(fault(rng))));
        let sims = control.find_sims(Criteria::FRESH, WANTED);
        let sims: Vec<String> = sims.into_iter().map(|sim| sim.msisdn).collect();
        assert_eq!(sims.len(), WANTED);
        Self {
            requests: sims.iter().map(|msisdn| order(msisdn)).collect(),
            sims,
            sandbox,
        }
    }

    fn sold(&self) -> usize {
        let control = self.sandbox.control();
        let sims = self.sims.iter().map(|msisdn| control.sim(msisdn).unwrap());
        sims.map(|sim| sim.bought().count()).sum()
    }

    fn is_within_the_limit(&self) {
        let sold = self.sold();
        assert!(sold <= MOST, "{sold} are sold");
    }

    /// Kills the process once some are sent, or all that may be.
    async fn kill_during(&self, calls: impl Future, process: &mut Process) {
        let control = self.sandbox.control();
        let before = sent(&control);
        let mut calls = std::pin::pin!(calls);
        tokio::select! {
            _ = &mut calls => {}
            () = until("some are sent", async || sent(&control) > before + 4) => {}
        }
        process.signal("KILL").await;
        process.ended().await;
    }

    /// Repeats everything until nothing is open, and as much is sold as may be.
    async fn use_up(&self, client: &mut Provisioning, caller: Option<&'static str>) {
        let started = Instant::now();
        let mut is_open = true;
        while is_open || self.sold() != MOST {
            assert!(started.elapsed() < AT_LAST, "the limit is never used up");
            for request in &self.requests {
                let _ = buy_as(client, caller, request).await;
                self.is_within_the_limit();
            }
            is_open = false;
            for request in &self.requests {
                is_open |= get(client, request).await.is_ok_and(|order| {
                    order.next_check_at.is_some() || order.state() == OrderState::Submitting
                });
            }
        }
    }
}

/// A process with its client.
async fn started(provider: &str, own: &[(&str, &str)]) -> (Process, Provisioning) {
    let mut process = Process::start(&["serve"], &settings(provider, own));
    let line = process.logged("listening").await;
    let address = line.split("grpc=").nth(1).unwrap().split(' ').next().unwrap();
    process.logged("ready").await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let client = Provisioning::new(channel.connect().await.unwrap());
    (process, client)
}

/// Whatever is lost, repeated or killed, never more are sold than the account's limit
/// allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sold_never_exceeds_the_limit_whatever_fails() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let demand = Demand::new().await;
    let provider = demand.sandbox.base_url();
    let own = [QUICK.as_slice(), &[("STORE__URL", &store)]].concat();
    let one = Gateway::start(&provider, &own).await;
    let other = Gateway::start(&provider, &own).await;
    let (mut killed, third) = started(&provider, &own).await;
    let clients = [one.provisioning(), other.provisioning(), third];
    let calls = demand
        .requests
        .iter()
        .zip(clients.iter().cycle())
        .map(|(request, client)| {
            let mut client = client.clone();
            async move { drop(create(&mut client, request).await) }
        });
    demand.kill_during(join_all(calls), &mut killed).await;
    demand.is_within_the_limit();
    demand.use_up(&mut one.provisioning(), None).await;
}

/// The same for the limit of one caller, in a file whose process is killed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_is_sold_never_exceeds_its_limit_whatever_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let demand = Demand::new().await;
    let provider = demand.sandbox.base_url();
    let limits = [
        ("STORE__URL", store.as_str()),
        ("ORDERS__SPEND_PER_DAY", "1000 EUR"),
        ("CALLERS__LIMITS", r#"{ "shop" = ["28 EUR/day"] }"#),
    ];
    let own = [QUICK.as_slice(), &NAMED, &limits].concat();
    for requests in demand.requests.chunks(WANTED / 2) {
        let (mut killed, client) = started(&provider, &own).await;
        let calls = requests.iter().map(|request| {
            let mut client = client.clone();
            async move { drop(buy_as(&mut client, Some("shop"), request).await) }
        });
        demand.kill_during(join_all(calls), &mut killed).await;
        demand.is_within_the_limit();
    }
    let last = Gateway::start(&provider, &own).await;
    demand.use_up(&mut last.provisioning(), Some("shop")).await;
    // Others are not held up, whatever fails.
    let control = demand.sandbox.control();
    let sim = control.find_sims(Criteria::FRESH, WANTED + 1).pop().unwrap();
    let before = sent(&control);
    let _ = buy(&mut last.provisioning(), Some("other"), &sim.msisdn).await;
    assert_eq!(sent(&control), before + 1);
}
