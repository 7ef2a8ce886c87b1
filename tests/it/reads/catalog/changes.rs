//! What changed in the catalog since a caller last looked.

use serde_json::json;
use tonic::Code;
use transatel_gateway_client::connectivity::v1::list_catalog_changes_request::Start;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::Sandbox;

use super::{cents, euros};
use crate::support::gateway::{FRANCE, Gateway, TestEnv, get, reason, simulator, until, violations};
use crate::support::postgres;
use crate::support::relay::Relay;

const GERMANY: &str = "WW_901O_STACK_ONEOFF_GERMANY_1GB_7D";
const SHORT: (&str, &str) = ("CATALOG__FRESH_FOR", "1s");

fn since(version: &str) -> ListCatalogChangesRequest {
    ListCatalogChangesRequest {
        start: Some(Start::SinceVersion(version.into())),
        ..Default::default()
    }
}

async fn version(gateway: &Gateway) -> String {
    let answer = gateway.catalog().get_product(get(FRANCE)).await.unwrap();
    answer.into_inner().freshness.unwrap().version
}

/// Reads until the catalog has another version, and returns that.
async fn version_after(gateway: &Gateway, before: &str) -> String {
    let mut found = String::new();
    until("the catalog has another version", async || {
        found = version(gateway).await;
        found != before
    })
    .await;
    found
}

async fn list(gateway: &Gateway, request: ListCatalogChangesRequest) -> ListCatalogChangesResponse {
    let answer = gateway.catalog().list_catalog_changes(request).await;
    answer.unwrap().into_inner()
}

/// Kind, product, and its prices in cents.
type Seen = (CatalogChangeKind, String, Option<i64>, Option<i64>);

fn seen(change: &CatalogChange) -> Seen {
    let cents = |price: &Option<transatel_gateway_client::google::r#type::Money>| {
        price
            .as_ref()
            .map(|price| price.units * 100 + i64::from(price.nanos) / 10_000_000)
    };
    (
        change.kind(),
        change.product_id.clone(),
        cents(&change.previous_price),
        cents(&change.price),
    )
}

/// Changes prices, withdraws and adds in the simulated catalog, one version
/// after another; returns what a caller has to be told.
async fn changed(sandbox: &Sandbox, gateway: &Gateway) -> (Vec<String>, Vec<Seen>) {
    let control = sandbox.control();
    let first = version(gateway).await;
    let price = async |id: &str| {
        let found = gateway.catalog().get_product(get(id)).await.unwrap();
        cents(&found.into_inner().product.unwrap())
    };
    let (france, germany) = (price(FRANCE).await, price(GERMANY).await);
    assert!(control.set_price(FRANCE, 1_234));
    let second = version_after(gateway, &first).await;
    assert!(control.set_withdrawn(GERMANY, true));
    let third = version_after(gateway, &second).await;
    control.add_catalog_element(&json!({
        "availability": { "available": true },
        "prices": { "subscriptionFee": [[{ "currency": "EUR", "unit": "CENTS", "amount": 700 }]] },
        "productDefinition": { "productId": "NEWCOMER", "productCategory": "One-off", "countryList": ["FRA"] },
    }));
    let fourth = version_after(gateway, &third).await;
    assert!(control.set_withdrawn(GERMANY, false) && control.set_price(GERMANY, 555));
    let fifth = version_after(gateway, &fourth).await;
    use CatalogChangeKind::{New, PriceChanged, Returned, Withdrawn};
    let expected = vec![
        (PriceChanged, FRANCE.to_owned(), france, Some(1_234)),
        (Withdrawn, GERMANY.to_owned(), germany, None),
        (New, "NEWCOMER".to_owned(), None, Some(700)),
        (Returned, GERMANY.to_owned(), germany, Some(555)),
    ];
    (vec![first, second, third, fourth, fifth], expected)
}

