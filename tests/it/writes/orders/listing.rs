//! Lists of orders, and requests that are refused for their form.

use api::OrderState;
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::SimStatus;

use super::{FRESH, create, get, order};
use crate::support::gateway::{
    FRANCE, ORDERS, SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, reason, violations,
};

#[tokio::test]
async fn orders_are_listed_newest_first_while_more_come() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let mut ids = Vec::new();
    for number in 41..48 {
        let msisdn = format!("8824700000000{number}");
        env.control()
            .set_sim_status(&msisdn, SimStatus::PreActivated)
            .unwrap();
        ids.insert(0, create(&mut client, &order(&msisdn)).await.unwrap().order_id);
    }
    let mut request = api::ListOrdersRequest {
        page_size: 3,
        ..Default::default()
    };
    let mut walked = Vec::new();
    loop {
        let page = client.list_orders(request.clone()).await.unwrap().into_inner();
        assert!(page.orders.len() <= 3);
        walked.extend(page.orders.into_iter().map(|order| order.order_id));
        // One more comes after every page.
        create(&mut client, &order(FRESH)).await.unwrap();
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(walked, ids);

    let only = |filter: api::ListOrdersRequest| {
        let mut client = client.clone();
        async move { client.list_orders(filter).await.unwrap().into_inner().orders }
    };
    let of_one = api::ListOrdersRequest {
        sim: by_iccid("8988247000000000019"),
        states: vec![OrderState::Placed.into()],
        ..Default::default()
    };
    assert_eq!(only(of_one.clone()).await.len(), 3);
    let rejected = api::ListOrdersRequest {
        states: vec![OrderState::Rejected.into()],
        ..Default::default()
    };
    assert!(only(rejected).await.is_empty());
    let long_ago = api::ListOrdersRequest {
        created_before: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..Default::default()
    };
    assert!(only(long_ago).await.is_empty());
    let since = api::ListOrdersRequest {
        created_after: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..Default::default()
    };
    assert_eq!(only(since).await.len(), 10);

    // A token is for its own list.
    let page = client
        .list_orders(api::ListOrdersRequest {
            page_size: 1,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let foreign = api::ListOrdersRequest {
        page_token: page.next_page_token,
        ..of_one
    };
    let error = reason(&client.list_orders(foreign).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::InvalidArgument, "PAGE_TOKEN_INVALID")
    );
}

#[tokio::test]
async fn orders_are_listed_by_reference_product_and_kind() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let referred = api::CreateOrderRequest {
        reference: "shop 17".into(),
        ..order(FRESH)
    };
    let first = create(&mut client, &referred).await.unwrap();
    let second = create(&mut client, &order(FRESH)).await.unwrap();
    let caller = client.clone();
    let list = |filter: api::ListOrdersRequest| {
        let mut client = caller.clone();
        async move {
            let page = client.list_orders(filter).await.unwrap().into_inner();
            page.orders
        }
    };
    let all = api::ListOrdersRequest::default;
    let reference = |reference: &str| api::ListOrdersRequest {
        reference: reference.into(),
        ..all()
    };
    let found = list(reference("shop 17")).await;
    assert_eq!((found.len(), &found[0]), (1, &first));
    assert_eq!(list(reference("shop 18")).await, []);
    let product = |product_id: &str| api::ListOrdersRequest {
        product_id: product_id.into(),
        ..all()
    };
    let both = [second, first];
    assert_eq!(list(product(FRANCE)).await, both);
    assert_eq!(list(product("NO_SUCH")).await, []);
    let kind = |kind: api::OrderKind| api::ListOrdersRequest {
        kind: kind.into(),
        ..all()
    };
    assert_eq!(list(kind(api::OrderKind::Buy)).await, both);
    assert_eq!(list(kind(api::OrderKind::CancelRenewal)).await, []);
    // Nobody is named without certificates.
    let by_caller = api::ListOrdersRequest {
        caller: "shop".into(),
        ..all()
    };
    assert_eq!(list(by_caller).await, []);

    let page = api::ListOrdersRequest {
        page_size: 1,
        ..product(FRANCE)
    };
    let token = client
        .list_orders(page.clone())
        .await
        .unwrap()
        .into_inner()
        .next_page_token;
    let next = api::ListOrdersRequest {
        page_token: token.clone(),
        ..page
    };
    assert_eq!(list(next).await, both[1..]);
    let foreign = api::ListOrdersRequest {
        page_token: token,
        ..all()
    };
    let error = reason(&client.list_orders(foreign).await.unwrap_err());
    assert_eq!(error.reason, "PAGE_TOKEN_INVALID");
    let bad = api::ListOrdersRequest {
        reference: "r".repeat(101),
        product_id: "p".repeat(101),
        kind: 99,
        caller: "c".repeat(2049),
        ..all()
    };
    assert_eq!(
        violations(&client.list_orders(bad).await.unwrap_err()),
        ["caller", "kind", "product_id", "reference"]
    );
}

#[tokio::test]
async fn bad_input_names_everything_and_sends_nothing() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    env.control().reset_counters();
    let bad = api::CreateOrderRequest {
        request_id: "17".into(),
        sim: by_msisdn("abc"),
        product_id: String::new(),
        activation: 9,
        reference: "r".repeat(101),
        max_price: Some(Money {
            currency_code: "EURO".into(),
            units: -1,
            nanos: 0,
        }),
        parent_subscription_id: "s".repeat(256),
        validate_only: true,
        ..Default::default()
    };
    let error = create(&mut client, &bad).await.unwrap_err();
    assert_eq!(
        violations(&error),
        [
            "activation",
            "max_price",
            "max_price.currency_code",
            "parent_subscription_id",
            "product_id",
            "reference",
            "request_id",
            "sim.msisdn"
        ]
    );
    let malformed = api::CreateOrderRequest {
        max_price: Some(Money {
            currency_code: "EUR".into(),
            units: 1,
            nanos: -1,
        }),
        ..order(FRESH)
    };
    assert_eq!(
        violations(&create(&mut client, &malformed).await.unwrap_err()),
        ["max_price"]
    );
    let nameless = client
        .get_order(api::GetOrderRequest::default())
        .await
        .unwrap_err();
    assert_eq!(violations(&nameless), ["key"]);
    let list = api::ListOrdersRequest {
        sim: by_iccid("1"),
        states: vec![0, 77],
        created_after: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        violations(&client.list_orders(list).await.unwrap_err()),
        [
            "created_after",
            "page_size",
            "sim.iccid",
            "states[0]",
            "states[1]"
        ]
    );
    let resolve = api::ResolveOrderRequest {
        order_id: "x".into(),
        resolution: api::OperatorResolution::Placed.into(),
        subscription_id: String::new(),
        note: "n".repeat(501),
    };
    assert_eq!(
        violations(&client.resolve_order(resolve).await.unwrap_err()),
        ["note", "order_id", "subscription_id"]
    );
    let unknown = api::CreateOrderRequest {
        product_id: "NO_SUCH".into(),
        ..order(FRESH)
    };
    assert_eq!(
        reason(&create(&mut client, &unknown).await.unwrap_err()).reason,
        "PRODUCT_NOT_FOUND"
    );
    assert_eq!(
        reason(&get(&mut client, &unknown).await.unwrap_err()).reason,
        "ORDER_NOT_FOUND"
    );
    let counters = env.control().counters();
    assert_eq!(
        counters.received("POST", ORDERS) + counters.received("GET", SUBSCRIPTIONS),
        0
    );
}
