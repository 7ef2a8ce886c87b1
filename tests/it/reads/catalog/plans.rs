//! What a new customer can buy, and the "from" prices made of it: add-ons are
//! apart.

use transatel_gateway_client::connectivity::v1::*;

use super::{cents, list};
use crate::support::gateway::{FRANCE, TestEnv, by_msisdn, get};

/// Subscribed to a monthly product that has add-ons.
const SUBSCRIBED: &str = "882470000000026";

fn in_france() -> ListProductsRequest {
    ListProductsRequest {
        countries: vec!["FR".into()],
        order_by: "price".into(),
        ..list()
    }
}

fn is_add_on(product: &Product) -> bool {
    product.category() == ProductCategory::AddOn || !product.parent_product_ids.is_empty()
}

#[tokio::test]
async fn the_from_price_of_france_is_one_that_a_fresh_sim_can_pay() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let page = catalog.list_products(in_france()).await.unwrap().into_inner();
    let cheapest = &page.products[0];
    assert_eq!(
        (cheapest.product_id.as_str(), cents(cheapest)),
        (FRANCE, Some(330))
    );
    let destinations = catalog.list_destinations(ListDestinationsRequest::default());
    let destinations = destinations.await.unwrap().into_inner().destinations;
    let france = destinations
        .iter()
        .find(|destination| destination.country == "FR");
    assert_eq!(france.unwrap().lowest_price, cheapest.price);
    let fresh = CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![cheapest.product_id.clone()],
    };
    let verdict = catalog.check_eligibility(fresh).await.unwrap().into_inner();
    assert!(verdict.results[0].eligible);
}

#[tokio::test]
async fn add_ons_are_listed_only_when_they_are_asked_for() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let mut ask = async |request: ListProductsRequest| {
        let page = catalog.list_products(request).await.unwrap().into_inner();
        assert_eq!(page.products.len(), page.total_size as usize);
        page.products
    };
    let plans = ask(in_france()).await;
    assert!(!plans.is_empty() && !plans.iter().any(is_add_on));
    let everything = ListProductsRequest {
        include_unavailable: true,
        ..in_france()
    };
    assert!(!ask(everything).await.iter().any(is_add_on));

    let of = |categories: &[ProductCategory]| ListProductsRequest {
        categories: categories.iter().map(|category| i32::from(*category)).collect(),
        ..in_france()
    };
    let add_ons = ask(of(&[ProductCategory::AddOn])).await;
    assert!(!add_ons.is_empty() && add_ons.iter().all(is_add_on));
    let one_offs = ask(of(&[ProductCategory::OneOff])).await;
    let both = ask(of(&[ProductCategory::OneOff, ProductCategory::AddOn])).await;
    assert_eq!(both.len(), one_offs.len() + add_ons.len());

    let of_parent = ListProductsRequest {
        parent_product_id: add_ons[0].parent_product_ids[0].clone(),
        ..in_france()
    };
    assert!(ask(of_parent).await.contains(&add_ons[0]));
    let found = catalog.get_product(get(&add_ons[0].product_id)).await.unwrap();
    assert_eq!(found.into_inner().product.as_ref(), Some(&add_ons[0]));
}

#[tokio::test]
async fn the_list_of_a_sim_has_add_ons_by_the_same_rule() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let request = ListEligibleProductsRequest {
        sim: by_msisdn(SUBSCRIBED),
        countries: vec!["FR".into()],
        page_size: 50,
        ..Default::default()
    };
    let mut ask = async |request: ListEligibleProductsRequest| {
        let page = catalog.list_eligible_products(request).await.unwrap();
        page.into_inner().products
    };
    let product = |listed: &EligibleProduct| listed.product.clone().unwrap();
    let plans = ask(request.clone()).await;
    assert!(!plans.is_empty() && !plans.iter().map(product).any(|product| is_add_on(&product)));
    let add_ons = ask(ListEligibleProductsRequest {
        categories: vec![ProductCategory::AddOn.into()],
        ..request.clone()
    });
    let add_ons = add_ons.await;
    assert!(add_ons.iter().map(product).all(|product| is_add_on(&product)));
    assert!(
        add_ons
            .iter()
            .any(|listed| listed.eligibility.as_ref().unwrap().eligible)
    );
}

#[tokio::test]
async fn a_destination_has_its_prices_by_category_and_the_plans_of_its_own() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let destinations = catalog.list_destinations(ListDestinationsRequest::default());
    let destinations = destinations.await.unwrap().into_inner().destinations;
    // Belgium has products whose category is not known.
    for country in ["FR", "BE", "AF"] {
        let destination = destinations
            .iter()
            .find(|destination| destination.country == country);
        let destination = destination.unwrap();
        let request = ListProductsRequest {
            countries: vec![country.into()],
            ..in_france()
        };
        let listed = catalog
            .list_products(request)
            .await
            .unwrap()
            .into_inner()
            .products;
        assert_eq!(destination.product_count as usize, listed.len(), "{country}");
        assert_eq!(destination.lowest_price, listed[0].price, "{country}");
        let own = listed.iter().filter(|product| product.countries == [country]);
        let own = own.count();
        assert_eq!(
            destination.single_country_product_count as usize, own,
            "{country}"
        );
        assert!(own > 0 && own < listed.len(), "{country}: {own}");
        let kinds = [
            ProductCategory::OneOff,
            ProductCategory::Recurring,
            ProductCategory::Unspecified,
        ];
        let expected = kinds.into_iter().filter_map(|category| {
            let mut own = listed.iter().filter(|product| product.category() == category);
            let cheapest = own.next()?;
            Some(CategoryOffers {
                category: category.into(),
                product_count: i32::try_from(own.count()).unwrap() + 1,
                lowest_price: cheapest.price.clone(),
            })
        });
        assert_eq!(destination.categories, expected.collect::<Vec<_>>(), "{country}");
        assert_eq!(destination.categories.len() == 3, country == "BE");
    }
}
