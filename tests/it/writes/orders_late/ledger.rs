//! A ledger that fails at the wrong moment, or holds what nobody can read.

use std::str::FromStr as _;

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection};
use tonic::Code;
use transatel_gateway::config::{Store, StoreUrl};
use transatel_gateway::domain::event::Event;
use transatel_gateway::domain::write::WriteId;
use transatel_gateway::domain::{Clock, Msisdn, SimIds};
use transatel_gateway::store;
use transatel_gateway::store::events::{Arrival, Incoming};
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::{Fault, Script, SimStatus, Visibility};

use super::{FRESH, SOON, hide, not_placed};
use crate::support::gateway::{FRANCE, Gateway, ORDERS, TestEnv, reason, simulator, until};
use crate::writes::orders::{create, get, order, spawn_create, until_state};

/// A SQLite file that the test can get at.
struct File {
    _folder: tempfile::TempDir,
    url: String,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
        Self { _folder: folder, url }
    }

    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::from_str(&self.url).unwrap();
        options.connect().await.unwrap()
    }

    async fn gateway(&self, base_url: &str, more: &[(&str, &str)]) -> Gateway {
        let settings = [SOON.as_slice(), &[("STORE__URL", &self.url)], more].concat();
        Gateway::start(base_url, &settings).await
    }
}

#[tokio::test]
async fn an_event_that_nobody_passed_on_is_found_in_the_log() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let file = File::new();
    let slow = [("ORDERS__SETTLE_WINDOW", "60s")];
    let first = file.gateway(&sandbox.base_url(), &slow).await;
    hide(&control, FRESH, Visibility::Never);
    let request = order(FRESH);
    let unknown = create(&mut first.provisioning(), &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    first.stop().await;
    // Durable, and then the process died.
    let settings = Store {
        url: StoreUrl::parse(&file.url).unwrap(),
        connections: 1,
        operation_timeout: crate::support::postgres::OPERATION_TIMEOUT,
    };
    let opened = store::open(&settings, Clock::system()).await.unwrap();
    let subscription = control
        .sim(FRESH)
        .unwrap()
        .bought()
        .next()
        .unwrap()
        .subscription_id;
    let event = Event {
        id: "E".into(),
        raw_type: "OCS/PRODUCT/PRELOADED".into(),
        received_at: Timestamp::now(),
        sim: SimIds {
            iccid: None,
            msisdn: Msisdn::parse(FRESH),
        },
        subscription_id: Some(subscription.to_string()),
        product_id: Some(FRANCE.into()),
        order_id: WriteId::parse(&unknown.order_id),
        ..Event::default()
    };
    let arrival = Arrival::Event(Box::new(Incoming {
        event,
        body: "{}".into(),
    }));
    opened.events.append(vec![arrival]).await.unwrap();
    drop(opened);
    let next = file.gateway(&sandbox.base_url(), &slow).await;
    let placed = until_state(&mut next.provisioning(), &request, OrderState::Placed).await;
    assert_eq!(placed.subscription_id, subscription.to_string());
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test]
async fn what_was_not_sent_is_taken_back_however_often_the_ledger_fails() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let file = File::new();
    let gateway = file.gateway(&sandbox.base_url(), &[]).await;
    let mut connection = file.connection().await;
    let fails = "CREATE TRIGGER no_delete BEFORE DELETE ON orders BEGIN SELECT RAISE(FAIL, 'broken'); END";
    connection.execute(fails).await.unwrap();
    control.queue(Script::on("POST", ORDERS).then(Fault::RateLimited { retry_after: None }.step()));
    let request = order(FRESH);
    let mut client = gateway.provisioning();
    let call = spawn_create(gateway.provisioning(), &request);
    // It cannot be said yet that nothing was bought: the order is in the way.
    until("it is sent", async || control.received("POST", ORDERS) == 1).await;
    for _ in 0..20 {
        let known = get(&mut client, &request).await.unwrap();
        assert_eq!(known.state(), OrderState::Submitting);
    }
    connection.execute("DROP TRIGGER no_delete").await.unwrap();
    let error = reason(&call.await.unwrap().unwrap_err());
    assert_eq!(error.reason, "PROVIDER_RATE_LIMITED");
    assert_eq!(
        get(&mut client, &request).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        create(&mut client, &request).await.unwrap().state(),
        OrderState::Placed
    );
    assert_eq!(control.sim(FRESH).unwrap().bought().count(), 1);
}

