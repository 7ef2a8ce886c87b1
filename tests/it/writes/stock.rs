//! The stock, over gRPC: a SIM is sold once, and none is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use tonic::Code;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, ProfileStatus, Sandbox, Script, SimStatus};
use uuid::Uuid;

use crate::support::gateway::{
    FRANCE, Gateway, ORDERS, Provisioning, SUBSCRIPTIONS, TestEnv, by_iccid, reason, simulator, spawn, until,
    violations,
};
use crate::support::postgres;
use crate::writes::orders::{create, get, until_state};

pub const POOL: &str = "shop";

type Inventory = InventoryClient<tonic::transport::Channel>;

/// A provider, a gateway, and a pool of so many SIMs.
async fn stocked(sims: usize) -> (TestEnv, Vec<String>) {
    let env = TestEnv::with(&[
        ("ORDERS__RECONCILE_AFTER", "20ms"),
        ("ORDERS__RECONCILE_AT_MOST", "50ms"),
        ("ORDERS__SETTLE_WINDOW", "300ms"),
    ])
    .await;
    let cards = deliver(&env.sandbox, &mut env.inventory(), sims).await;
    (env, cards)
}

/// Adds fresh SIMs to the pool, and gives their cards in that order.
pub async fn deliver(sandbox: &Sandbox, inventory: &mut Inventory, sims: usize) -> Vec<String> {
    // An eSIM that is reserved for a device is not for sale.
    let fresh = sandbox.control().find_sims(Criteria::FRESH, usize::MAX);
    let free = fresh.into_iter().filter(|sim| sim.eid.is_none());
    let cards: Vec<String> = free.map(|sim| sim.iccid).take(sims).collect();
    let sims = cards.len();
    let answer = inventory.import_stock(import(&cards)).await.unwrap().into_inner();
    assert_eq!((answer.added, answer.known), (sims as i64, 0));
    cards
}

fn import(cards: &[String]) -> ImportStockRequest {
    let sim = |iccid: &String| DeliveredSim {
        iccid: iccid.clone(),
        msisdn: String::new(),
    };
    ImportStockRequest {
        pool: POOL.into(),
        sims: cards.iter().map(sim).collect(),
        validate_only: false,
    }
}

pub fn sale() -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        product_id: FRANCE.into(),
        pool: POOL.into(),
        ..Default::default()
    }
}

fn reserve(ttl: Option<Duration>) -> ReserveSimRequest {
    ReserveSimRequest {
        request_id: Uuid::new_v4().to_string(),
        pool: POOL.into(),
        ttl: ttl.map(|ttl| ttl.try_into().unwrap()),
        ..Default::default()
    }
}

/// Available, reserved, sold, set aside.
async fn count(inventory: &mut Inventory) -> [i64; 4] {
    let answer = inventory.get_stock(GetStockRequest::default()).await.unwrap();
    let [pool] = answer.into_inner().pools.try_into().unwrap();
    let counts = [pool.available, pool.reserved, pool.sold, pool.set_aside];
    assert_eq!(pool.delivered, counts.iter().sum::<i64>());
    counts
}

fn card(order: &Order) -> &str {
    &order.sim.as_ref().unwrap().iccid
}

async fn reserved(orders: &mut Provisioning, request: &ReserveSimRequest) -> SimReservation {
    let answer = orders.reserve_sim(request.clone()).await.unwrap();
    answer.into_inner().reservation.unwrap()
}

