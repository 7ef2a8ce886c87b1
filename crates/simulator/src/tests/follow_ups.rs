use serde_json::json;
use uuid::Uuid;

use super::{
    orders::{but, order, post},
    *,
};
use crate::SubscriptionView;

const MONTHLY: &str = "WW_901O_STACK_RECURRING_FRANCE_5GB_1M";

async fn enabled() -> Bench {
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .configure(|settings| settings.follow_ups.enabled = true);
    bench
}

/// A body with nothing but what all descriptions agree on, and the subscription's id.
fn follow_up(sim: u32, order_type: &str, subscription: Uuid) -> Value {
    json!({
        "bind": { "msisdn": format!("88247{sim:010}") },
        "source": "test",
        "orderType": order_type,
        "mvnoRef": "M2MA_WW_TSL_SANDBOX",
        "subscription": { "subscriptionId": subscription },
    })
}

fn subscription(bench: &Bench, sim: &str, product: &str) -> SubscriptionView {
    let sim = bench.sandbox.control().sim(sim).unwrap();
    let of_product = |subscription: &&SubscriptionView| subscription.product_id == product;
    sim.subscriptions.iter().find(of_product).unwrap().clone()
}

async fn refused(bench: &Bench, order: &Value) -> (u16, String) {
    let (status, body) = post(bench, order).await;
    (status.as_u16(), title(&body).to_owned())
}

#[tokio::test]
async fn a_renewal_can_be_canceled_once() {
    let bench = enabled().await;
    let id = subscription(&bench, "26", MONTHLY).subscription_id;
    let order = but(
        follow_up(26, "cancelRenewal", id),
        "/transactionReference",
        json!("c-1"),
    );
    let (status, body) = post(&bench, &order).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(
        (&body["status"], &body["subscriptionId"]),
        (&json!("done"), &json!(id))
    );
    assert_eq!(body["transactionReference"], "c-1");
    let canceled = subscription(&bench, "26", MONTHLY);
    assert_eq!((canceled.status.as_str(), canceled.live), ("canceled", true));
    // It is no purchase.
    let control = bench.sandbox.control();
    assert_eq!(control.account_balance(), 1_000_000_000);
    assert!(control.subscriptions_by_reference("c-1").is_empty());
    assert_eq!(
        refused(&bench, &order).await,
        (400, "PRODUCT_NOT_ELIGIBLE".into())
    );
    control.advance(Duration::from_secs(31 * 86_400));
    assert!(!subscription(&bench, "26", MONTHLY).live);
}

#[tokio::test]
async fn a_subscription_can_be_ended_whether_it_runs_or_waits() {
    let bench = enabled().await;
    for product in [
        "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D",
        "WW_901O_STACK_ONEOFF_EUROPE_10GB_30D",
    ] {
        let id = subscription(&bench, "2", product).subscription_id;
        let order = follow_up(2, "terminate", id);
        assert_eq!(post(&bench, &order).await.0, StatusCode::CREATED);
        assert_eq!(subscription(&bench, "2", product).status, "terminated");
        assert_eq!(
            refused(&bench, &order).await,
            (400, "SUBSCRIPTION_NOT_FOUND".into())
        );
    }
}

#[tokio::test]
async fn balance_and_expiration_can_be_modified() {
    let bench = enabled().await;
    let before = subscription(&bench, "26", MONTHLY);
    let modify = follow_up(26, "modify", before.subscription_id);
    let until = "2099-01-01T00:00:00Z";
    let both = but(modify.clone(), "/subscription/balance", json!(77));
    let both = but(both, "/subscription/expirationDate", json!(until));
    assert_eq!(post(&bench, &both).await.0, StatusCode::CREATED);
    let after = subscription(&bench, "26", MONTHLY);
    assert_eq!(
        (after.left_kb, after.expires_at),
        (Some(77), until.parse().unwrap())
    );

    let waiting = subscription(&bench, "4", FRANCE).subscription_id;
    for (order, name) in [
        (modify.clone(), "BAD_REQUEST"),
        (
            but(modify.clone(), "/subscription/balance", json!(-1)),
            "BAD_REQUEST",
        ),
        (
            but(
                modify,
                "/subscription/expirationDate",
                json!("2020-01-01T00:00:00Z"),
            ),
            "BAD_REQUEST",
        ),
        (
            but(follow_up(4, "modify", waiting), "/subscription/balance", json!(1)),
            "PRODUCT_NOT_ELIGIBLE",
        ),
    ] {
        assert_eq!(refused(&bench, &order).await, (400, name.into()), "{order}");
    }
}

#[tokio::test]
async fn what_cannot_apply_is_refused() {
    let bench = enabled().await;
    let one_off = subscription(&bench, "2", "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D").subscription_id;
    let monthly = subscription(&bench, "26", MONTHLY).subscription_id;
    let garden = subscription(&bench, "2", "WW_901O_WALLEDGARDEN_PORTAL").subscription_id;
    let suspended = subscription(&bench, "12", "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D").subscription_id;
    let nameless = but(follow_up(2, "terminate", one_off), "/subscription", json!(null));
    for (order, name) in [
        (follow_up(2, "cancelRenewal", one_off), "PRODUCT_NOT_ELIGIBLE"),
        (
            follow_up(2, "cancelRenewal", Uuid::nil()),
            "SUBSCRIPTION_NOT_FOUND",
        ),
        (follow_up(2, "terminate", monthly), "SUBSCRIPTION_NOT_FOUND"),
        (follow_up(2, "terminate", garden), "SUBSCRIPTION_NOT_FOUND"),
        (
            follow_up(12, "terminate", suspended),
            "SUBSCRIBER_STATUS_NOT_ELIGIBLE",
        ),
        (follow_up(999_999, "terminate", one_off), "SUBSCRIBER_NOT_FOUND"),
        (nameless, "BAD_REQUEST"),
        (
            but(
                follow_up(2, "terminate", one_off),
                "/subscription/subscriptionId",
                json!("x"),
            ),
            "BAD_REQUEST",
        ),
    ] {
        assert_eq!(refused(&bench, &order).await, (400, name.into()), "{order}");
    }
    assert_eq!(bench.sandbox.control().orders_accepted(), 0);
}

#[tokio::test]
async fn a_body_without_an_id_means_the_only_subscription_of_its_product() {
    let bench = enabled().await;
    let aim = |sim: u32, product: &str| {
        let order = order(&format!("88247{sim:010}"), "cancelRenewal", "r");
        but(order, "/product/productId", json!(product))
    };
    assert_eq!(post(&bench, &aim(26, MONTHLY)).await.0, StatusCode::CREATED);
    // Three subscriptions of the same product: nobody knows which is meant.
    assert_eq!(
        refused(&bench, &aim(19, FRANCE)).await,
        (400, "BAD_REQUEST".into())
    );
}

#[tokio::test]
async fn the_member_with_the_id_is_a_setting() {
    let bench = enabled().await;
    let settings = json!({ "follow_ups": { "subscription_member": "/subscriptionId" } });
    assert_eq!(
        bench.post_control("/settings", settings).await.1["follow_ups"]["enabled"],
        true
    );
    let id = subscription(&bench, "26", MONTHLY).subscription_id;
    let order = but(follow_up(26, "cancelRenewal", id), "/subscriptionId", json!(id));
    assert_eq!(
        post(&bench, &but(order, "/subscription", json!(null))).await.0,
        StatusCode::CREATED
    );
}
