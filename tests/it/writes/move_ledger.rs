//! From SQLite to PostgreSQL with the real command: callers notice nothing,
//! whatever state their orders are in.

mod kills;
mod refusals;

use std::path::{Path, PathBuf};

use tonic::transport::{Channel, Endpoint};
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, Sandbox, Script, Webhook};

use crate::events::streams::{Follower, after, from_the_beginning};
use crate::events::webhook::all;
use crate::operations::commands::run;
use crate::support::gateway::{
    Events, OPERATIONS, ORDERS, Provisioning, SECRET, Secret, by_msisdn, reason, settings, simulator, spawn,
    until,
};
use crate::support::postgres;
use crate::support::process::Process;
use crate::writes::orders::{create, get, order, reads_of};
use crate::writes::sim_operations::{Action, Change, IN_USE};

/// Takes a move from a file to a database; gives code, output and errors.
async fn move_ledger(from: &Path, to: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let from = url(from);
    let arguments = [&["move-ledger", "--from", &from, "--to", to], more].concat();
    run(&arguments, &[]).await
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// A gateway in a process of its own, its webhook known to the simulator.
struct Running {
    process: Process,
    orders: Provisioning,
    events: Events,
}

/// Gives up soon what cannot be found out.
const IMPATIENT: [(&str, &str); 2] = [
    ("ORDERS__ESCALATE_AFTER", "2s"),
    ("TRANSATEL__READ_ATTEMPTS", "1"),
];

fn environment(
    sandbox: &Sandbox,
    store: &str,
    secret: &Secret,
    more: &[(&str, &str)],
) -> Vec<(String, String)> {
    // The catalog is not loaded in the time of the first order. What a process that died
    // was sending is taken over once its lease has ended.
    let own = [
        ("STORE__URL", store),
        ("ORDERS__LEASE", "6s"),
        ("CATALOG__WARM_UP", "10s"),
    ];
    settings(
        &sandbox.base_url(),
        &[&secret.settings()[..], &OPERATIONS, &own, more].concat(),
    )
}

async fn start(sandbox: &Sandbox, store: &str, secret: &Secret, more: &[(&str, &str)]) -> Running {
    let mut process = Process::start(&["serve"], &environment(sandbox, store, secret, more));
    let line = process.logged("listening").await;
    let address = |name: &str| line.split(name).nth(1).unwrap().split(' ').next().unwrap();
    let webhook = format!("http://{}/webhooks/transatel", address("webhook="));
    let channel: Channel = Endpoint::from_shared(format!("http://{}", address("grpc=")))
        .unwrap()
        .connect_lazy();
    process.logged("ready").await;
    let webhook = Webhook::new(webhook, SECRET);
    sandbox.control().set_webhook(Some(webhook)).unwrap();
    Running {
        process,
        orders: Provisioning::new(channel.clone()),
        events: Events::new(channel),
    }
}

/// An order in each state, by its request.
struct Requests {
    placed: CreateOrderRequest,
    rejected: CreateOrderRequest,
    not_placed: CreateOrderRequest,
    needs_operator: CreateOrderRequest,
    submitting: CreateOrderRequest,
    unknown: CreateOrderRequest,
    operation: Change,
}

impl Requests {
    fn orders(&self) -> [&CreateOrderRequest; 6] {
        [
            &self.unknown,
            &self.submitting,
            &self.needs_operator,
            &self.not_placed,
            &self.rejected,
            &self.placed,
        ]
    }

    /// Those whose answer does not change by itself.
    fn settled(&self) -> [&CreateOrderRequest; 4] {
        [
            &self.needs_operator,
            &self.not_placed,
            &self.rejected,
            &self.placed,
        ]
    }
}

async fn until_state(orders: &Provisioning, request: &CreateOrderRequest, state: OrderState) {
    let mut orders = orders.clone();
    until(state.as_str_name(), async || {
        get(&mut orders, request)
            .await
            .is_ok_and(|order| order.state() == state)
    })
    .await;
}

/// Has a gateway bring an order into each state. What stays on its way is left
/// to one that waits longer than the other.
async fn request_one_of_each(sandbox: &Sandbox, store: &str, secret: &Secret) -> (Running, Requests) {
    let control = &sandbox.control();
    let mut gateway = start(sandbox, store, secret, &IMPATIENT).await;
    let on_post = |step: transatel_simulator::Step| control.queue(Script::on("POST", ORDERS).then(step));
    let sims = control.find_sims(Criteria::FRESH, 6);
    let mut sims = sims.iter().map(|sim| order(&sim.msisdn));
    let mut request = || sims.next().unwrap();
    let mut orders = gateway.orders.clone();
    control.configure(|settings| settings.operations.delay = std::time::Duration::ZERO);
    let operation = Change::new(IN_USE, Action::Suspend);
    operation.send(&mut orders).await.unwrap();
    operation.until(&mut orders, SimOperationState::Succeeded).await;

    let placed = request();
    let order = create(&mut orders, &placed).await.unwrap();
    control.attach(&order.sim.unwrap().msisdn, "FR").unwrap();
    let rejected = request();
    on_post(Fault::problem(400, "INSUFFICIENT_FUNDS").step());
    create(&mut orders, &rejected).await.unwrap_err();
    let not_placed = request();
    on_post(Fault::Reset.step());
    create(&mut orders, &not_placed).await.unwrap();
    until_state(&orders, &not_placed, OrderState::NotPlaced).await;
    let needs_operator = request();
    on_post(Fault::Reset.step());
    let not_found = Fault::problem(404, "NOT_FOUND").step().forever();
    control.queue(reads_of(&needs_operator).then(Fault::Pass).then(not_found));
    create(&mut orders, &needs_operator).await.unwrap();
    until_state(&orders, &needs_operator, OrderState::NeedsOperator).await;
    control.clear_faults();

    until("the events came", async || {
        all(&mut gateway.events).await.len() > 3
    })
    .await;
    gateway.process.signal("TERM").await;
    assert_eq!(gateway.process.ended().await, Some(0));

    let gateway = start(sandbox, store, secret, &[]).await;
    let mut orders = gateway.orders.clone();
    // Further events would say what becomes of these.
    control.set_webhook(None).unwrap();
    let submitting = request();
    on_post(Fault::hold("post").after_commit());
    let (mut caller, sent) = (orders.clone(), submitting.clone());
    let call = spawn(async move { create(&mut caller, &sent).await });
    control.until_held("post", 1).await;
    let unknown = request();
    on_post(Fault::Reset.after_commit());
    let hold = Fault::hold("look").step().forever();
    control.queue(reads_of(&unknown).then(Fault::Pass).then(hold));
    assert_eq!(
        create(&mut orders, &unknown).await.unwrap().state(),
        OrderState::Unknown
    );
    let states = [
        (&submitting, OrderState::Submitting),
        (&unknown, OrderState::Unknown),
    ];
    for (request, state) in states {
        assert_eq!(get(&mut orders, request).await.unwrap().state(), state);
    }
    call.abort();
    let requests = Requests {
        placed,
        rejected,
        not_placed,
        needs_operator,
        submitting,
        unknown,
        operation,
    };
    (gateway, requests)
}

async fn page(orders: &mut Provisioning, page_token: &str) -> ListOrdersResponse {
    let request = ListOrdersRequest {
        page_size: 2,
        page_token: page_token.into(),
        ..Default::default()
    };
    orders.list_orders(request).await.unwrap().into_inner()
}

async fn by_order_id(orders: &mut Provisioning, order_id: &str) -> Order {
    let key = get_order_request::Key::OrderId(order_id.into());
    let answer = orders
        .get_order(GetOrderRequest {
            key: Some(key),
            wait: None,
        })
        .await;
    answer.unwrap().into_inner().order.unwrap()
}

fn everything(request: StreamEventsRequest) -> StreamEventsRequest {
    let filter = EventFilter {
        include_infrastructure: true,
        ..Default::default()
    };
    StreamEventsRequest {
        filter: Some(filter),
        ..request
    }
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_notice_nothing_of_a_move() {
    let Some(to) = postgres::database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let (sandbox, secret) = (simulator().await, Secret::new(SECRET));
    let control = sandbox.control();
    let (mut old, requests) = request_one_of_each(&sandbox, &url(&file), &secret).await;

    // What callers know, and the places that they keep.
    let mut known = Vec::new();
    for request in requests.settled() {
        known.push(get(&mut old.orders, request).await.unwrap());
    }
    let operation = requests.operation.get(&mut old.orders).await.unwrap();
    let refusal = create(&mut old.orders, &requests.rejected).await.unwrap_err();
    let first = page(&mut old.orders, "").await;
    let listed = all(&mut old.events).await;
    let mut follower = Follower::start(&mut old.events, everything(from_the_beginning())).await;
    for event in &listed[..3] {
        assert_eq!(follower.event().await.event_id, event.event_id);
    }
    let harness = follower.token;
    old.process.signal("KILL").await;
    old.process.ended().await;
    control.release("post");
    control.release("look");
    control.clear_faults();
    let sent = control.received("POST", ORDERS);

    // By a file, since the address may hold a password.
    let address = folder.path().join("address");
    std::fs::write(&address, format!("{to}\n")).unwrap();
    let from = url(&file);
    let arguments = ["move-ledger", "--to-file", address.to_str().unwrap()];
    let (code, out, err) = run(&arguments, &environment(&sandbox, &from, &secret, &[])).await;
    assert_eq!(code, Some(0), "{out}{err}");
    let numbers: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for state in [
        "submitting",
        "placed",
        "rejected",
        "unknown",
        "not_placed",
        "needs_operator",
    ] {
        assert!(
            numbers.contains(&vec!["orders", state, "1", "1"]),
            "{state}: {out}"
        );
    }
    assert!(numbers.contains(&vec!["SIM", "operations", "1", "1"]), "{out}");
    let events = numbers
        .iter()
        .find(|line| line.first() == Some(&"events"))
        .unwrap();
    assert_eq!(events[1], events[2], "{out}");
    assert!(events[1].parse::<usize>().unwrap() >= listed.len(), "{out}");

    // Nobody orders from the old one any more.
    let (code, _, err) = run(&["serve"], &environment(&sandbox, &from, &secret, &[])).await;
    assert_eq!(code, Some(1));
    assert!(
        err.contains("was moved to postgres://postgres@localhost/"),
        "{err}"
    );

    let mut new = start(&sandbox, &to, &secret, &[]).await;
    for (request, known) in requests.settled().into_iter().zip(&known) {
        assert_eq!(get(&mut new.orders, request).await.unwrap(), *known);
        assert_eq!(by_order_id(&mut new.orders, &known.order_id).await, *known);
    }
    assert_eq!(requests.operation.get(&mut new.orders).await.unwrap(), operation);
    assert_eq!(requests.operation.send(&mut new.orders).await.unwrap(), operation);

    // The page after the one from before the move.
    let mut request_ids: Vec<String> = first
        .orders
        .iter()
        .map(|order| order.request_id.clone())
        .collect();
    let mut page_token = first.next_page_token;
    while !page_token.is_empty() {
        let next = page(&mut new.orders, &page_token).await;
        request_ids.extend(next.orders.into_iter().map(|order| order.request_id));
        page_token = next.next_page_token;
    }
    assert_eq!(
        request_ids,
        requests.orders().map(|request| request.request_id.clone())
    );

    // What a process left behind is found out, and nothing is sent again.
    for request in [&requests.unknown, &requests.submitting] {
        until_state(&new.orders, request, OrderState::Placed).await;
        let sim = get(&mut new.orders, request).await.unwrap().sim.unwrap();
        assert_eq!(control.sim(&sim.msisdn).unwrap().bought().count(), 1);
    }
    for request in [
        &requests.placed,
        &requests.needs_operator,
        &requests.unknown,
        &requests.submitting,
    ] {
        let again = create(&mut new.orders, request).await.unwrap();
        assert_eq!(again, get(&mut new.orders, request).await.unwrap());
    }
    let again = create(&mut new.orders, &requests.rejected).await.unwrap_err();
    assert_eq!(reason(&again).metadata, reason(&refusal).metadata);
    assert_eq!(control.received("POST", ORDERS), sent);

    // The log goes on where the harness is, without gap or repeat.
    let mut follower = Follower::start(&mut new.events, everything(after(&harness))).await;
    let request = CreateOrderRequest {
        sim: by_msisdn(&control.find_sims(Criteria::FRESH, 1)[0].msisdn),
        ..order("")
    };
    let placed = create(&mut new.orders, &request).await.unwrap();
    let mut followed = listed[..3].to_vec();
    loop {
        let event = follower.event().await;
        let last = event.order_id == placed.order_id;
        followed.push(event);
        if last {
            break;
        }
    }
    assert_eq!(ids(&followed)[..listed.len()], ids(&listed), "as they were");
    let now = all(&mut new.events).await;
    assert_eq!(ids(&now)[..followed.len()], ids(&followed));

    // This one was found not to have been bought, and may be sent again.
    assert_eq!(
        create(&mut new.orders, &requests.not_placed)
            .await
            .unwrap()
            .state(),
        OrderState::Placed
    );
    assert_eq!(control.received("POST", ORDERS), sent + 2);
}

/// A harness for a ledger that is to be moved.
struct Harness {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Harness {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.db");
        Self {
            _folder: folder,
            file,
        }
    }
}
