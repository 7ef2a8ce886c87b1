//! Pools that run low and are filled again, and SIMs that SIM Search fills them
//! with: over gRPC and by the log of events, on several replicas.

use futures_util::future::join_all;
use transatel_gateway::config::StoreUrl;
use transatel_gateway::domain::Pool;
use transatel_gateway::domain::stock::Delivered;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Sandbox};
use uuid::Uuid;

use crate::events::webhook::all;
use crate::support::gateway::{FRANCE, Gateway, is_counted, simulator, until};
use crate::support::postgres;
use crate::writes::ledger::{Folder, at, open};
use crate::writes::orders::create;
use crate::writes::stock_store::card;

const POOL: &str = "shop";
const LOW: (&str, &str) = ("STOCK__LOW", r#"{ "shop" = 4, "*" = 0 }"#);
const SEARCH: &str = "/sim-search/api/sim/search";

type Inventory = InventoryClient<tonic::transport::Channel>;

fn inventory(gateway: &Gateway) -> Inventory {
    InventoryClient::new(gateway.channel())
}

fn reserve(pool: &str) -> ReserveSimRequest {
    ReserveSimRequest {
        request_id: Uuid::new_v4().to_string(),
        pool: pool.into(),
        ..Default::default()
    }
}

fn free(sandbox: &Sandbox) -> Vec<String> {
    let fresh = sandbox.control().find_sims(Criteria::FRESH, usize::MAX);
    // The status of one is not shown.
    let free = fresh
        .into_iter()
        .filter(|sim| sim.eid.is_none() && sim.number != 34);
    free.map(|sim| sim.iccid).collect()
}

fn import(pool: &str, cards: &[String]) -> ImportStockRequest {
    let sim = |iccid: &String| DeliveredSim {
        iccid: iccid.clone(),
        msisdn: String::new(),
    };
    ImportStockRequest {
        pool: pool.into(),
        sims: cards.iter().map(sim).collect(),
        validate_only: false,
    }
}

/// The levels that were reported so far: pool, type, available.
async fn levels(gateway: &Gateway) -> Vec<(EventType, i64)> {
    let events = all(&mut gateway.events()).await;
    let levels = events.into_iter().filter_map(|event| {
        let level = event.stock.clone()?;
        assert_eq!((level.pool.as_str(), level.threshold), (POOL, 4));
        assert_eq!(event.received_at, event.occurred_at);
        assert!(event.order_id.is_empty() && event.caller.is_empty());
        Some((event.r#type(), level.available))
    });
    levels.collect()
}

async fn crossings(store: &str) {
    let sandbox = simulator().await;
    let settings = [LOW, ("STORE__URL", store)];
    let start = async || {
        [
            Gateway::start(&sandbox.base_url(), &settings).await,
            Gateway::start(&sandbox.base_url(), &settings).await,
        ]
    };
    let mut gateways = start().await;
    let cards = free(&sandbox);
    let mut stock = inventory(&gateways[0]);
    stock.import_stock(import(POOL, &cards[..5])).await.unwrap();
    // Nobody has set a threshold for this one.
    stock.import_stock(import("other", &cards[20..21])).await.unwrap();
    for gateway in &gateways {
        until("the threshold is shown", async || {
            let metrics = gateway.metrics().await;
            let shown = |parts: &[&str]| is_counted(&metrics, parts);
            shown(&["transatel_gateway_stock_threshold", "pool=\"shop\"", " 4"])
                && shown(&["transatel_gateway_stock{", "pool=\"shop\"", "available", " 5"])
        })
        .await;
    }
    // As many as should be are enough.
    let mut reservations = Vec::new();
    for number in 0..2 {
        assert_eq!(levels(&gateways[0]).await, []);
        let request = reserve(POOL);
        reservations.push(request.request_id.clone());
        gateways[number]
            .provisioning()
            .reserve_sim(request)
            .await
            .unwrap();
    }
    let low = (EventType::StockLow, 3);
    until("it is low", async || levels(&gateways[1]).await == [low]).await;
    // Less is no news, also for replicas that were not there.
    gateways[0]
        .provisioning()
        .reserve_sim(reserve(POOL))
        .await
        .unwrap();
    for gateway in gateways {
        gateway.stop().await;
    }
    gateways = start().await;
    for gateway in &gateways {
        until("it has counted", async || {
            let metrics = gateway.metrics().await;
            is_counted(
                &metrics,
                &["transatel_gateway_stock{", "pool=\"shop\"", "available", " 2"],
            )
        })
        .await;
    }
    let request = ReleaseSimRequest {
        reservation_id: reservations.remove(0),
    };
    gateways[1].provisioning().release_sim(request).await.unwrap();
    let mut stock = inventory(&gateways[0]);
    stock.import_stock(import(POOL, &cards[5..8])).await.unwrap();
    let filled = (EventType::StockFilled, 6);
    until("it is filled again", async || {
        levels(&gateways[0]).await.len() > 1
    })
    .await;
    assert_eq!(levels(&gateways[1]).await, [low, filled]);
    for card in &cards[5..8] {
        let request = WithdrawSimRequest { iccid: card.clone() };
        stock.withdraw_sim(request).await.unwrap();
    }
    until("it is low again", async || levels(&gateways[0]).await.len() > 2).await;
    assert_eq!(levels(&gateways[1]).await, [low, filled, low]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_runs_low_is_one_event_of_all_replicas_in_postgresql() {
    if let Some(store) = postgres::database().await {
        crossings(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_runs_low_is_one_event_in_a_file() {
    let folder = Folder::new();
    crossings(&format!("sqlite://{}", folder.file().display())).await;
}

/// Everybody reports at the same time what everybody sees, and claims the same
/// turn.
async fn at_once(url: StoreUrl) {
    let stores = [open(url.clone()).await, open(url).await];
    let pool = Pool::parse(POOL).unwrap();
    for round in 0..10 {
        let (now, is_low) = (at(100 * round), round % 2 == 0);
        if !is_low {
            let sims = (0..4).map(|number| Delivered {
                iccid: card(10 * u64::try_from(round).unwrap() + number),
                msisdn: None,
            });
            stores[0].stock.deliver(&pool, sims.collect(), now).await.unwrap();
        }
        let threshold = u32::try_from(4 * (round + 1) / 2).unwrap();
        let reports = (0..8).map(|number: usize| {
            let (stock, pool) = (stores[number % 2].stock.clone(), pool.clone());
            async move { stock.report_level(&pool, threshold, now).await.unwrap() }
        });
        let reports = join_all(reports).await.into_iter().flatten();
        let reports: Vec<bool> = reports.map(|level| level.is_low()).collect();
        assert_eq!(reports, [is_low], "round {round}");
        let turns = (0..8).map(|number: usize| {
            let (stock, pool) = (stores[number % 2].stock.clone(), pool.clone());
            async move {
                let interval = std::time::Duration::from_secs(100);
                stock.claim_search(&pool, now, interval).await.unwrap()
            }
        });
        let turns = join_all(turns).await.into_iter().flatten().count();
        assert_eq!(turns, 1, "round {round}");
    }
    stores[0].events.publish().await.unwrap();
    let events = stores[1].events.events_after(0, 100).await.unwrap();
    assert_eq!(events.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_reports_at_once_are_one_in_postgresql() {
    if let Some(store) = postgres::database().await {
        at_once(StoreUrl::parse(&store).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_reports_at_once_are_one_in_a_file() {
    let folder = Folder::new();
    at_once(StoreUrl::File(folder.file())).await;
}

/// Available and sold, set aside.
async fn counted(stock: &mut Inventory, pool: &str) -> [i64; 3] {
    let answer = stock.get_stock(GetStockRequest::default()).await.unwrap();
    let pools = answer.into_inner().pools.into_iter();
    let mut found = pools.filter(|counts| counts.pool == pool);
    let counts = found.next().unwrap_or_default();
    [counts.available, counts.sold, counts.set_aside]
}

async fn searches(store: &str) {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let settings = [
        ("STORE__URL", store),
        ("STOCK__SEARCH__INTERVAL", "1s"),
        ("STOCK__SEARCH__POOL", "found"),
    ];
    let cards = free(&sandbox);
    control.deny(SEARCH);
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let searched = async |outcome: &str| {
        let metrics = gateway.metrics().await;
        let outcome = format!("outcome=\"{outcome}\"");
        is_counted(&metrics, &["transatel_gateway_stock_searches_total", &outcome])
    };
    until("a search has failed", async || searched("failed").await).await;
    let mut stock = inventory(&gateway);
    // In another pool, and withdrawn: neither is added.
    stock.import_stock(import("other", &cards[..2])).await.unwrap();
    let request = WithdrawSimRequest {
        iccid: cards[0].clone(),
    };
    stock.withdraw_sim(request).await.unwrap();
    let direct = CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        product_id: FRANCE.into(),
        sim: crate::support::gateway::by_iccid(&cards[2]),
        ..Default::default()
    };
    create(&mut gateway.provisioning(), &direct).await.unwrap();
    control.permit(SEARCH);
    let expected = i64::try_from(cards.len()).unwrap() - 3;
    until("they are added", async || {
        counted(&mut stock, "found").await == [expected, 0, 0]
    })
    .await;
    until("a search has ended", async || searched("ok").await).await;
    // One is sold, and another replica searches too: nothing is added again.
    let sale = CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        product_id: FRANCE.into(),
        pool: "found".into(),
        ..Default::default()
    };
    let sold = create(&mut gateway.provisioning(), &sale).await.unwrap();
    let sold = sold.sim.unwrap().iccid;
    let other = Gateway::start(&sandbox.base_url(), &settings).await;
    let before = control.received("GET", SEARCH);
    until("others have searched", async || {
        control.received("GET", SEARCH) > before + 6
    })
    .await;
    assert_eq!(
        counted(&mut inventory(&other), "found").await,
        [expected - 1, 1, 0]
    );
    assert_eq!(counted(&mut stock, "other").await, [1, 0, 1]);
    let listed = ListStockRequest {
        pool: "found".into(),
        page_size: 1_000,
        ..Default::default()
    };
    let listed = stock.list_stock(listed).await.unwrap().into_inner().sims;
    let mut found: Vec<String> = listed.into_iter().map(|sim| sim.sim.unwrap().iccid).collect();
    let mut wanted = cards[3..].to_vec();
    found.sort();
    wanted.sort();
    assert!(found.contains(&sold));
    assert_eq!(found, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sim_search_shows_is_added_once_by_replicas_on_postgresql() {
    if let Some(store) = postgres::database().await {
        searches(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sim_search_shows_is_added_once_on_a_file() {
    let folder = Folder::new();
    searches(&format!("sqlite://{}", folder.file().display())).await;
}
