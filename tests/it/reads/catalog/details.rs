//! What the provider says of a product for its display, and how long an
//! allowance can be used.

use transatel_gateway_client::connectivity::v1::*;

use super::list;
use crate::support::gateway::{FRANCE, TestEnv, get};

#[tokio::test]
async fn area_marks_and_the_time_of_an_allowance_are_passed_on() {
    let env = TestEnv::open().await;
    let mut catalog = env.catalog();
    let mut product = async |request: GetProductRequest| {
        let found = catalog.get_product(request).await.unwrap().into_inner();
        found.product.unwrap()
    };
    let area = |scope: CoverageScope, raw_scope: &str, zone: &str| {
        Some(ProductCoverage {
            scope: scope.into(),
            raw_scope: raw_scope.into(),
            zone: zone.into(),
        })
    };
    let france = product(get(FRANCE)).await;
    assert_eq!(france.coverage, area(CoverageScope::Local, "local", "France"));
    assert_eq!(france.allowances[0].validity, france.validity);
    assert!(france.validity.is_some());
    let europe = "WW_901O_STACK_RECURRING_EUROPE_5GB_1M";
    let europe = product(get(europe)).await;
    assert_eq!(
        europe.coverage,
        area(CoverageScope::Regional, "regional", "Europe")
    );
    let month = Some(Validity {
        count: 1,
        unit: ValidityUnit::Months.into(),
    });
    assert_eq!(europe.allowances[0].validity, month);
    let world = "WW_901O_STACK_ONEOFF_WORLDWIDE_1GB_7D";
    let world = product(get(world)).await;
    assert_eq!(world.coverage, area(CoverageScope::Global, "global", "Worldwide"));
    let french = GetProductRequest {
        language_code: "fr".into(),
        ..get("WW_901O_STACK_ONEOFF_GERMANY_1GB_7D")
    };
    let germany = product(french).await;
    assert_eq!(germany.coverage, area(CoverageScope::Local, "local", "Allemagne"));
    // A priority as text, and members that are null.
    let odd = product(get("WW_901O_STACK_ONEOFF_ODD_SHORT_MESSAGE_1GB_7D")).await;
    assert_eq!(odd.display_priority, Some(3));
    let nulls = product(get("WW_901O_STACK_ONEOFF_ODD_NULLS_1GB_7D")).await;
    assert_eq!((nulls.coverage, nulls.display_priority), (None, None));

    let all = catalog.list_products(list()).await.unwrap().into_inner().products;
    let count = |admits: &dyn Fn(&Product) -> bool| all.iter().filter(|product| admits(product)).count();
    let bestsellers = count(&|product| product.bestseller);
    assert!(bestsellers > 0 && bestsellers < all.len(), "{bestsellers}");
    let with_priority = count(&|product| product.display_priority.is_some());
    assert!(with_priority > 0 && with_priority < all.len(), "{with_priority}");
}
