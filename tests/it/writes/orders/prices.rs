//! What an order may cost, and when it starts.

use std::time::Duration;

use api::OrderState;
use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Control, Criteria, Fault, Script, SimStatus};

use super::{FRESH, create, euros, get, order, sent};
use crate::support::gateway::{FRANCE, ORDERS, TestEnv, reason, until};

/// The types of the orders that were sent, in their order.
fn order_types(control: &Control) -> Vec<String> {
    let requests = control.requests();
    let posts = requests.iter().filter(|request| request.route == Some(ORDERS));
    posts
        .map(|post| {
            let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
            body["orderType"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_gateway_chooses_the_activation_by_the_sims_status() {
    let env = TestEnv::open().await;
    let control = env.control();
    let mut client = env.provisioning();
    let fresh = control.find_sims(Criteria::FRESH, 3);
    let used = control.find_sims(Criteria::IN_USE, 3);
    let types = || order_types(&control);
    create(&mut client, &order(&fresh[0].msisdn)).await.unwrap();
    create(&mut client, &order(&used[0].msisdn)).await.unwrap();
    assert_eq!(types(), ["preload", "subscribe"]);

    // The search lags behind: a definite refusal makes it try the other.
    control.clear_requests();
    control.configure(|settings| settings.search_lag = Duration::from_secs(3600));
    control
        .set_sim_status(&fresh[1].msisdn, SimStatus::Active)
        .unwrap();
    let order_placed = create(&mut client, &order(&fresh[1].msisdn)).await.unwrap();
    assert_eq!(order_placed.state(), OrderState::Placed);
    assert_eq!(types(), ["preload", "subscribe"]);

    // Without SIM Search and connectivity it finds out as well.
    control.clear_requests();
    control.deny("/sim-search");
    control.deny("/connectivity-management");
    create(&mut client, &order(&used[1].msisdn)).await.unwrap();
    assert_eq!(types(), ["preload", "subscribe"]);

    // Whatever the caller says is passed on and stays.
    control.clear_requests();
    let wrong = api::CreateOrderRequest {
        activation: api::ActivationMode::OnFirstUse.into(),
        ..order(&used[2].msisdn)
    };
    let error = reason(&create(&mut client, &wrong).await.unwrap_err());
    assert_eq!(error.reason, "SIM_STATUS_NOT_ELIGIBLE");
    assert_eq!(types(), ["preload"]);
}

#[tokio::test]
async fn an_order_says_what_was_asked_for_and_how_it_was_sent() {
    use api::ActivationMode::{Immediate, OnFirstUse, Unspecified};
    let env = TestEnv::open().await;
    let control = env.control();
    let mut client = env.provisioning();
    let fresh = control.find_sims(Criteria::FRESH, 4);
    let used = control.find_sims(Criteria::IN_USE, 4);
    // The search shows these as they were.
    control.configure(|settings| settings.search_lag = Duration::from_secs(3600));
    for sim in &fresh[2..] {
        control.set_sim_status(&sim.msisdn, SimStatus::Active).unwrap();
    }
    let lost = [Fault::Pass, Fault::Reset];
    for (sim, asked, sent_as, faults) in [
        (&fresh[0], Unspecified, OnFirstUse, &[][..]),
        (&used[0], Unspecified, Immediate, &[]),
        (&fresh[1], OnFirstUse, OnFirstUse, &[]),
        (&used[1], Immediate, Immediate, &[]),
        // The first use is refused, and the order sent once more.
        (&fresh[2], Unspecified, Immediate, &[]),
        // The same, and no answer comes.
        (&fresh[3], Unspecified, Immediate, &lost),
        (&used[2], Unspecified, Immediate, &lost[1..]),
    ] {
        control.queue(faults.iter().fold(Script::on("POST", ORDERS), |script, fault| {
            script.then(fault.clone())
        }));
        let request = api::CreateOrderRequest {
            activation: asked.into(),
            ..order(&sim.msisdn)
        };
        let checked = api::CreateOrderRequest {
            validate_only: true,
            ..request.clone()
        };
        let would_be = create(&mut client, &checked).await.unwrap();
        let first = match sim.status {
            SimStatus::PreActivated => OnFirstUse,
            _ => Immediate,
        };
        assert_eq!(
            (would_be.activation(), would_be.activation_used()),
            (asked, first)
        );
        let ordered = create(&mut client, &request).await.unwrap();
        assert_eq!(
            (ordered.activation(), ordered.activation_used()),
            (asked, sent_as),
            "{}",
            sim.msisdn
        );
        let known = get(&mut client, &request).await.unwrap();
        assert_eq!(known.activation_used(), sent_as, "{}", sim.msisdn);
    }
    // A refusal says it as well.
    let request = api::CreateOrderRequest {
        activation: OnFirstUse.into(),
        ..order(&used[3].msisdn)
    };
    create(&mut client, &request).await.unwrap_err();
    let refused = get(&mut client, &request).await.unwrap();
    assert_eq!(
        (refused.state(), refused.activation_used()),
        (OrderState::Rejected, OnFirstUse)
    );
}

#[tokio::test]
async fn a_refused_order_for_a_sim_in_service_is_not_tried_as_a_preload() {
    let env = TestEnv::open().await;
    let control = env.control();
    let mut client = env.provisioning();
    let used = control.find_sims(Criteria::IN_USE, 2);
    let refused = Fault::problem(400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE").step();
    control.queue(Script::on("POST", ORDERS).then(refused.forever()));
    for (sim, activation) in [
        (&used[0], api::ActivationMode::Unspecified),
        (&used[1], api::ActivationMode::Immediate),
    ] {
        control.clear_requests();
        let request = api::CreateOrderRequest {
            activation: activation.into(),
            ..order(&sim.msisdn)
        };
        // Also when the caller repeats it.
        for _ in 0..2 {
            let error = reason(&create(&mut client, &request).await.unwrap_err());
            assert_eq!(error.reason, "SIM_STATUS_NOT_ELIGIBLE", "{activation:?}");
        }
        assert_eq!(order_types(&control), ["subscribe"], "{activation:?}");
    }

    // The search lags behind: the SIM is pre-activated, and shown as in service.
    control.clear_faults();
    control.clear_requests();
    control.configure(|settings| {
        settings.search_lag = Duration::from_secs(3600);
        settings.subscribe_activates = false;
    });
    let sim = &used[0].msisdn;
    control.set_sim_status(sim, SimStatus::PreActivated).unwrap();
    let error = reason(&create(&mut client, &order(sim)).await.unwrap_err());
    assert_eq!(error.reason, "SIM_STATUS_NOT_ELIGIBLE");
    assert_eq!(order_types(&control), ["subscribe"]);
}

#[tokio::test]
async fn an_order_that_a_caller_starts_immediately_puts_a_pre_activated_sim_into_service() {
    let env = TestEnv::open().await;
    let control = env.control();
    let request = api::CreateOrderRequest {
        activation: api::ActivationMode::Immediate.into(),
        ..order(FRESH)
    };
    let placed = create(&mut env.provisioning(), &request).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(order_types(&control), ["subscribe"]);
    assert_eq!(control.sim(FRESH).unwrap().status, SimStatus::Active);
}

#[tokio::test]
async fn a_price_limit_is_checked_against_a_fresh_catalog() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1h")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.set_price(FRANCE, 350);
    let at_most = |max_price| api::CreateOrderRequest {
        max_price: Some(max_price),
        ..order(FRESH)
    };
    let status = create(&mut client, &at_most(euros(3))).await.unwrap_err();
    let error = reason(&status);
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::FailedPrecondition, "PRICE_ABOVE_MAXIMUM")
    );
    assert_eq!(
        status.message(),
        "the product's list price is 3.50 EUR: more than max_price"
    );
    let metadata = &error.metadata;
    let parts = ["price_currency", "price_units", "price_nanos"].map(|key| metadata[key].as_str());
    assert_eq!(parts, ["EUR", "3", "500000000"]);
    assert_eq!(error.metadata["price"], "3.50 EUR");
    let dollars = Money {
        currency_code: "USD".into(),
        ..euros(10)
    };
    let error = reason(&create(&mut client, &at_most(dollars)).await.unwrap_err());
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::FailedPrecondition, "PRICE_NOT_COMPARABLE")
    );
    assert_eq!(sent(&env), 0);
    let enough = Money {
        nanos: 500_000_000,
        ..euros(3)
    };
    assert_eq!(
        create(&mut client, &at_most(enough)).await.unwrap().state(),
        OrderState::Placed
    );
}

#[tokio::test]
async fn a_stale_price_is_not_good_enough() {
    let env = TestEnv::with(&[("CATALOG__FRESH_FOR", "1s")]).await;
    let mut client = env.provisioning();
    let mut catalog = env.catalog();
    catalog
        .get_product(crate::support::gateway::get(FRANCE))
        .await
        .unwrap();
    until("the catalog is stale", async || {
        env.control().queue(
            Script::on("GET", crate::support::gateway::CATALOG).then(Fault::status(503).step().forever()),
        );
        let answer = catalog
            .get_product(crate::support::gateway::get(FRANCE))
            .await
            .unwrap()
            .into_inner();
        answer.freshness.unwrap().stale
    })
    .await;
    let request = api::CreateOrderRequest {
        max_price: Some(euros(1000)),
        ..order(FRESH)
    };
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_UNAVAILABLE");
    assert_eq!(sent(&env), 0);
    // Without a limit the product only has to exist.
    assert_eq!(
        create(&mut client, &order(FRESH)).await.unwrap().state(),
        OrderState::Placed
    );
}
