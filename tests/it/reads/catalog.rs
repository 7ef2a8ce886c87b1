//! The Catalog service as a shop uses it.

mod changes;
mod details;
mod eligible;
mod filters;
mod order;
mod plans;
mod read_mask;
mod version;

use std::collections::HashSet;

use tonic::Code;
use transatel_gateway_client::connectivity::v1::*;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{
    CATALOG, FRANCE, PRODUCTS, TestEnv, by_iccid, by_msisdn, get, is_stale, reason,
};

fn list() -> ListProductsRequest {
    ListProductsRequest {
        page_size: 1000,
        ..Default::default()
    }
}

fn euros(units: i64) -> Money {
    Money {
        currency_code: "EUR".into(),
        units,
        nanos: 0,
    }
}

fn cents(product: &Product) -> Option<i64> {
    product
        .price
        .as_ref()
        .map(|price| price.units * 100 + i64::from(price.nanos) / 10_000_000)
}

fn data_bytes(product: &Product) -> Option<i64> {
    let amounts = product
        .allowances
        .iter()
        .filter_map(|allowance| allowance.amount.as_ref());
    let bytes = amounts.filter_map(|amount| match amount.kind {
        Some(amount::Kind::DataBytes(bytes)) => Some(bytes),
        _ => None,
    });
    bytes.reduce(|all, more| all + more)
}

fn is_unlimited(product: &Product) -> bool {
    product.unlimited || product.allowances.iter().any(|allowance| allowance.unlimited)
}

#[tokio::test]
async fn a_country_page_is_filtered_and_sorted_by_price() {
    let env = TestEnv::open().await;
    let request = ListProductsRequest {
        countries: vec!["fra".into()],
        order_by: "price".into(),
        page_size: 50,
        ..Default::default()
    };
    let page = env.catalog().list_products(request).await.unwrap().into_inner();
    assert!(page.products.len() > 3);
    assert!(
        page.products
            .iter()
            .all(|product| product.countries.contains(&"FR".to_owned()) && product.available)
    );
    let prices: Vec<Option<i64>> = page.products.iter().map(cents).collect();
    let mut sorted = prices.clone();
    sorted.sort_by_key(|price| (price.is_none(), *price));
    assert_eq!(prices, sorted);
    let freshness = page.freshness.unwrap();
    assert!(!freshness.stale && freshness.as_of.is_some());
}

#[tokio::test]
async fn a_walk_through_the_pages_meets_every_product_once() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let mut request = ListProductsRequest {
        include_unavailable: true,
        page_size: 97,
        ..Default::default()
    };
    let mut met = Vec::new();
    let total = loop {
        let page = catalog.list_products(request.clone()).await.unwrap().into_inner();
        met.extend(page.products.into_iter().map(|product| product.product_id));
        if page.next_page_token.is_empty() {
            break page.total_size;
        }
        request.page_token = page.next_page_token;
        request.page_size = 203;
    };
    assert_eq!(met.len(), total as usize);
    assert_eq!(met.iter().collect::<HashSet<_>>().len(), met.len());
    assert!(total > 1000, "{total}");
    assert!(met.is_sorted());
    assert_eq!(
        env.control().received("GET", CATALOG),
        1,
        "pages are never asked upstream"
    );
}