#[tokio::test]
async fn a_shop_sells_a_sim_and_installs_it_in_two_calls() {
    let (env, cards) = stocked(3).await;
    let request = CreateOrderRequest {
        reference: "basket 7".into(),
        ..sale()
    };
    let order = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(order.state(), OrderState::Placed);
    assert_eq!((card(&order), order.pool.as_str()), (cards[0].as_str(), POOL));
    assert_eq!(order.activation_used(), ActivationMode::OnFirstUse);
    assert_eq!(count(&mut env.inventory()).await, [2, 0, 1, 0]);
    let code = esim_client::EsimClient::new(env.gateway.channel())
        .get_installation(GetInstallationRequest {
            sim: by_iccid(card(&order)),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert!(code.activation_code.starts_with("1$") || code.activation_code.starts_with("LPA:"));

    // A repeat is the same sale.
    let again = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(again, order);
    assert_eq!(get(&mut env.provisioning(), &request).await.unwrap(), order);
    let other = CreateOrderRequest {
        product_id: "WW_901O_STACK_ONEOFF_EUROPE_1GB_7D".into(),
        ..request.clone()
    };
    let refused = create(&mut env.provisioning(), &other).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    assert_eq!(env.control().orders_accepted(), 1);
    assert_eq!(count(&mut env.inventory()).await, [2, 0, 1, 0]);
}

#[tokio::test]
async fn sims_that_cannot_be_sold_are_set_aside_and_the_next_is_taken() {
    let (env, cards) = stocked(6).await;
    let control = env.control();
    control.set_sim_status(&cards[0], SimStatus::Active).unwrap();
    control
        .set_esim_status(&cards[1], ProfileStatus::Enabled)
        .unwrap();
    control
        .set_esim_status(&cards[2], ProfileStatus::Allocated)
        .unwrap();
    control.grant(&cards[3], FRANCE).unwrap();
    let order = create(&mut env.provisioning(), &sale()).await.unwrap();
    assert_eq!(card(&order), cards[4]);
    let mut inventory = env.inventory();
    assert_eq!(count(&mut inventory).await, [1, 0, 1, 4]);
    let list = ListStockRequest {
        state: StockState::SetAside.into(),
        ..Default::default()
    };
    let list = inventory.list_stock(list).await.unwrap().into_inner();
    let reasons: BTreeSet<(String, SetAsideReason)> = list
        .sims
        .into_iter()
        .map(|sim| (sim.sim.clone().unwrap().iccid, sim.set_aside_reason()))
        .collect();
    let expected = [
        (cards[0].clone(), SetAsideReason::NotPreactivated),
        (cards[1].clone(), SetAsideReason::OnDevice),
        (cards[2].clone(), SetAsideReason::NotInstallable),
        (cards[3].clone(), SetAsideReason::HasSubscription),
    ];
    assert_eq!(reasons, expected.into());
}

#[tokio::test]
async fn a_refusal_because_of_the_sim_takes_the_next_one() {
    let (env, cards) = stocked(3).await;
    let refusal = || Fault::problem(409, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step();
    env.control().queue(Script::on("POST", ORDERS).then(refusal()));
    let request = sale();
    let order = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(
        (card(&order), order.state()),
        (cards[1].as_str(), OrderState::Placed)
    );
    assert_eq!(get(&mut env.provisioning(), &request).await.unwrap(), order);
    assert_eq!(count(&mut env.inventory()).await, [1, 0, 1, 1]);
    // The refusal is known too, as an order of its own.
    let list = ListOrdersRequest {
        states: vec![OrderState::Rejected.into()],
        ..Default::default()
    };
    let list = env.provisioning().list_orders(list).await.unwrap().into_inner();
    assert_eq!(list.orders.len(), 1);
    assert_eq!(card(&list.orders[0]), cards[0]);
    assert_ne!(list.orders[0].request_id, request.request_id);
}

#[tokio::test]
async fn a_refusal_of_every_sim_ends_and_loses_none() {
    let (env, _) = stocked(5).await;
    let refusal = Fault::problem(409, "SUBSCRIBER_STATUS_NOT_ELIGIBLE")
        .step()
        .forever();
    env.control().queue(Script::on("POST", ORDERS).then(refusal));
    let request = sale();
    let refused = create(&mut env.provisioning(), &request).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "SIM_STATUS_NOT_ELIGIBLE");
    assert_eq!(count(&mut env.inventory()).await, [2, 0, 0, 3]);
    // Final for this request, as every refusal: who orders anew buys once.
    env.control().clear_faults();
    let again = create(&mut env.provisioning(), &request).await.unwrap_err();
    assert_eq!(reason(&again).metadata, reason(&refused).metadata);
    let order = create(&mut env.provisioning(), &sale()).await.unwrap();
    assert_eq!(order.state(), OrderState::Placed);
    assert_eq!(count(&mut env.inventory()).await, [1, 0, 1, 3]);
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_final_and_gives_the_sim_back() {
    let (env, _) = stocked(2).await;
    let refusal = Fault::problem(400, "INSUFFICIENT_FUNDS").step();
    env.control().queue(Script::on("POST", ORDERS).then(refusal));
    let request = sale();
    for _ in 0..2 {
        let refused = create(&mut env.provisioning(), &request).await.unwrap_err();
        assert_eq!(reason(&refused).reason, "INSUFFICIENT_FUNDS");
        assert_eq!(count(&mut env.inventory()).await, [2, 0, 0, 0]);
    }
    assert_eq!(env.control().received("POST", ORDERS), 1);
}

#[tokio::test]
async fn a_sim_stays_with_an_order_whose_outcome_is_not_known() {
    let (env, cards) = stocked(2).await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    let hold = Fault::hold("look").step().forever();
    // The look and the baseline.
    control.queue(
        Script::on("GET", SUBSCRIPTIONS)
            .then(Fault::Pass)
            .then(Fault::Pass)
            .then(hold),
    );
    let request = sale();
    let order = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(
        (card(&order), order.state()),
        (cards[0].as_str(), OrderState::Unknown)
    );
    assert_eq!(count(&mut env.inventory()).await, [1, 0, 1, 0]);
    control.clear_faults();
    control.release("look");
    until_state(&mut env.provisioning(), &request, OrderState::Placed).await;
    // Nobody gets it by mistake.
    let order = create(&mut env.provisioning(), &sale()).await.unwrap();
    assert_eq!(card(&order), cards[1]);
    let empty = create(&mut env.provisioning(), &sale()).await.unwrap_err();
    let empty = reason(&empty);
    assert_eq!(
        (empty.code, empty.reason.as_str()),
        (Code::FailedPrecondition, "POOL_EMPTY")
    );
    assert_eq!(empty.metadata["known_state"], "NONE");
}

#[tokio::test]
async fn a_reserved_sim_is_sold_released_or_given_back_in_time() {
    let (env, cards) = stocked(2).await;
    let (mut orders, mut inventory) = (env.provisioning(), env.inventory());
    let first = reserve(None);
    let held = reserved(&mut orders, &first).await;
    assert_eq!(held.state(), SimReservationState::Held);
    assert_eq!(held.sim.as_ref().unwrap().iccid, cards[0]);
    assert!(!held.sim.as_ref().unwrap().msisdn.is_empty());
    // A repeat asks nobody.
    env.control()
        .queue(Script::on("GET", SUBSCRIPTIONS).then(Fault::problem(503, "DOWN").step().forever()));
    assert_eq!(reserved(&mut orders, &first).await, held);
    env.control().clear_faults();
    assert_eq!(count(&mut inventory).await, [1, 1, 0, 0]);

    // Nobody else buys for it meanwhile.
    let stranger = CreateOrderRequest {
        pool: String::new(),
        sim: by_iccid(&cards[0]),
        ..sale()
    };
    let refused = create(&mut orders, &stranger).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "SIM_RESERVED");

    // Sold, under a request of its own.
    let purchase = CreateOrderRequest {
        pool: String::new(),
        reservation_id: first.request_id.clone(),
        ..sale()
    };
    let order = create(&mut orders, &purchase).await.unwrap();
    assert_eq!(
        (card(&order), order.state()),
        (cards[0].as_str(), OrderState::Placed)
    );
    assert_eq!(order.reservation_id, first.request_id);
    assert_eq!(create(&mut orders, &purchase).await.unwrap(), order);
    let sold = reserved(&mut orders, &first).await;
    assert_eq!(
        (sold.state(), &sold.order_id),
        (SimReservationState::Sold, &order.order_id)
    );
    let release = ReleaseSimRequest {
        reservation_id: first.request_id.clone(),
    };
    let kept = orders.release_sim(release).await.unwrap().into_inner();
    assert_eq!(kept.reservation.unwrap().state(), SimReservationState::Sold);
    let twice = CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        ..purchase
    };
    let refused = create(&mut orders, &twice).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "RESERVATION_OVER");

    // Released: the next request gets it.
    let second = reserve(None);
    reserved(&mut orders, &second).await;
    assert_eq!(count(&mut inventory).await, [0, 1, 1, 0]);
    let release = ReleaseSimRequest {
        reservation_id: second.request_id.clone(),
    };
    let released = orders.release_sim(release).await.unwrap().into_inner();
    assert_eq!(
        released.reservation.unwrap().state(),
        SimReservationState::Released
    );
    assert_eq!(
        reserved(&mut orders, &second).await.state(),
        SimReservationState::Released
    );

    // Over by itself.
    let third = reserve(Some(Duration::from_secs(5)));
    assert_eq!(
        reserved(&mut orders, &third).await.state(),
        SimReservationState::Held
    );
    let (mut asking, third) = (orders.clone(), &third);
    until("its time is over", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        reserved(&mut asking, third).await.state() == SimReservationState::Expired
    })
    .await;
    assert_eq!(count(&mut inventory).await, [1, 0, 1, 0]);
    let refused = create(
        &mut orders,
        &CreateOrderRequest {
            pool: String::new(),
            reservation_id: third.request_id.clone(),
            ..sale()
        },
    )
    .await
    .unwrap_err();
    assert_eq!(reason(&refused).reason, "RESERVATION_OVER");
    let unknown = ReleaseSimRequest {
        reservation_id: Uuid::new_v4().to_string(),
    };
    let unknown = orders.release_sim(unknown).await.unwrap_err();
    assert_eq!(reason(&unknown).reason, "RESERVATION_NOT_FOUND");
}

