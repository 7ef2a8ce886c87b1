//! Several gateways on one PostgreSQL: what holds for one holds for all of
//! them together.

use std::time::Duration;

use transatel_gateway_client::connectivity::v1::{self as api, OrderState};
use transatel_simulator::{Criteria, Fault, Options, Sandbox, Script, Webhook};

use crate::support::gateway::{
    Gateway, ORDERS, Provisioning, SECRET, SOON, Secret, reason, settings, spawn, until,
};
use crate::support::postgres;
use crate::support::process::Process;
use crate::writes::orders::{create, get, order};

const QUICK: [(&str, &str); 5] = [
    ("ORDERS__RECONCILE_AFTER", "20ms"),
    ("ORDERS__RECONCILE_AT_MOST", "100ms"),
    ("ORDERS__SETTLE_WINDOW", "500ms"),
    // No send is too late for it, however busy the machine is.
    ("ORDERS__LEASE", "60s"),
    // Not in the time of the first order.
    ("CATALOG__WARM_UP", "10s"),
];

async fn gateway(sandbox: &Sandbox, store: &str) -> Gateway {
    let settings = [QUICK.as_slice(), &[("STORE__URL", store)]].concat();
    Gateway::start(&sandbox.base_url(), &settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_order_sent_to_all_replicas_at_once_is_bought_once() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = Sandbox::start(Options {
        sims: 400,
        ..Options::default()
    })
    .await
    .unwrap();
    let control = sandbox.control();
    let replicas = [
        gateway(&sandbox, &store).await,
        gateway(&sandbox, &store).await,
        gateway(&sandbox, &store).await,
    ];
    let sims = control.find_sims(Criteria::FRESH, 20);
    assert_eq!(sims.len(), 20);
    let requests = sims.iter().map(|sim| order(&sim.msisdn));
    let calls = requests.flat_map(|request| {
        let calls = replicas
            .iter()
            .flat_map(|replica| [replica.provisioning(), replica.provisioning()]);
        let calls: Vec<_> = calls
            .map(|mut client| {
                let request = request.clone();
                async move { create(&mut client, &request).await.unwrap() }
            })
            .collect();
        calls
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.state(), OrderState::Placed);
    }
    for sim in &sims {
        assert_eq!(control.sim(&sim.msisdn).unwrap().bought().count(), 1);
    }
    assert_eq!(control.received("POST", ORDERS), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_orders_for_one_sim_and_product_run_one_after_the_other() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = crate::support::gateway::simulator().await;
    let (one, other) = (gateway(&sandbox, &store).await, gateway(&sandbox, &store).await);
    let control = sandbox.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post")));
    let first = order("882470000000001");
    let running = spawn({
        let (mut client, first) = (one.provisioning(), first.clone());
        async move { create(&mut client, &first).await.unwrap() }
    });
    control.until_held("post", 1).await;
    let error = reason(
        &create(&mut other.provisioning(), &order("882470000000001"))
            .await
            .unwrap_err(),
    );
    assert_eq!(error.reason, "ORDER_IN_PROGRESS");
    // The other replica waits for the one that carries it out.
    let waiting = spawn({
        let (mut client, first) = (other.provisioning(), first.clone());
        async move { create(&mut client, &first).await.unwrap() }
    });
    control.release("post");
    let (running, waiting) = (running.await.unwrap(), waiting.await.unwrap());
    assert_eq!(running, waiting);
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_another_replica_receives_answers_the_call_whose_send_hangs() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = crate::support::gateway::simulator().await;
    let control = sandbox.control();
    let slow = [("ORDERS__SEND_TIMEOUT", "60s"), ("ORDERS__LEASE", "120s")];
    let settings = [QUICK.as_slice(), &slow, &[("STORE__URL", &store)]].concat();
    let sends = Gateway::start(&sandbox.base_url(), &settings).await;
    let secret = Secret::new(SECRET);
    let settings = [settings.as_slice(), &secret.settings()].concat();
    let receives = Gateway::start(&sandbox.base_url(), &settings).await;
    let webhook = Webhook::new(receives.webhook(), SECRET);
    control.set_webhook(Some(webhook)).unwrap();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("answer").after_commit()));
    let request = order("882470000000001");
    let call = create_within(&sends, &request);
    let placed = tokio::time::timeout(SOON, call).await.expect("the call waits on");
    assert_eq!(placed.unwrap().state(), OrderState::Placed);
    assert_eq!(control.gates().get("answer"), Some(&1), "the answer still hangs");
    assert_eq!(control.received("POST", ORDERS), 1);
}

/// With a deadline that is later than a test waits for anything.
async fn create_within(
    gateway: &Gateway,
    request: &api::CreateOrderRequest,
) -> Result<api::Order, tonic::Status> {
    let mut request = tonic::Request::new(request.clone());
    request.set_timeout(2 * SOON);
    let answer = gateway.provisioning().create_order(request).await?;
    Ok(answer.into_inner().order.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_a_replica_that_dies_is_taken_over_when_its_lease_ends() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = crate::support::gateway::simulator().await;
    let control = sandbox.control();
    // Long enough to see that it is not taken over at once.
    let own = [("ORDERS__LEASE", "10s"), ("STORE__URL", &store)];
    let own = [QUICK.as_slice(), &own].concat();
    let survivor = Gateway::start(&sandbox.base_url(), &own).await;
    let environment = settings(&sandbox.base_url(), &own);
    let mut process = Process::start(&["serve"], &environment);
    let line = process.logged("listening").await;
    let address = line.split("grpc=").nth(1).unwrap().split(' ').next().unwrap();
    process.logged("ready").await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = Provisioning::new(channel.connect().await.unwrap());

    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post").after_commit()));
    let request = order("882470000000001");
    let call = spawn({
        let request = request.clone();
        async move { create(&mut client, &request).await }
    });
    control.until_held("post", 1).await;
    process.signal("KILL").await;
    process.ended().await;
    let _ = call.await;
    let mut client = survivor.provisioning();
    // Not before: it might be alive and about to hear the answer.
    assert_eq!(
        get(&mut client, &request).await.unwrap().state(),
        OrderState::Submitting
    );
    until("it is taken over", async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        get(&mut client, &request).await.unwrap().state() == OrderState::Placed
    })
    .await;
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
    assert_eq!(control.received("POST", ORDERS), 1);
}