#[tokio::test]
async fn a_page_token_is_refused_for_another_request_and_after_the_catalog_changed() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1s")]).await;
    let mut catalog = env.catalog();
    let first = ListProductsRequest {
        page_size: 2,
        countries: vec!["FR".into()],
        ..Default::default()
    };
    let token = catalog
        .list_products(first.clone())
        .await
        .unwrap()
        .into_inner()
        .next_page_token;
    for other in [
        ListProductsRequest {
            countries: vec!["DE".into()],
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            order_by: "price".into(),
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            language_code: "fr".into(),
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            min_data_bytes: 1,
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            min_validity: Some(Validity {
                count: 1,
                unit: ValidityUnit::Days.into(),
            }),
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            max_price: Some(euros(100_000)),
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            unlimited: Some(false),
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            technologies: vec!["4G".into()],
            page_token: token.clone(),
            ..first.clone()
        },
        ListProductsRequest {
            page_token: "not ours".into(),
            ..first.clone()
        },
        ListProductsRequest {
            page_token: format!("{token}A"),
            ..first.clone()
        },
    ] {
        let refused = reason(&catalog.list_products(other).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::InvalidArgument, "PAGE_TOKEN_INVALID")
        );
        assert_eq!(
            refused.details.bad_request().unwrap().field_violations[0].field,
            "page_token"
        );
    }

    // The same catalog, loaded again, goes on; a changed one does not.
    let next = ListProductsRequest {
        page_token: token,
        ..first
    };
    let refreshed = async |loads: u64| {
        let mut catalog = env.catalog();
        crate::support::gateway::until("the catalog is loaded again", async || {
            catalog.get_product(get(FRANCE)).await.unwrap();
            env.control().received("GET", CATALOG) >= loads && !is_stale(&mut catalog).await
        })
        .await;
    };
    refreshed(3).await;
    catalog.list_products(next.clone()).await.unwrap();
    assert!(env.control().set_price(FRANCE, 98_765));
    let loads = env.control().received("GET", CATALOG);
    refreshed(loads + 2).await;
    let outdated = reason(&catalog.list_products(next).await.unwrap_err());
    assert_eq!(outdated.reason, "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let all = catalog.list_products(list()).await.unwrap().into_inner();
    let everything = ListProductsRequest {
        include_unavailable: true,
        ..list()
    };
    let everything = catalog.list_products(everything).await.unwrap().into_inner();
    assert!(
        everything.total_size > all.total_size,
        "some products are not sold"
    );

    let both = ListProductsRequest {
        countries: vec!["FR".into(), "JPN".into()],
        ..list()
    };
    let both = catalog.list_products(both).await.unwrap().into_inner();
    assert!(!both.products.is_empty());
    for product in &both.products {
        assert!(
            ["FR", "JP"]
                .iter()
                .all(|code| product.countries.contains(&(*code).to_owned()))
        );
    }

    let add_on = ProductCategory::AddOn;
    let add_ons = ListProductsRequest {
        categories: vec![add_on.into()],
        ..list()
    };
    let add_ons = catalog
        .list_products(add_ons)
        .await
        .unwrap()
        .into_inner()
        .products;
    assert!(add_ons.iter().all(|product| product.category() == add_on));
    let parent = add_ons[0].parent_product_ids[0].clone();
    let children = ListProductsRequest {
        parent_product_id: parent.clone(),
        ..list()
    };
    let children = catalog
        .list_products(children)
        .await
        .unwrap()
        .into_inner()
        .products;
    assert!(children.contains(&add_ons[0]));
    assert!(
        children
            .iter()
            .all(|product| product.parent_product_ids.contains(&parent))
    );

    let words = ListProductsRequest {
        query: "france 1gb".into(),
        ..list()
    };
    let words = catalog.list_products(words).await.unwrap().into_inner().products;
    assert!(words.iter().any(|product| product.product_id == FRANCE));
    assert!(words.len() < 50);
    let nothing = ListProductsRequest {
        query: "zzzz".into(),
        ..list()
    };
    assert_eq!(
        catalog
            .list_products(nothing)
            .await
            .unwrap()
            .into_inner()
            .total_size,
        0
    );
}

#[tokio::test]
async fn a_product_has_the_contracts_units() {
    let env = TestEnv::open().await;
    let answer = env.catalog().get_product(get(FRANCE)).await.unwrap().into_inner();
    let product = answer.product.unwrap();
    assert_eq!(product.product_id, FRANCE);
    assert_eq!(product.category(), ProductCategory::OneOff);
    assert_eq!(product.countries, ["FR"]);
    let granted = product.allowances[0]
        .amount
        .as_ref()
        .unwrap()
        .kind
        .as_ref()
        .unwrap();
    assert_eq!(*granted, amount::Kind::DataBytes(1 << 30));
    assert_eq!(
        product.validity,
        Some(Validity {
            count: 7,
            unit: ValidityUnit::Days.into()
        })
    );
    assert_eq!(
        product.activation_window,
        Some(Validity {
            count: 6,
            unit: ValidityUnit::Months.into()
        })
    );
    assert_eq!(product.price.unwrap().currency_code, "EUR");
    assert!(product.available);
}