#[tokio::test]
async fn operators_import_move_and_withdraw() {
    let (env, cards) = stocked(3).await;
    let mut inventory = env.inventory();
    // What is known stays as it is.
    let again = inventory.import_stock(import(&cards)).await.unwrap().into_inner();
    assert_eq!((again.added, again.known), (0, 3));
    let move_stock = MoveStockRequest {
        iccids: vec![cards[0].clone(), "8988247009999999999".into()],
        pool: "other".into(),
    };
    for _ in 0..2 {
        let moved = inventory
            .move_stock(move_stock.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!((moved.moved, moved.not_moved.len()), (1, 1));
    }
    let withdraw = WithdrawSimRequest {
        iccid: cards[1].clone(),
    };
    for _ in 0..2 {
        let sim = inventory
            .withdraw_sim(withdraw.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(sim.sim.unwrap().set_aside_reason(), SetAsideReason::Withdrawn);
    }
    let order = create(&mut env.provisioning(), &sale()).await.unwrap();
    assert_eq!(card(&order), cards[2]);
    let sold = WithdrawSimRequest {
        iccid: cards[2].clone(),
    };
    let refused = inventory.withdraw_sim(sold).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "SIM_RESERVED");
    let unknown = CreateOrderRequest {
        pool: "none".into(),
        ..sale()
    };
    let refused = create(&mut env.provisioning(), &unknown).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "POOL_NOT_FOUND");
    let both = CreateOrderRequest {
        sim: by_iccid(&cards[0]),
        ..sale()
    };
    let refused = create(&mut env.provisioning(), &both).await.unwrap_err();
    assert_eq!(violations(&refused), ["sim"]);
}