#[tokio::test]
async fn a_begin_that_failed_takes_back_no_later_attempt() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let file = File::new();
    let lease = [
        ("ORDERS__LEASE", "2s"),
        ("ORDERS__SEND_TIMEOUT", "1400ms"),
        ("ORDERS__SETTLE_WINDOW", "60s"),
    ];
    let gateway = file.gateway(&sandbox.base_url(), &lease).await;
    let mut client = gateway.provisioning();
    let request = order(FRESH);
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    create(&mut client, &request).await.unwrap();
    let mut connection = file.connection().await;
    let not_placed = "UPDATE orders SET state = 'not_placed', next_check_at = NULL";
    connection.execute(not_placed).await.unwrap();
    // The repeat cannot be begun, so that it might be found durable later.
    let fails = "CREATE TRIGGER no_repeat BEFORE UPDATE ON orders WHEN NEW.state = 'submitting' \
                 BEGIN SELECT RAISE(FAIL, 'broken'); END";
    connection.execute(fails).await.unwrap();
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "LEDGER_UNAVAILABLE");
    let failed = std::time::Instant::now();
    connection.execute("DROP TRIGGER no_repeat").await.unwrap();
    until("most of the lease has passed", async || {
        failed.elapsed() > std::time::Duration::from_millis(1_200)
    })
    .await;
    // The next one is on its way when the first one's lease ends.
    hide(&control, FRESH, Visibility::Never);
    control.clear_faults();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post").after_commit()));
    let repeat = spawn_create(gateway.provisioning(), &request);
    control.until_held("post", 1).await;
    until("the first one's lease has ended", async || {
        let known = get(&mut client, &request).await.unwrap();
        assert_ne!(known.state(), OrderState::NotPlaced);
        failed.elapsed() > std::time::Duration::from_millis(3_500)
    })
    .await;
    control.release("post");
    repeat.await.unwrap().unwrap();
    assert_eq!(control.received("POST", ORDERS), 2);
}

#[tokio::test]
async fn an_outcome_is_written_down_however_often_the_ledger_fails() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let file = File::new();
    let lease = [("ORDERS__LEASE", "3s"), ("CATALOG__WARM_UP", "10s")];
    let gateway = file.gateway(&sandbox.base_url(), &lease).await;
    let mut connection = file.connection().await;
    let mut client = gateway.provisioning();
    // Token and catalog are there: the lease is for the order alone.
    create(&mut client, &order("882470000000002")).await.unwrap();
    let fails = "CREATE TRIGGER no_update BEFORE UPDATE ON orders BEGIN SELECT RAISE(FAIL, 'broken'); END";
    connection.execute(fails).await.unwrap();
    let request = order(FRESH);
    let call = spawn_create(gateway.provisioning(), &request);
    until("it is sent", async || control.received("POST", ORDERS) == 2).await;
    // For longer than the lease.
    let started = std::time::Instant::now();
    until("its lease has ended", async || {
        let known = get(&mut client, &request).await.unwrap();
        assert_eq!(known.state(), OrderState::Submitting);
        started.elapsed() > std::time::Duration::from_millis(3_200)
    })
    .await;
    connection.execute("DROP TRIGGER no_update").await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().state(), OrderState::Placed);
    assert_eq!(control.received("POST", ORDERS), 2);
}

