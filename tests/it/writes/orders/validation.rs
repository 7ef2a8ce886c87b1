//! Orders that are only validated: the answer of the real call, and no trace.

use std::collections::HashMap;

use api::{OrderKind, OrderState};
use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Criteria, Fault, Script, SimStatus};
use uuid::Uuid;

use super::{FRESH, create, euros, fault, get, order, sent, spawn_create};
use crate::support::gateway::{
    FRANCE, ORDERS, PRODUCTS, Provisioning, SUBSCRIPTIONS, TestEnv, by_iccid, by_msisdn, reason,
};

const ADD_ON: &str = "WW_901O_STACK_ADDON_FRANCE_1GB_30D";

fn validating(request: &api::CreateOrderRequest) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        validate_only: true,
        ..request.clone()
    }
}

/// All that a validated order must not change: what the provider received and
/// holds, and what the ledger holds.
async fn state(env: &TestEnv, msisdn: &str) -> (u64, Option<usize>, Vec<api::Order>) {
    let request = api::ListOrdersRequest {
        page_size: 1000,
        ..Default::default()
    };
    let listed = env
        .provisioning()
        .list_orders(request)
        .await
        .unwrap()
        .into_inner();
    let sim = env.control().sim(msisdn);
    let bought = sim.map(|sim| sim.subscriptions.len());
    (sent(env), bought, listed.orders)
}

/// What has to be equal: everything but what an answer to an order adds.
fn comparable(error: &Status) -> (Code, String, HashMap<String, String>) {
    let found = reason(error);
    let mut metadata = found.metadata;
    for key in ["provider_code", "provider_request_id", "known_state", "retry"] {
        metadata.remove(key);
    }
    if found.reason != "ORDER_IN_PROGRESS" {
        metadata.remove("order_id");
    }
    (found.code, found.reason, metadata)
}

/// Validates, then orders in the same state: both have to answer the same, and
/// the first must leave no trace.
async fn same_answer(env: &TestEnv, request: &api::CreateOrderRequest, what: &str) -> Option<String> {
    let mut client = env.provisioning();
    let msisdn = match request.sim.as_ref().and_then(|sim| sim.id.clone()) {
        Some(api::sim_ref::Id::Msisdn(msisdn)) => msisdn,
        _ => String::new(),
    };
    let before = state(env, &msisdn).await;
    let validated = create(&mut client, &validating(request)).await;
    assert_eq!(state(env, &msisdn).await, before, "{what}");
    match (validated, create(&mut client, request).await) {
        (Ok(validated), Ok(placed)) => {
            assert_eq!(validated.state(), OrderState::Unspecified, "{what}");
            let mut sim = placed.sim.clone();
            if let (Some(real), Some(found)) = (&mut sim, &validated.sim)
                && found.iccid.is_empty()
            {
                // It was read after the validation had begun.
                real.iccid.clear();
            }
            let expected = api::Order {
                sim,
                order_id: String::new(),
                state: OrderState::Unspecified.into(),
                subscription_id: String::new(),
                provider_reference: String::new(),
                created_at: None,
                updated_at: None,
                ..placed
            };
            assert_eq!(validated, expected, "{what}");
            None
        }
        (Err(validated), Err(refused)) => {
            assert_eq!(comparable(&validated), comparable(&refused), "{what}");
            let error = reason(&validated);
            let state = error.metadata.get("known_state").map(String::as_str);
            let is_read = !["INVALID_REQUEST"].contains(&error.reason.as_str());
            assert!(!is_read || state == Some("NONE"), "{what}: {state:?}");
            Some(error.reason)
        }
        (validated, real) => panic!("{what}: {validated:?}, and then {real:?}"),
    }
}

fn for_product(product_id: &str, msisdn: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        product_id: product_id.into(),
        ..order(msisdn)
    }
}

fn at_most(max_price: Money, msisdn: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        max_price: Some(max_price),
        ..order(msisdn)
    }
}

fn starting(activation: api::ActivationMode, msisdn: &str) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        activation: activation.into(),
        ..order(msisdn)
    }
}