#[tokio::test]
async fn languages_are_kept_apart_and_equal_ones_together() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let mut name = async |tag: &str| {
        let request = GetProductRequest {
            language_code: tag.into(),
            ..get(FRANCE)
        };
        let product = catalog
            .get_product(request)
            .await
            .unwrap()
            .into_inner()
            .product
            .unwrap();
        product.description
    };
    let english = name("").await;
    let french = name("fr-FR").await;
    assert_ne!(english, french);
    assert_eq!(name("fr_fr").await, french);
    assert_eq!(name("en-US").await, english);
    assert_eq!(env.control().received("GET", CATALOG), 2);
}

/// Some texts in the requested language, and which language the answer says it has.
async fn described(env: &TestEnv, tag: &str) -> (String, String) {
    let request = GetProductRequest {
        language_code: tag.into(),
        ..get(FRANCE)
    };
    let answer = env.catalog().get_product(request).await.unwrap().into_inner();
    (
        answer.product.unwrap().description,
        answer.freshness.unwrap().language_code,
    )
}

#[tokio::test]
async fn an_answer_says_in_which_language_its_texts_are() {
    let env = TestEnv::open().await;
    let (english, code) = described(&env, "").await;
    assert_eq!(code, "en-US");
    assert_eq!(described(&env, "fr").await.1, "fr-FR");
    // The provider has no texts in it.
    assert_eq!(described(&env, "de-AT").await, (english, "en-US".to_owned()));
    let request = ListDestinationsRequest {
        language_code: "de-AT".into(),
    };
    let answer = env
        .catalog()
        .list_destinations(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.freshness.unwrap().language_code, "en-US");
}