#[tokio::test]
async fn a_list_of_the_stock_goes_on_where_it_ended() {
    let (env, mut cards) = stocked(5).await;
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = ListStockRequest {
            pool: POOL.into(),
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = env.inventory().list_stock(page).await.unwrap().into_inner();
        listed.extend(page.sims.into_iter().map(|sim| sim.sim.unwrap().iccid));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    cards.sort();
    assert_eq!(listed, cards);
}

/// Many shops at once, on two gateways, while answers get lost and SIMs are
/// refused: each sale has a SIM of its own, and none is lost.
async fn many_sales(urls: [&str; 2]) {
    const SALES: usize = 60;
    let sandbox = simulator().await;
    let mut gateways = Vec::new();
    for url in urls {
        let settings = [
            ("STORE__URL", url),
            ("STORE__OPERATION_TIMEOUT", "30s"),
            ("ORDERS__RECONCILE_AFTER", "20ms"),
            ("ORDERS__RECONCILE_AT_MOST", "50ms"),
            ("ORDERS__SETTLE_WINDOW", "300ms"),
        ];
        gateways.push(Gateway::start(&sandbox.base_url(), &settings).await);
    }
    let mut inventory = InventoryClient::new(gateways[0].channel());
    let control = sandbox.control();
    let cards = deliver(&sandbox, &mut inventory, usize::MAX).await;
    let stock = cards.len();
    let mut script = Script::on("POST", ORDERS);
    for turn in 0..SALES {
        script = match turn % 6 {
            1 => script.then(Fault::Reset.after_commit()),
            3 => script.then(Fault::problem(409, "SUBSCRIBER_STATUS_NOT_ELIGIBLE")),
            4 => script.then(Fault::Reset),
            _ => script.then(Fault::Pass),
        };
    }
    control.queue(script);
    let mut calls = Vec::new();
    let sales: Vec<CreateOrderRequest> = (0..SALES.min(stock / 2)).map(|_| sale()).collect();
    for request in &sales {
        // Each is asked for at both, as by a caller that repeats.
        for gateway in &gateways {
            let (mut orders, request) = (gateway.provisioning(), request.clone());
            calls.push(spawn(async move { create(&mut orders, &request).await }));
        }
    }
    for call in calls {
        // Lost or refused: what counts is what is known in the end.
        let _ = call.await.unwrap();
    }
    control.clear_faults();
    let mut sold = BTreeSet::new();
    let mut refused = 0;
    for mut request in sales.clone() {
        let mut orders = gateways[1].provisioning();
        until("the sale is placed", async || {
            match create(&mut orders, &request).await {
                Ok(order) => order.state() == OrderState::Placed,
                // Its answer for good, so that the shop sells anew: three SIMs in turn
                // were refused for it, or one after an attempt that may have been
                // carried out.
                Err(error) if reason(&error).reason == "SIM_STATUS_NOT_ELIGIBLE" => {
                    let known = get(&mut orders, &request).await.unwrap();
                    assert_eq!(known.state(), OrderState::Rejected);
                    refused += 1;
                    request = sale();
                    false
                }
                Err(_) => false,
            }
        })
        .await;
        let order = get(&mut orders, &request).await.unwrap();
        assert!(sold.insert(card(&order).to_owned()), "a SIM was sold twice");
        let sim = control.sim(card(&order)).unwrap();
        assert_eq!(sim.bought().count(), 1);
    }
    assert!(sold.iter().all(|card| cards.contains(card)));
    assert_eq!(control.orders_accepted(), sales.len() as u64);
    let [available, reserved, in_orders, set_aside] = count(&mut inventory).await;
    assert_eq!(available + reserved + in_orders + set_aside, stock as i64);
    // An order that was refused after an attempt that may have been carried out
    // keeps its SIM.
    let kept = kept_by_refused_orders(&gateways[0], &sold).await;
    assert_eq!((reserved, in_orders), (0, sales.len() as i64 + kept));
    assert!(set_aside > 0, "no SIM was refused");
    assert!(
        set_aside >= 3 * (refused - kept),
        "{refused} were refused before three SIMs were tried"
    );
}

/// How many SIMs of the stock are sold by their state and were not, each of which
/// has an order that was refused.
async fn kept_by_refused_orders(gateway: &Gateway, sold: &BTreeSet<String>) -> i64 {
    let listed = ListStockRequest {
        pool: POOL.into(),
        state: StockState::Sold.into(),
        page_size: 1_000,
        ..Default::default()
    };
    let mut inventory = InventoryClient::new(gateway.channel());
    let listed = inventory.list_stock(listed).await.unwrap().into_inner();
    let mut kept = 0;
    for sim in listed.sims {
        let iccid = sim.sim.unwrap().iccid;
        if sold.contains(&iccid) {
            continue;
        }
        let of_sim = ListOrdersRequest {
            sim: by_iccid(&iccid),
            ..Default::default()
        };
        let orders = gateway.provisioning().list_orders(of_sim).await.unwrap();
        let orders = orders.into_inner().orders;
        assert!(!orders.is_empty(), "a SIM is sold without an order");
        assert!(orders.iter().all(|order| order.state() == OrderState::Rejected));
        kept += 1;
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sim_is_sold_twice_or_lost_by_two_replicas() {
    if let Some(url) = postgres::database().await {
        many_sales([&url, &url]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sim_is_sold_twice_or_lost_on_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
    many_sales([&url, &url]).await;
}

#[tokio::test]
async fn a_sim_that_somebody_has_ordered_for_is_not_sold_before_that_shows() {
    let (env, cards) = stocked(2).await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::hold("post")));
    // Not from the stock, and for another product.
    let direct = CreateOrderRequest {
        pool: String::new(),
        sim: by_iccid(&cards[0]),
        product_id: "WW_901O_STACK_ONEOFF_EUROPE_1GB_7D".into(),
        ..sale()
    };
    let mut orders = env.provisioning();
    let call = spawn(async move { create(&mut orders, &direct).await });
    control.until_held("post", 1).await;
    let held = reserved(&mut env.provisioning(), &reserve(None)).await;
    assert_eq!(held.sim.unwrap().iccid, cards[1]);
    assert_eq!(count(&mut env.inventory()).await, [0, 1, 0, 1]);
    control.release("post");
    call.abort();
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_looked_at_before_it_is_sold() {
    let (env, cards) = stocked(1).await;
    let (mut orders, control) = (env.provisioning(), env.control());
    let down = Fault::problem(503, "DOWN").step().forever();
    control.queue(Script::on("GET", SUBSCRIPTIONS).then(down));
    let first = reserve(None);
    let failed = orders.reserve_sim(first.clone()).await.unwrap_err();
    assert_eq!(reason(&failed).reason, "PROVIDER_UNAVAILABLE");
    control.clear_faults();
    control
        .set_esim_status(&cards[0], ProfileStatus::Allocated)
        .unwrap();
    let purchase = CreateOrderRequest {
        pool: String::new(),
        reservation_id: first.request_id.clone(),
        ..sale()
    };
    let refused = create(&mut orders, &purchase).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "RESERVATION_OVER");
    // Nor is it the answer to a repeat: a delivery is.
    let empty = orders.reserve_sim(first.clone()).await.unwrap_err();
    assert_eq!(reason(&empty).reason, "POOL_EMPTY");
    control
        .set_esim_status(&cards[0], ProfileStatus::Released)
        .unwrap();
    let back = MoveStockRequest {
        iccids: cards.clone(),
        pool: POOL.into(),
    };
    assert_eq!(
        env.inventory().move_stock(back).await.unwrap().into_inner().moved,
        1
    );
    let held = reserved(&mut orders, &first).await;
    assert_eq!(
        (held.state(), held.sim.unwrap().iccid),
        (SimReservationState::Held, cards[0].clone())
    );
    assert_eq!(control.received("POST", ORDERS), 0);
}

#[tokio::test]
async fn a_sale_under_the_id_of_a_reservation_leaves_that_alone() {
    let (env, cards) = stocked(2).await;
    let mut orders = env.provisioning();
    let first = reserve(None);
    let held = reserved(&mut orders, &first).await;
    let other = CreateOrderRequest {
        request_id: first.request_id.clone(),
        ..sale()
    };
    let refused = create(&mut orders, &other).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    assert_eq!(reserved(&mut orders, &first).await, held);
    let order = create(&mut orders, &sale()).await.unwrap();
    assert_eq!(card(&order), cards[1]);
}

#[tokio::test]
async fn wrong_answers_of_the_provider_do_not_empty_a_pool() {
    let (env, cards) = stocked(12).await;
    for card in &cards {
        env.control()
            .set_esim_status(card, ProfileStatus::Allocated)
            .unwrap();
    }
    let refused = create(&mut env.provisioning(), &sale()).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "PROVIDER_UNAVAILABLE");
    assert_eq!(count(&mut env.inventory()).await, [7, 0, 0, 5]);
    for card in &cards {
        env.control()
            .set_esim_status(card, ProfileStatus::Released)
            .unwrap();
    }
    let order = create(&mut env.provisioning(), &sale()).await.unwrap();
    assert_eq!(order.state(), OrderState::Placed);
}

#[tokio::test]
async fn a_sim_whose_order_is_refused_for_another_reason_goes_to_the_end() {
    let (env, cards) = stocked(2).await;
    let refusal = Fault::problem(400, "NO_IDEA").step();
    env.control().queue(Script::on("POST", ORDERS).then(refusal));
    create(&mut env.provisioning(), &sale()).await.unwrap_err();
    let order = create(&mut env.provisioning(), &sale()).await.unwrap();
    assert_eq!(card(&order), cards[1]);
}

/// None of them says that the reservation is over, which another call of the same
/// request has just sold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_sale_at_once_are_all_answered_with_its_order() {
    let (env, _) = stocked(12).await;
    for _ in 0..12 {
        let held = reserved(&mut env.provisioning(), &reserve(None)).await;
        let request = CreateOrderRequest {
            request_id: Uuid::new_v4().to_string(),
            product_id: FRANCE.into(),
            reservation_id: held.reservation_id,
            ..Default::default()
        };
        let calls = (0..6).map(|_| {
            let (mut orders, request) = (env.provisioning(), request.clone());
            spawn(async move { create(&mut orders, &request).await })
        });
        let orders = futures_util::future::join_all(calls).await;
        let orders: BTreeSet<String> = orders
            .into_iter()
            .map(|order| order.unwrap().unwrap().order_id)
            .collect();
        assert_eq!(orders.len(), 1);
    }
    assert_eq!(env.control().received("POST", ORDERS), 12);
}