#[tokio::test]
async fn a_validated_order_gets_the_answer_of_the_real_one_and_leaves_no_trace() {
    let env = TestEnv::open().await;
    let control = env.control();
    let fresh = control.find_sims(Criteria::FRESH, 8);
    let used = control.find_sims(Criteria::IN_USE, 5);
    control
        .set_sim_status(&used[4].msisdn, SimStatus::Suspended)
        .unwrap();
    control.set_price(FRANCE, 350);
    let dollars = Money {
        currency_code: "USD".into(),
        ..euros(10)
    };
    let by_card = |iccid: &str| api::CreateOrderRequest {
        sim: by_iccid(iccid),
        ..order(FRESH)
    };
    let described = api::CreateOrderRequest {
        reference: "shop 17".into(),
        ..at_most(euros(4), &fresh[1].msisdn)
    };
    let (first_use, at_once) = (api::ActivationMode::OnFirstUse, api::ActivationMode::Immediate);
    let used = |at: usize| used[at].msisdn.as_str();
    let cases = [
        ("a fresh SIM", order(&fresh[0].msisdn), None),
        ("a SIM in use", order(used(0)), None),
        ("a card", by_card(&fresh[2].iccid), None),
        ("with all details", described, None),
        ("first use, fresh", starting(first_use, &fresh[3].msisdn), None),
        ("at once, fresh", starting(at_once, &fresh[4].msisdn), None),
        ("at once, in use", starting(at_once, used(1)), None),
        (
            "first use, in use",
            starting(first_use, used(2)),
            Some("SIM_STATUS_NOT_ELIGIBLE"),
        ),
        ("suspended", order(used(4)), Some("SIM_STATUS_NOT_ELIGIBLE")),
        (
            "no such product",
            for_product("NO_SUCH", &fresh[5].msisdn),
            Some("PRODUCT_NOT_FOUND"),
        ),
        ("no such SIM", order("33600000000"), Some("SIM_NOT_FOUND")),
        (
            "no such card",
            by_card("8988247000000999999"),
            Some("SIM_NOT_FOUND"),
        ),
        (
            "too expensive",
            at_most(euros(3), &fresh[5].msisdn),
            Some("PRICE_ABOVE_MAXIMUM"),
        ),
        (
            "another currency",
            at_most(dollars, &fresh[5].msisdn),
            Some("PRICE_NOT_COMPARABLE"),
        ),
        (
            "an add-on that the account cannot order",
            for_product(ADD_ON, &fresh[5].msisdn),
            Some("OPERATION_NOT_ENABLED"),
        ),
        (
            "a malformed request",
            api::CreateOrderRequest {
                request_id: String::new(),
                ..order(&fresh[5].msisdn)
            },
            Some("INVALID_REQUEST"),
        ),
    ];
    for (what, request, expected) in cases {
        assert_eq!(
            same_answer(&env, &request, what).await.as_deref(),
            expected,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_validated_order_meets_what_the_provider_and_the_ledger_say_at_the_moment() {
    let env = TestEnv::open().await;
    let control = env.control();
    let fresh = control.find_sims(Criteria::FRESH, 4);

    // Another order for the same SIM and product is being sent.
    fault(&env, Fault::hold("post"));
    let other = order(&fresh[0].msisdn);
    let call = spawn_create(env.provisioning(), &other);
    control.until_held("post", 1).await;
    let busy = order(&fresh[0].msisdn);
    let found = same_answer(&env, &busy, "in flight").await;
    assert_eq!(found.as_deref(), Some("ORDER_IN_PROGRESS"));
    control.release("post");
    call.await.unwrap().unwrap();

    // The subscriptions of the SIM cannot be read.
    let down = Fault::status(503).step().forever();
    control.queue(Script::on("GET", SUBSCRIPTIONS).then(down));
    let found = same_answer(&env, &order(&fresh[1].msisdn), "unreadable").await;
    assert_eq!(found.as_deref(), Some("PROVIDER_UNAVAILABLE"));
    control.clear_faults();

    // The provider's codes mean the same in both of its answers.
    for (code, expected) in [
        ("PRODUCT_NOT_ELIGIBLE", "PRODUCT_NOT_ELIGIBLE"),
        ("SUBSCRIBER_STATUS_NOT_ELIGIBLE", "SIM_STATUS_NOT_ELIGIBLE"),
        ("SOMETHING_NEW", "PROVIDER_REJECTED"),
    ] {
        let verdict = serde_json::json!({ "products": [{
            "productDefinition": { "productId": FRANCE },
            "canSubscribe": { "allowed": false, "errorKey": code, "errorMessage": "no" },
        }] });
        control.queue(Script::on("GET", PRODUCTS).then(Fault::body(200, verdict.to_string())));
        fault(&env, Fault::problem(400, code));
        let request = starting(api::ActivationMode::OnFirstUse, &fresh[2].msisdn);
        let found = same_answer(&env, &request, code).await;
        assert_eq!(found.as_deref(), Some(expected), "{code}");
        control.clear_faults();
    }

    // Nothing can be said while the provider does not say it.
    let down = Fault::status(503).step().forever();
    control.queue(Script::on("GET", PRODUCTS).then(down));
    let request = validating(&order(&fresh[3].msisdn));
    let error = reason(&create(&mut env.provisioning(), &request).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_UNAVAILABLE");
}

#[tokio::test]
async fn a_validated_order_of_an_account_that_cannot_order_is_refused() {
    let env = TestEnv::with(&[("TRANSATEL__MVNO_REF", "")]).await;
    let found = same_answer(&env, &order(FRESH), "no reference").await;
    assert_eq!(found.as_deref(), Some("OPERATION_NOT_ENABLED"));
}

#[tokio::test]
async fn a_validated_add_on_needs_its_parent() {
    let env = TestEnv::with(&[("TRANSATEL__PARENT_MEMBER", "parentSubscriptionId")]).await;
    let subscribed = env.control().sim("882470000000026").unwrap();
    let monthly = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";
    let parent = subscribed
        .bought()
        .find(|subscription| subscription.product_id == monthly)
        .unwrap()
        .subscription_id
        .to_string();
    let added_to = |parent: &str| api::CreateOrderRequest {
        parent_subscription_id: parent.into(),
        ..for_product(ADD_ON, "882470000000026")
    };
    let found = same_answer(&env, &added_to(""), "no parent").await;
    assert_eq!(found.as_deref(), Some("PARENT_SUBSCRIPTION_REQUIRED"));
    assert_eq!(same_answer(&env, &added_to(&parent), "the parent").await, None);
    let request = api::CreateOrderRequest {
        product_id: FRANCE.into(),
        ..added_to(&parent)
    };
    let found = same_answer(&env, &request, "not an add-on").await;
    assert_eq!(found.as_deref(), Some("INVALID_REQUEST"));
}

#[tokio::test]
async fn a_known_request_id_is_answered_with_its_order() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let placed_by = order(FRESH);
    let placed = create(&mut client, &placed_by).await.unwrap();
    let refused_by = order("882470000000002");
    fault(&env, Fault::problem(402, "INSUFFICIENT_FUND"));
    let refused = create(&mut client, &refused_by).await.unwrap_err();
    let before = state(&env, FRESH).await;

    let known = create(&mut client, &validating(&placed_by)).await.unwrap();
    assert_eq!((&known, known.kind()), (&placed, OrderKind::Buy));
    let again = create(&mut client, &validating(&refused_by)).await.unwrap_err();
    assert_eq!(
        (again.code(), again.message()),
        (refused.code(), refused.message())
    );
    assert_eq!(
        reason(&again).metadata["order_id"],
        reason(&refused).metadata["order_id"]
    );
    let other = api::CreateOrderRequest {
        sim: by_msisdn("882470000000003"),
        ..placed_by.clone()
    };
    let error = reason(&create(&mut client, &validating(&other)).await.unwrap_err());
    assert_eq!(error.reason, "REQUEST_ID_REUSED");
    assert_eq!(error.metadata["known_order_id"], placed.order_id);
    assert_eq!(state(&env, FRESH).await, before);
}

#[tokio::test]
async fn what_no_read_shows_is_refused_only_when_it_is_ordered() {
    let env = TestEnv::open().await;
    let mut client: Provisioning = env.provisioning();
    env.control()
        .queue(Script::on("POST", ORDERS).then(Fault::problem(402, "INSUFFICIENT_FUND")));
    let request = api::CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        ..order(FRESH)
    };
    create(&mut client, &validating(&request)).await.unwrap();
    let error = reason(&get(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "ORDER_NOT_FOUND");
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "INSUFFICIENT_FUNDS");
}