#[tokio::test]
async fn what_the_ledger_cannot_record_is_not_sent_a_second_time() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let file = File::new();
    let gateway = file.gateway(&sandbox.base_url(), &[]).await;
    let mut connection = file.connection().await;
    let fails = "CREATE TRIGGER no_second BEFORE UPDATE OF activation_used ON orders \
                 BEGIN SELECT RAISE(FAIL, 'broken'); END";
    connection.execute(fails).await.unwrap();
    // The search lags behind, so that the first use is refused.
    control.configure(|settings| settings.search_lag = std::time::Duration::from_secs(3600));
    control.set_sim_status(FRESH, SimStatus::Active).unwrap();
    let request = order(FRESH);
    let mut client = gateway.provisioning();
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "LEDGER_UNAVAILABLE");
    assert_eq!(control.received("POST", ORDERS), 1);
    let error = reason(&get(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_NOT_FOUND");
    connection.execute("DROP TRIGGER no_second").await.unwrap();
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(control.received("POST", ORDERS), 3);
}

#[tokio::test]
async fn an_order_that_cannot_be_read_keeps_no_other_from_being_looked_for() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let file = File::new();
    let gateway = file
        .gateway(&sandbox.base_url(), &[("ORDERS__SETTLE_WINDOW", "60s")])
        .await;
    let mut client = gateway.provisioning();
    let (bad, good) = (order(FRESH), order("882470000000002"));
    for request in [&bad, &good] {
        hide(&control, sim_of(request), Visibility::Held);
        let answer = create(&mut client, request).await.unwrap();
        assert_eq!(answer.state(), OrderState::Unknown);
    }
    let mut connection = file.connection().await;
    let spoil = "UPDATE orders SET act = 'unheard of' WHERE request_id = $1";
    sqlx::query(spoil)
        .bind(&bad.request_id)
        .execute(&mut connection)
        .await
        .unwrap();
    control.show_inventory("882470000000002").unwrap();
    until_state(&mut client, &good, OrderState::Placed).await;
    // Restored, it has its turn again.
    let restore = "UPDATE orders SET act = 'buy', next_check_at = 0 WHERE request_id = $1";
    sqlx::query(restore)
        .bind(&bad.request_id)
        .execute(&mut connection)
        .await
        .unwrap();
    control.show_inventory(FRESH).unwrap();
    until_state(&mut client, &bad, OrderState::Placed).await;
}

fn sim_of(request: &transatel_gateway_client::connectivity::v1::CreateOrderRequest) -> &str {
    use transatel_gateway_client::connectivity::v1::sim_ref::Id;
    match request.sim.as_ref().and_then(|sim| sim.id.as_ref()) {
        Some(Id::Msisdn(msisdn)) => msisdn,
        _ => unreachable!("orders of these tests name the number"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_order_is_answered_although_the_ledger_is_slow() {
    let Some(store) = crate::support::postgres::database().await else {
        return;
    };
    let slow = [("STORE__URL", store.as_str()), ("ORDERS__SETTLE_WINDOW", "60s")];
    let env = TestEnv::with(&[SOON.as_slice(), &slow].concat()).await;
    // The gateway alone keeps the time.
    let mut client = env.untimed_provisioning();
    hide(&env.control(), FRESH, Visibility::Never);
    let request = order(FRESH);
    let unknown = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    // Nobody can ask what events say.
    let mut connection = sqlx::PgConnection::connect(&store).await.unwrap();
    connection
        .execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut hasty = tonic::Request::new(request.clone());
    hasty.set_timeout(std::time::Duration::from_secs(2));
    let answer = client.create_order(hasty).await.unwrap().into_inner();
    assert_eq!(answer.order.unwrap().state(), OrderState::Unknown);
    connection.execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn what_was_not_placed_is_watched_for_as_long_as_it_was_set_to() {
    let sandbox = simulator().await;
    let file = File::new();
    let watched = [("ORDERS__ESCALATE_AFTER", "300ms")];
    let gateway = file.gateway(&sandbox.base_url(), &watched).await;
    let mut client = gateway.provisioning();
    sandbox
        .control()
        .queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    not_placed(&mut client).await;
    let mut connection = file.connection().await;
    let row = "SELECT watched_for, next_check_at FROM orders WHERE next_check_at IS NULL";
    let mut found = None;
    until("it is not watched any more", async || {
        found = sqlx::query(row).fetch_optional(&mut connection).await.unwrap();
        found.is_some()
    })
    .await;
    let watched_for: i64 = found.unwrap().get("watched_for");
    assert!(watched_for >= 300_000, "{watched_for} microseconds");
}