#[tokio::test]
async fn changes_since_a_version_are_listed_in_the_order_in_which_they_were_seen() {
    let env = TestEnv::with(&[SHORT]).await;
    let begun = jiff::Timestamp::now();
    let first = version(&env.gateway).await;
    let nothing = list(&env.gateway, since(&first)).await;
    assert_eq!((nothing.changes.len(), &nothing.version), (0, &first));
    let (versions, expected) = changed(&env.sandbox, &env.gateway).await;

    for (at, version) in versions.iter().enumerate() {
        let all = list(&env.gateway, since(version)).await;
        let found: Vec<Seen> = all.changes.iter().map(seen).collect();
        assert_eq!(found, expected[at..], "since version {at}");
        assert_eq!(all.version, versions[4]);
        for (change, version) in all.changes.iter().zip(&versions[at + 1..]) {
            assert_eq!(&change.version, version);
            let seen_at = change.seen_at.as_ref().unwrap();
            assert!(seen_at.seconds >= begun.as_second() && seen_at.seconds <= begun.as_second() + 120);
        }
    }

    // By pages of one, and by the time of a change.
    let mut request = ListCatalogChangesRequest {
        page_size: 1,
        ..since(&versions[0])
    };
    let mut paged = Vec::new();
    loop {
        let page = list(&env.gateway, request.clone()).await;
        paged.extend(page.changes);
        assert_eq!(page.version.is_empty(), !page.next_page_token.is_empty());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(paged.iter().map(seen).collect::<Vec<_>>(), expected);
    let later = ListCatalogChangesRequest {
        start: Some(Start::SinceTime(paged[1].seen_at.unwrap())),
        ..Default::default()
    };
    let later = list(&env.gateway, later).await;
    assert_eq!(later.changes, paged[2..]);

    // Tokens are bound to what was asked for.
    let other = ListCatalogChangesRequest {
        page_token: request.page_token.clone(),
        ..since(&versions[1])
    };
    let refused = env.catalog().list_catalog_changes(other).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn texts_do_not_count_and_languages_have_versions_of_their_own() {
    let env = TestEnv::with(&[SHORT]).await;
    let english = version(&env.gateway).await;
    let unknown = ListCatalogChangesRequest {
        language_code: "fr".into(),
        ..since(&english)
    };
    let refused = env.catalog().list_catalog_changes(unknown).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "CATALOG_VERSION_UNKNOWN");
    let french = GetProductRequest {
        language_code: "fr".into(),
        ..get(FRANCE)
    };
    let french = env.catalog().get_product(french).await.unwrap().into_inner();
    let french = ListCatalogChangesRequest {
        language_code: "fr".into(),
        ..since(&french.freshness.unwrap().version)
    };
    assert_eq!(list(&env.gateway, french).await.changes, []);
}

#[tokio::test]
async fn a_version_or_time_that_is_not_kept_is_an_error_of_its_own() {
    let env = TestEnv::with(&[SHORT, ("CATALOG__KEEP_VERSIONS", "2")]).await;
    let mut catalog = env.catalog();
    let (versions, expected) = changed(&env.sandbox, &env.gateway).await;
    let kept = list(&env.gateway, since(&versions[3])).await;
    assert_eq!(kept.changes.iter().map(seen).collect::<Vec<_>>(), expected[3..]);
    let long_ago = prost_types::Timestamp { seconds: 0, nanos: 0 };
    let at = |start: Start| ListCatalogChangesRequest {
        start: Some(start),
        ..Default::default()
    };
    for unknown in [
        since(&versions[0]),
        since("0000000000000000"),
        at(Start::SinceTime(long_ago)),
    ] {
        let refused = reason(&catalog.list_catalog_changes(unknown).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::OutOfRange, "CATALOG_VERSION_UNKNOWN")
        );
    }
    let invalid = ListCatalogChangesRequest {
        language_code: "??".into(),
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        violations(&catalog.list_catalog_changes(invalid).await.unwrap_err()),
        ["language_code", "page_size", "start"]
    );
    for (start, field) in [
        (Start::SinceVersion(String::new()), "since_version"),
        (Start::SinceVersion("V".repeat(101)), "since_version"),
        (
            Start::SinceTime(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            }),
            "since_time",
        ),
    ] {
        let refused = catalog.list_catalog_changes(at(start)).await.unwrap_err();
        assert_eq!(violations(&refused), [field]);
    }
    let foreign = ListCatalogChangesRequest {
        page_token: "foreign".into(),
        ..since(&versions[4])
    };
    let refused = catalog.list_catalog_changes(foreign).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "PAGE_TOKEN_INVALID");
}

/// Two replicas see every version, and each is recorded once; a restart
/// forgets nothing.
async fn replicas_share_one_history(store: &str) {
    let sandbox = simulator().await;
    let settings = [SHORT, ("STORE__URL", store)];
    let base_url = sandbox.base_url();
    let start = || Gateway::start(&base_url, &settings);
    let (one, two) = (start().await, start().await);
    assert_eq!(version(&two).await, version(&one).await);
    let (versions, expected) = changed(&sandbox, &one).await;
    until("the other one has read it too", async || {
        version(&two).await == versions[4]
    })
    .await;
    for gateway in [&one, &two] {
        let all = list(gateway, since(&versions[0])).await;
        assert_eq!(all.changes.iter().map(seen).collect::<Vec<_>>(), expected);
    }
    one.stop().await;
    two.stop().await;
    let again = start().await;
    let all = list(&again, since(&versions[1])).await;
    assert_eq!(all.changes.iter().map(seen).collect::<Vec<_>>(), expected[1..]);
    assert_eq!(all.version, versions[4]);
}

#[tokio::test]
async fn replicas_share_one_history_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("store.db").display());
    replicas_share_one_history(&url).await;
}

#[tokio::test]
async fn replicas_share_one_history_in_postgresql() {
    if let Some(url) = postgres::database().await {
        replicas_share_one_history(&url).await;
    }
}

#[tokio::test]
async fn a_store_that_is_silent_stops_no_answer_of_the_catalog_and_loses_no_change() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let sandbox = simulator().await;
    let relay = Relay::start(&postgres::socket(&database)).await;
    let through = postgres::through(&relay, &database);
    let settings = [
        SHORT,
        ("STORE__URL", &*through),
        ("STORE__OPERATION_TIMEOUT", "2s"),
    ];
    let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
    let first = version(&gateway).await;
    assert_eq!(list(&gateway, since(&first)).await.version, first);
    relay.silence();
    assert!(sandbox.control().set_price(FRANCE, 4_200));
    let second = version_after(&gateway, &first).await;
    let refused = gateway.catalog().list_catalog_changes(since(&first)).await;
    let refused = reason(&refused.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Unavailable, "LEDGER_UNAVAILABLE")
    );
    assert!(refused.details.retry_info().is_some());
    let found = gateway
        .catalog()
        .get_product(get(FRANCE))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.product.unwrap().price, Some(euros(42)));
    relay.forward();
    let mut changes = Vec::new();
    until("the change is there", async || {
        let listed = gateway.catalog().list_catalog_changes(since(&first)).await;
        let Ok(listed) = listed else { return false };
        let listed = listed.into_inner();
        assert_eq!(listed.version, second, "what was missing is recorded first");
        changes = listed.changes;
        true
    })
    .await;
    let [change] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(change.product_id, FRANCE);
    assert_eq!(change.price, Some(euros(42)));
    // The version that nobody recorded meanwhile is known as well.
    assert_eq!(list(&gateway, since(&second)).await.changes, []);
}
