use super::*;

fn ids(body: &Value) -> Vec<&str> {
    let products = body["products"].as_array().unwrap();
    products
        .iter()
        .filter_map(|product| product["productDefinition"]["productId"].as_str())
        .collect()
}

async fn list(bench: &Bench, query: &str) -> Value {
    let (status, body) = bench.get(&format!("{PRODUCTS}?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    body
}

#[tokio::test]
async fn the_whole_list_is_one_object_with_every_kind_of_product() {
    let bench = Bench::start().await;
    let body = list(&bench, "").await;
    assert_eq!(body["cos"], "WW_M2MA_COS_SPC");
    assert_eq!(body["currentLocale"], "en-US");
    assert_eq!(body["links"], serde_json::json!([]));
    let products = body["products"].as_array().unwrap();
    assert!((1150..1300).contains(&products.len()), "{}", products.len());
    // Four elements are no products: without an id, a text, a null, a definition that is an array.
    assert_eq!(products.len() - ids(&body).len(), 4);
    let france = products
        .iter()
        .find(|p| p["productDefinition"]["productId"] == FRANCE)
        .unwrap();
    let definition = &france["productDefinition"];
    assert_eq!(definition["productCategory"], "One-off");
    assert_eq!(definition["countryList"], serde_json::json!(["FRA"]));
    assert_eq!(definition["tags"], serde_json::json!(["FR"]));
    assert_eq!(
        definition["validityPeriod"],
        serde_json::json!({ "validityDuration": 7, "validityDurationUnit": "days" })
    );
    assert_eq!(
        definition["deferredActivationPeriod"]["deferredActivationDuration"],
        6
    );
    assert_eq!(definition["allowances"]["data"][0]["resourceValue"], 1_048_576);
    assert_eq!(definition["description"]["productLabel"], "FRANCE");
    let fee = &france["prices"]["subscriptionFee"][0][0];
    assert_eq!((&fee["currency"], &fee["unit"]), (&"EUR".into(), &"CENTS".into()));
    assert!(fee["amount"].as_i64().unwrap() > 0);
    assert_eq!(france["availability"]["available"], true);
    assert_eq!(france["canSubscribe"], serde_json::json!({ "allowed": true }));
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let bench = Bench::start().await;
    let all = ids(&list(&bench, "").await).len();
    let recurring = list(&bench, "categories=Recurring").await;
    let add_ons = list(&bench, "categories=Add-on").await;
    let both = list(&bench, "categories=Recurring&categories=Add-on").await;
    assert_eq!(ids(&both).len(), ids(&recurring).len() + ids(&add_ons).len());
    assert!(ids(&both).len() < all);

    let parent = ids(&recurring)[0];
    let children = list(&bench, &format!("categories=Add-on&childOf={parent}")).await;
    assert_eq!(ids(&children).len(), 1);
    assert_eq!(
        children["products"][0]["productDefinition"]["parentProductIds"][0],
        parent
    );

    // Every tag must be there.
    let france = list(&bench, "tags=FR").await;
    let france_and_spain = list(&bench, "tags=FR&tags=ES").await;
    assert!(ids(&france).contains(&FRANCE));
    assert!(!ids(&france_and_spain).contains(&FRANCE) && !ids(&france_and_spain).is_empty());
    assert!(ids(&france_and_spain).len() < ids(&france).len());
    assert_eq!(ids(&list(&bench, "tags=WALLED_GARDEN").await).len(), 3);

    let unavailable = list(&bench, "availabilityStatus=ALL").await;
    assert_eq!(ids(&unavailable).len(), all + 12);
    let nothing = list(&bench, "tags=ZZ").await;
    assert_eq!(nothing["products"], serde_json::json!([]));
}

#[tokio::test]
async fn what_the_provider_refuses_is_refused() {
    let bench = Bench::start().await;
    for query in [
        "categories=One-off,Recurring",
        "categories=ONE-OFF",
        "availabilityStatus=SOME",
        "msisdn=+882470000000001",
        "msisdn=%2B882470000000001",
        "msisdn=8988247000000000011",
        "msisdn=",
        "msisdn=882470000000001&msisdn=882470000000002",
    ] {
        for path in [PRODUCTS.to_owned(), format!("{PRODUCTS}/{FRANCE}")] {
            let (status, body) = bench.get(&format!("{path}?{query}")).await;
            assert_eq!((status.as_u16(), title(&body)), (400, "BAD_REQUEST"), "{query}");
        }
    }
}

#[tokio::test]
async fn products_are_read_by_id_in_the_same_wrapper() {
    let bench = Bench::start().await;
    let one = bench.get(&format!("{PRODUCTS}/{FRANCE}")).await.1;
    assert_eq!(ids(&one), [FRANCE]);
    let two = bench
        .get(&format!(
            "{PRODUCTS}/{FRANCE},WW_901O_STACK_ONEOFF_SPAIN_1GB_7D,NONE"
        ))
        .await
        .1;
    assert_eq!(ids(&two).len(), 2);
    let (status, body) = bench.get(&format!("{PRODUCTS}/NONE")).await;
    assert_eq!((status.as_u16(), title(&body)), (404, "PRODUCT_NOT_FOUND"));
    // What is not for sale is not found unless everything is asked for.
    bench.sandbox.control().set_withdrawn(FRANCE, true);
    assert_eq!(
        bench.get(&format!("{PRODUCTS}/{FRANCE}")).await.0,
        StatusCode::NOT_FOUND
    );
    let all = bench
        .get(&format!("{PRODUCTS}/{FRANCE}?availabilityStatus=ALL"))
        .await
        .1;
    assert_eq!(all["products"][0]["availability"]["available"], false);
}

#[tokio::test]
async fn eligibility_follows_the_subscriber() {
    let bench = Bench::start().await;
    let can = async |msisdn: &str, product: &str| {
        let (status, body) = bench.get(&format!("{PRODUCTS}/{product}?msisdn={msisdn}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["products"][0]["canSubscribe"].clone()
    };
    let allowed = can("882470000000001", FRANCE).await;
    assert_eq!(allowed, serde_json::json!({ "allowed": true, "mode": "add" }));
    let suspended = can("882470000000012", FRANCE).await;
    assert_eq!(suspended["errorKey"], "SUBSCRIBER_STATUS_NOT_ELIGIBLE");
    let add_on = "WW_901O_STACK_ADDON_FRANCE_1GB_30D";
    assert_eq!(
        can("882470000000001", add_on).await["errorKey"],
        "PRODUCT_NOT_ELIGIBLE"
    );
    assert_eq!(can("882470000000026", add_on).await["allowed"], true);
    let recurring = "WW_901O_STACK_RECURRING_SPAIN_5GB_1M";
    assert_eq!(
        can("882470000000026", recurring).await["mode"],
        "scheduled-switch"
    );
    assert_eq!(can("882470000000002", recurring).await["mode"], "add");
    let infrastructure = can("882470000000001", "WW_901O_WALLEDGARDEN_PORTAL").await;
    assert_eq!(infrastructure["errorKey"], "PRODUCT_NOT_ELIGIBLE");
    let (status, body) = bench
        .get(&format!("{PRODUCTS}/{FRANCE}?msisdn=882479999999999"))
        .await;
    assert_eq!((status.as_u16(), title(&body)), (404, "SUBSCRIBER_NOT_FOUND"));
}

#[tokio::test]
async fn texts_come_in_the_language_asked_for() {
    let bench = Bench::start().await;
    let request = bench.request(
        Method::GET,
        &format!("{PRODUCTS}/WW_901O_STACK_ONEOFF_SPAIN_1GB_7D"),
    );
    let body = read(request.header("accept-language", "fr-FR").send().await.unwrap())
        .await
        .1;
    assert_eq!(body["currentLocale"], "fr-FR");
    assert_eq!(
        body["products"][0]["productDefinition"]["description"]["productLabel"],
        "ESPAGNE"
    );
}

#[tokio::test]
async fn odd_products_are_in_the_list_as_announced() {
    let bench = Bench::start().await;
    let body = list(&bench, "").await;
    let odd = |name: &str| {
        let id = format!("WW_901O_STACK_ONEOFF_ODD_{name}_1GB_7D");
        let products = body["products"].as_array().unwrap();
        products
            .iter()
            .find(|p| p["productDefinition"]["productId"] == id)
            .unwrap()
            .clone()
    };
    assert!(odd("PLAIN_DESCRIPTION")["productDefinition"]["description"].is_string());
    assert!(odd("FLAT_PRICES")["prices"]["subscriptionFee"][0]["amount"].is_i64());
    assert_eq!(odd("EMPTY_PRICES")["prices"], serde_json::json!({}));
    assert!(odd("TEXT_AMOUNT")["prices"]["subscriptionFee"][0][0]["amount"].is_string());
    assert!(odd("FLOAT_ALLOWANCE")["productDefinition"]["allowances"]["data"][0]["resourceValue"].is_f64());
    assert!(odd("NULLS")["productDefinition"]["countryList"].is_null());
    assert_eq!(
        odd("UNKNOWN_CATEGORY")["productDefinition"]["productCategory"],
        "Trial"
    );
}

#[tokio::test]
async fn changes_by_control_show_in_the_next_answer() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    assert!(control.set_price(FRANCE, 1234));
    assert!(!control.set_price("NONE", 1));
    let body = bench.get(&format!("{PRODUCTS}/{FRANCE}")).await.1;
    assert_eq!(
        body["products"][0]["prices"]["subscriptionFee"][0][0]["amount"],
        1234
    );
    let before = list(&bench, "").await["products"].as_array().unwrap().len();
    control.add_catalog_element(&serde_json::json!(42));
    assert_eq!(
        list(&bench, "").await["products"].as_array().unwrap().len(),
        before + 1
    );
    control.configure(|settings| settings.catalog_published = false);
    let (status, body) = bench.get(PRODUCTS).await;
    assert_eq!((status.as_u16(), title(&body)), (404, "CATALOG_NOT_FOUND"));
}

#[tokio::test]
async fn a_product_leaves_the_sale_when_its_time_has_come() {
    let bench = Bench::start().await;
    let leaving = format!("{PRODUCTS}/WW_901O_STACK_ONEOFF_EUROPE_2GB_10D");
    assert_eq!(bench.get(&leaving).await.0, StatusCode::OK);
    bench.sandbox.control().advance(Duration::from_secs(31 * 86_400));
    assert_eq!(bench.get(&leaving).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn options_are_not_configured_for_this_offer() {
    let bench = Bench::start().await;
    let options = "/ocs/catalog/api/cos/WW_M2MA_COS_SPC/options";
    assert_eq!(bench.get(options).await.1["options"], serde_json::json!({}));
    let (status, body) = bench.get(&format!("{options}/dataSafeguard")).await;
    assert_eq!((status.as_u16(), title(&body)), (404, "OPTION_NOT_FOUND"));
    assert_eq!(
        title(&bench.get(&format!("{options}/other")).await.1),
        "NOT_FOUND"
    );
}
