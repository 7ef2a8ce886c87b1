//! What orders cost, by the company's own price list.

use std::path::Path;

use api::SpendGroup;
use transatel_gateway::config::{self, Sources};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::Criteria;

use super::spend::spend;
use super::{QUICK, create, get, order};
use crate::support::gateway::{FRANCE, Gateway, Provisioning, settings, simulator, until};
use crate::support::postgres;

const EUROPE: &str = "WW_901O_STACK_ONEOFF_EUROPE_1GB_7D";

/// Replaced as a whole, as a ConfigMap is.
fn put(file: &Path, list: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, list).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn money(code: &str, units: i64, cents: i32) -> Option<Money> {
    Some(Money {
        currency_code: code.into(),
        units,
        nanos: cents * 10_000_000,
    })
}

/// Product, and what it cost: placed and in flight.
async fn costs(client: &mut Provisioning) -> Vec<(String, Option<Money>, Option<Money>)> {
    let answer = spend(client, &[SpendGroup::Product]).await;
    let rows = answer.spend.into_iter();
    rows.map(|row| {
        let of = |sum: Option<api::SpendSum>| sum.unwrap().cost;
        (row.product_id, of(row.placed), of(row.open))
    })
    .collect()
}

async fn orders_cost_what_the_list_says(store: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.toml");
    put(&file, &format!("{FRANCE} = \"3.10 EUR\"\n"));
    let sandbox = simulator().await;
    let own = [
        ("STORE__URL", store),
        ("PRICES__FILE", file.to_str().unwrap()),
        ("PRICES__RELOAD_INTERVAL", "5ms"),
    ];
    let gateway = Gateway::start(&sandbox.base_url(), &[&QUICK[..], &own].concat()).await;
    let mut client = gateway.provisioning();
    let sims = sandbox.control().find_sims(Criteria::FRESH, 3);

    let request = order(&sims[0].msisdn);
    let checked = api::CreateOrderRequest {
        validate_only: true,
        ..request.clone()
    };
    let at_first = money("EUR", 3, 10);
    assert_eq!(create(&mut client, &checked).await.unwrap().cost, at_first);
    let placed = create(&mut client, &request).await.unwrap();
    assert_eq!(placed.cost, at_first);
    assert_ne!(placed.list_price.as_ref().unwrap().price, at_first);
    create(&mut client, &order(&sims[1].msisdn)).await.unwrap();
    // The list does not have it.
    let other = api::CreateOrderRequest {
        product_id: EUROPE.into(),
        ..order(&sims[2].msisdn)
    };
    assert_eq!(create(&mut client, &other).await.unwrap().cost, None);
    let row = |product: &str, placed: Option<Money>, open| (product.to_owned(), placed, open);
    assert_eq!(
        costs(&mut client).await,
        [
            row(EUROPE, None, None),
            row(FRANCE, money("EUR", 6, 20), money("EUR", 0, 0)),
        ]
    );
    let together = spend(&mut client, &[]).await.spend;
    assert!(
        together
            .iter()
            .all(|row| row.placed.as_ref().unwrap().cost.is_none())
    );

    // It is the list of today, also for what was ordered before.
    put(&file, &format!("{FRANCE} = \"2.5 USD\"\n{EUROPE} = \"7 EUR\"\n"));
    let now = money("USD", 2, 50);
    until("the new list is used", async || {
        get(&mut client, &request).await.unwrap().cost == now
    })
    .await;
    let listed = client
        .list_orders(api::ListOrdersRequest::default())
        .await
        .unwrap();
    let listed: Vec<Option<Money>> = listed
        .into_inner()
        .orders
        .into_iter()
        .map(|order| order.cost)
        .collect();
    assert_eq!(listed, [money("EUR", 7, 0), now.clone(), now.clone()]);
    let rows = [
        row(EUROPE, money("EUR", 7, 0), money("EUR", 0, 0)),
        row(FRANCE, money("USD", 5, 0), money("USD", 0, 0)),
    ];
    assert_eq!(costs(&mut client).await, rows);

    // One that cannot be used leaves it in use.
    let counted = async |series: &str| {
        let metrics = gateway.metrics().await;
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with(series)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let failed = "transatel_gateway_prices_reloads_total{outcome=\"failed\"";
    let unusable = "transatel_gateway_prices_file_unusable";
    assert_eq!(counted(unusable).await, "0");
    put(&file, &format!("{FRANCE} = 1\n"));
    until("the bad list is counted", async || counted(failed).await != "0").await;
    assert_eq!(counted(unusable).await, "1");
    assert_eq!(counted(failed).await, "1", "a bad list is counted once");
    std::fs::remove_file(&file).unwrap();
    until("the missing list is counted", async || {
        counted(failed).await != "1"
    })
    .await;
    assert_eq!(costs(&mut client).await, rows);
    put(&file, &format!("{FRANCE} = \"4.00 EUR\"\n"));
    until("it is used again", async || counted(unusable).await == "0").await;
    assert_eq!(get(&mut client, &request).await.unwrap().cost, money("EUR", 4, 0));
    gateway.stop().await;
}

#[tokio::test]
async fn orders_cost_what_the_list_says_in_a_file() {
    orders_cost_what_the_list_says("sqlite::memory:").await;
}

#[tokio::test]
async fn orders_cost_what_the_list_says_in_postgresql() {
    if let Some(url) = postgres::database().await {
        orders_cost_what_the_list_says(&url).await;
    }
}

#[tokio::test]
async fn without_a_list_nothing_has_a_cost() {
    let env = crate::support::gateway::TestEnv::open().await;
    let mut client = env.provisioning();
    let placed = create(&mut client, &order(super::FRESH)).await.unwrap();
    assert_eq!(placed.cost, None);
    let rows = costs(&mut client).await;
    assert_eq!(rows, [(FRANCE.to_owned(), None, None)]);
}

#[test]
fn everything_that_is_wrong_with_a_list_is_in_the_report_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.toml");
    put(&file, "A = \"3,10 EUR\"\nB = 3.1\nC = \"1.00 EUR\"\n");
    let more = [("PRICES__FILE", file.to_str().unwrap()), ("ADMIN__PAGE", "open")];
    let load = |more: &[(&str, &str)]| {
        config::load(&Sources {
            environment: settings("http://127.0.0.1:9", more),
            ..Sources::default()
        })
    };
    let report = load(&more).unwrap_err().to_string();
    for part in ["3 problems", "prices.file", "\"A\"", "\"B\"", "admin.page"] {
        assert!(report.contains(part), "{report}");
    }
    std::fs::remove_file(&file).unwrap();
    let report = load(&more[..1]).unwrap_err().to_string();
    assert!(report.contains("prices.file: cannot read"), "{report}");
}
