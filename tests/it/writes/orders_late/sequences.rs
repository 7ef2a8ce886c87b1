//! Random sequences of orders that compete for one SIM and product: what is
//! visible by then is never bought again, and belongs to the order that bought it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::OrderState;
use transatel_simulator::{Control, EventOrder, Fault, Script, Showing};

use super::{FRESH, SOON};
use crate::support::gateway::{self, ORDERS, TestEnv};
use crate::writes::orders::{create, get, order};

/// `SEQUENCES_CASES` sets how many, `SEQUENCES_SEED` runs one alone.
const CASES: u64 = 60;
const AT_ONCE: usize = 10;

/// What is said of an order has settled within this time.
const SETTLED: Duration = Duration::from_millis(900);

/// An order, and what is known of it outside of the gateway.
struct Order {
    request: api::CreateOrderRequest,
    ids: Vec<String>,
    /// Whether something of it was carried out when all was shown last.
    was_shown: bool,
}

impl Order {
    async fn refresh(&mut self, env: &TestEnv) -> Option<OrderState> {
        let known = get(&mut env.provisioning(), &self.request).await.ok()?;
        if !self.ids.contains(&known.order_id) {
            self.ids.push(known.order_id.clone());
        }
        Some(known.state())
    }

    fn bought(&self, control: &Control) -> Vec<String> {
        let of = |id: &String| control.subscriptions_by_reference(id);
        let bought = self.ids.iter().flat_map(of);
        bought.map(|one| one.subscription_id.to_string()).collect()
    }
}

async fn case(seed: u64) -> BTreeMap<&'static str, u64> {
    let rng = &mut fastrand::Rng::with_seed(seed);
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut note = |what| *seen.entry(what).or_default() += 1;
    let with_events = rng.bool();
    let env = match with_events {
        true => TestEnv::with_events(&SOON).await,
        false => TestEnv::with(&SOON).await,
    };
    let control = env.control();
    let names = rng.bool();
    control.configure(|settings| settings.answers_name_subscription = names);
    control.hold_events();
    let mut history = Vec::new();
    let competing = match rng.bool() {
        true => 1,
        false => rng.usize(2..4),
    };
    let mut orders: Vec<Order> = (0..competing)
        .map(|_| Order {
            request: order(FRESH),
            ids: Vec::new(),
            was_shown: false,
        })
        .collect();
    for _ in 0..rng.usize(6..14) {
        match rng.u8(0..7) {
            0..=3 => {
                let number = rng.usize(0..orders.len());
                let (fault, name) = match rng.u8(0..8) {
                    0 => (Fault::Pass.step(), "answered"),
                    1 | 2 => (Fault::Reset.after_commit(), "answer lost"),
                    3 | 4 => (Fault::Reset.step(), "not carried out"),
                    5 | 6 => (Fault::problem(402, "INSUFFICIENT_FUND").step(), "refused"),
                    _ => (Fault::RateLimited { retry_after: None }.step(), "turned away"),
                };
                control.clear_faults();
                control.queue(Script::on("POST", ORDERS).then(fault));
                control.show_next_order(FRESH, Showing::held()).unwrap();
                let order = &mut orders[number];
                let before = order.bought(&control).len();
                let answer = create(&mut env.provisioning(), &order.request).await;
                let said = answer.as_ref().map_or_else(
                    |status| status.message().to_owned(),
                    |one| format!("{:?}", one.state()),
                );
                order.refresh(&env).await;
                let bought = order.bought(&control).len();
                history.push(format!("create {number} ({name}): {said}, bought {bought}"));
                if bought > before && before > 0 {
                    note("bought again, nothing had shown");
                }
                assert!(
                    bought == before || !order.was_shown,
                    "{seed}: bought again: {history:#?}"
                );
            }
            4 => {
                let started = Instant::now();
                let number = rng.usize(0..orders.len());
                let mut state = None;
                while started.elapsed() < Duration::from_millis(700) {
                    state = orders[number].refresh(&env).await;
                    if !matches!(state, Some(OrderState::Submitting | OrderState::Unknown)) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                history.push(format!("wait for {number}: {state:?}"));
            }
            5 => {
                control.show_inventory(FRESH).unwrap();
                history.push("inventory".into());
                orders
                    .iter_mut()
                    .for_each(|order| order.was_shown |= !order.bought(&control).is_empty());
            }
            _ if with_events => {
                control.release_events(EventOrder::AsHappened);
                control.until_events_sent().await;
                control.hold_events();
                history.push("events".into());
                orders
                    .iter_mut()
                    .for_each(|order| order.was_shown |= !order.bought(&control).is_empty());
            }
            _ => {}
        }
    }
    control.clear_faults();
    control.show_inventory(FRESH).unwrap();
    control.release_events(EventOrder::AsHappened);
    if with_events {
        control.until_events_sent().await;
    }
    let is_alone = orders.len() == 1;
    let shown = Instant::now();
    for (number, order) in orders.iter_mut().enumerate() {
        // Where nobody competes, what shows is found, however busy the machine is.
        let most = match is_alone && !order.bought(&control).is_empty() {
            true => gateway::SOON,
            false => SETTLED,
        };
        while shown.elapsed() < most {
            let state = order.refresh(&env).await;
            if state.is_none_or(|state| matches!(state, OrderState::Placed | OrderState::NeedsOperator)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let bought = order.bought(&control);
        let Ok(order) = get(&mut env.provisioning(), &order.request).await else {
            assert!(bought.is_empty(), "{seed}: {number} is forgotten: {history:#?}");
            note("nothing");
            continue;
        };
        history.push(format!(
            "at last {number}: {:?} {:?} bought {bought:?}",
            order.state(),
            order.subscription_id
        ));
        match order.state() {
            OrderState::Placed => {
                note("placed");
                assert!(
                    !bought.is_empty(),
                    "{seed}: {number} was not bought: {history:#?}"
                );
                let own = order.subscription_id.is_empty() || bought.contains(&order.subscription_id);
                assert!(own, "{seed}: {number} has another's subscription: {history:#?}");
                if order.subscription_id.is_empty() {
                    note("placed without a name");
                }
            }
            OrderState::NeedsOperator => note("needs an operator"),
            // A lone one that was bought is none of these.
            state if bought.is_empty() || !is_alone => note(match (state, bought.is_empty()) {
                (OrderState::NotPlaced, true) => "not placed",
                (OrderState::Rejected, true) => "refused",
                (_, true) => "open",
                (_, false) => "bought, and competing for what shows",
            }),
            other => panic!("{seed}: {other:?}: {history:#?}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_visible_is_never_bought_again_however_many_orders_compete() {
    let seed = std::env::var("SEQUENCES_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let cases = match seed {
        Some(seed) => seed..seed + 1,
        None => {
            0..std::env::var("SEQUENCES_CASES")
                .ok()
                .and_then(|n| n.parse().ok())
                .unwrap_or(CASES)
        }
    };
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    let mut running = futures_util::stream::iter(cases)
        .map(case)
        .buffer_unordered(AT_ONCE);
    while let Some(seen) = running.next().await {
        for (what, count) in seen {
            *all.entry(what).or_default() += count;
        }
    }
    println!("{all:#?}");
}