#[tokio::test]
async fn a_language_that_the_provider_does_not_say_or_that_is_none_is_empty() {
    let env = TestEnv::open().await;
    for (tag, locale, expected) in [
        ("nl", "\"nl_be\"", "nl-BE"),
        ("it", "null", ""),
        ("es", "7", ""),
        ("pt", "\"\"", ""),
        ("sv", "[\"sv\"]", ""),
        ("da", "\"english (US)\"", ""),
    ] {
        let product = format!(r#"{{"productDefinition":{{"productId":"{FRANCE}"}}}}"#);
        let body = format!(r#"{{"currentLocale":{locale},"products":[{product}]}}"#);
        env.control()
            .queue(Script::on("GET", CATALOG).then(Fault::body(200, body)));
        assert_eq!(described(&env, tag).await.1, expected, "{locale}");
    }
    let product = format!(r#"{{"products":[{{"productDefinition":{{"productId":"{FRANCE}"}}}}]}}"#);
    env.control()
        .queue(Script::on("GET", CATALOG).then(Fault::body(200, product)));
    assert_eq!(described(&env, "ja").await.1, "");
}

#[tokio::test]
async fn an_unknown_product_is_named_in_the_error() {
    let env = TestEnv::open().await;
    let status = env.catalog().get_product(get("NO_SUCH")).await.unwrap_err();
    let unknown = reason(&status);
    assert_eq!(
        (unknown.code, unknown.reason.as_str()),
        (Code::NotFound, "PRODUCT_NOT_FOUND")
    );
    assert_eq!(unknown.metadata["product_id"], "NO_SUCH");
    assert_eq!(unknown.details.resource_info().unwrap().resource_name, "NO_SUCH");
}

#[tokio::test]
async fn destinations_agree_with_the_list() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let answer = catalog
        .list_destinations(ListDestinationsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(answer.destinations.len() > 150);
    assert!(answer.destinations.is_sorted_by(|a, b| a.country < b.country));
    for destination in answer.destinations.iter().step_by(17) {
        let request = ListProductsRequest {
            countries: vec![destination.country.clone()],
            order_by: "price".into(),
            ..list()
        };
        let page = catalog.list_products(request).await.unwrap().into_inner();
        assert_eq!(
            page.total_size, destination.product_count,
            "{}",
            destination.country
        );
        assert_eq!(
            page.products[0].price, destination.lowest_price,
            "{}",
            destination.country
        );
    }
}

#[tokio::test]
async fn odd_products_are_listed_broken_ones_are_dropped_and_counted() {
    let env = TestEnv::open().await;
    let request = ListProductsRequest {
        query: "odd".into(),
        include_unavailable: true,
        ..list()
    };
    let odd = env
        .catalog()
        .list_products(request)
        .await
        .unwrap()
        .into_inner()
        .products;
    assert!(odd.len() >= 8, "{}", odd.len());
    assert!(odd.iter().any(|product| product.price.is_none()));
    assert!(
        odd.iter()
            .any(|product| product.category() == ProductCategory::Unspecified)
    );
    let metrics = env.gateway.metrics().await;
    let count = |kind: &str| -> u64 {
        let line = metrics
            .lines()
            .find(|line| {
                line.starts_with("transatel_gateway_catalog_products")
                    && line.contains(&format!("\"{kind}\""))
            })
            .unwrap_or_else(|| panic!("{kind} not in\n{metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(count("dropped") >= 1);
    assert!(count("infrastructure") >= 1);
    assert!(count("listed") > 1000);
}

#[tokio::test]
async fn infrastructure_products_are_not_for_sale() {
    let env = TestEnv::open().await;
    let request = ListProductsRequest {
        query: "walledgarden".into(),
        include_unavailable: true,
        ..list()
    };
    assert_eq!(
        env.catalog()
            .list_products(request)
            .await
            .unwrap()
            .into_inner()
            .total_size,
        0
    );
}

fn check(sim: Option<SimRef>, ids: &[&str]) -> CheckEligibilityRequest {
    CheckEligibilityRequest {
        sim,
        product_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

#[tokio::test]
async fn eligibility_is_asked_live_and_an_unknown_product_is_a_result() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let request = check(by_msisdn("+882470000000001"), &["NO_SUCH", FRANCE, "A,B"]);
    for asked in 1..=2 {
        let results = catalog
            .check_eligibility(request.clone())
            .await
            .unwrap()
            .into_inner()
            .results;
        let ids: Vec<&str> = results.iter().map(|result| result.product_id.as_str()).collect();
        assert_eq!(ids, ["NO_SUCH", FRANCE, "A,B"]);
        assert!(results[1].eligible, "{:?}", results[1]);
        assert_eq!(results[1].mode(), EligibilityMode::Add);
        for unknown in [&results[0], &results[2]] {
            assert!(!unknown.eligible);
            assert_eq!(unknown.reason_code, "PRODUCT_NOT_FOUND");
        }
        assert!(env.control().received("GET", PRODUCTS) >= asked);
    }
}

#[tokio::test]
async fn eligibility_of_an_unknown_sim_and_of_one_named_by_its_card() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let unknown = catalog
        .check_eligibility(check(by_msisdn("33600000000"), &[FRANCE]))
        .await
        .unwrap_err();
    let unknown = reason(&unknown);
    assert_eq!(
        (unknown.code, unknown.reason.as_str()),
        (Code::NotFound, "SIM_NOT_FOUND")
    );
    assert_eq!(unknown.metadata["provider_code"], "SUBSCRIBER_NOT_FOUND");
    assert!(unknown.metadata.contains_key("provider_request_id"));
    let card = env.control().sim("1").unwrap().iccid;
    let results = catalog
        .check_eligibility(check(by_iccid(&card), &[FRANCE]))
        .await
        .unwrap()
        .into_inner();
    assert!(results.results[0].eligible, "the number is found by the card");
}
