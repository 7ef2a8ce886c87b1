//! A gateway that is killed (`kill -9`) at every step of a sale from the stock,
//! and the process that comes after it: the request gets one SIM, and no SIM is
//! lost or another request's too.

use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, Sandbox, Script, Step as FaultStep};
use uuid::Uuid;

use crate::support::gateway::{FRANCE, ORDERS, SUBSCRIPTIONS, simulator};
use crate::writes::orders::get;
use crate::writes::orders_crash::{Death, Running, on_both_ledgers, spawn_order, start};

/// How the provider answers the order before that.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Ordinary,
    /// Refused because of the SIM.
    Refused,
    /// Carried out, answer lost.
    CarriedOut,
    /// Not carried out, answer lost.
    Dropped,
}

fn scenarios() -> Vec<(Death, Answer)> {
    let mut all = Vec::new();
    for step in Step::ALL {
        let answers: &[Answer] = match step {
            // No second way is tried for a SIM of the stock.
            Step::BetweenActivations => &[],
            Step::BeforeCheck | Step::Checked => &[Answer::CarriedOut, Answer::Dropped],
            Step::Answered | Step::Settled => &[
                Answer::Ordinary,
                Answer::Refused,
                Answer::CarriedOut,
                Answer::Dropped,
            ],
            _ => &[Answer::Ordinary],
        };
        all.extend(answers.iter().map(|answer| (Death::At(step), *answer)));
    }
    for wait in [
        // The look at the SIM.
        Death::Waiting("GET", SUBSCRIPTIONS),
        Death::Waiting("POST", ORDERS),
        Death::WaitingAfterCommit("POST", ORDERS),
    ] {
        all.push((wait, Answer::Ordinary));
    }
    all
}

fn inventory(running: &Running) -> InventoryClient<tonic::transport::Channel> {
    InventoryClient::new(running.channel.clone())
}

async fn count(running: &Running) -> PoolStock {
    let answer = inventory(running).get_stock(GetStockRequest::default()).await;
    let [pool] = answer.unwrap().into_inner().pools.try_into().unwrap();
    pool
}

/// Sells one SIM across a death; `sold` were sold before.
async fn survives(store: &str, sandbox: &Sandbox, death: Death, answer: Answer, sold: i64) {
    let what = format!("{death:?}, {answer:?}");
    let control = sandbox.control();
    let on_post = |step: FaultStep| control.queue(Script::on("POST", ORDERS).then(step));
    match answer {
        Answer::Ordinary => {}
        Answer::Refused => on_post(Fault::problem(409, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step()),
        Answer::CarriedOut => on_post(Fault::Reset.after_commit()),
        Answer::Dropped => on_post(Fault::Reset.step()),
    }
    let accepted = control.orders_accepted();
    let stop_at = death.prepare(&control);
    let mut first = start(sandbox, store, stop_at, &[]).await;
    let request = CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        product_id: FRANCE.into(),
        pool: "shop".into(),
        ..Default::default()
    };
    let call = spawn_order(&first.client, &request);
    death.strike(&mut first.process, &control).await;
    let _ = call.await;
    control.release("wait");
    control.clear_faults();

    let mut next = start(sandbox, store, None, &[]).await;
    next.until_placed(&request, &what).await;
    assert_eq!(control.orders_accepted(), accepted + 1, "{what}: bought once");
    let order = get(&mut next.client, &request).await.unwrap();
    let sim = control.sim(&order.sim.unwrap().iccid).unwrap();
    assert_eq!(sim.bought().count(), 1, "{what}: on the SIM that it names");
    let stock = count(&next).await;
    let counts = (stock.sold, stock.reserved);
    assert_eq!(counts, (sold + 1, 0), "{what}: {stock:?}");
    assert_eq!(
        stock.available + stock.reserved + stock.sold + stock.set_aside,
        stock.delivered,
        "{what}"
    );
    next.kill().await;
}

/// Every moment, one sale after the other from one pool.
async fn survive_all(store: &str) {
    let sandbox = simulator().await;
    let fresh = sandbox.control().find_sims(Criteria::FRESH, usize::MAX);
    let sims = fresh.into_iter().filter(|sim| sim.eid.is_none());
    let sims: Vec<DeliveredSim> = sims
        .map(|sim| DeliveredSim {
            iccid: sim.iccid,
            msisdn: String::new(),
        })
        .collect();
    let delivered = sims.len();
    let running = start(&sandbox, store, None, &[]).await;
    let import = ImportStockRequest {
        pool: "shop".into(),
        sims,
        validate_only: false,
    };
    inventory(&running).import_stock(import).await.unwrap();
    running.kill().await;
    let scenarios = scenarios();
    assert!(delivered > scenarios.len() + 5, "{delivered}");
    for (sold, (death, answer)) in scenarios.into_iter().enumerate() {
        survives(store, &sandbox, death, answer, sold as i64).await;
    }
}

on_both_ledgers!(survive_all);
