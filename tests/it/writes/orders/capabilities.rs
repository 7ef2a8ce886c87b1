//! What a caller may call here, before it tries.

use super::*;

async fn capabilities(env: &TestEnv) -> api::GetCapabilitiesResponse {
    let request = api::GetCapabilitiesRequest::default();
    let answer = env.provisioning().get_capabilities(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a_caller_reads_what_is_enabled_instead_of_trying_it() {
    let env = TestEnv::open().await;
    let found = capabilities(&env).await;
    let has = |method: &str| found.methods.iter().any(|name| name == method);
    assert!(
        has("Provisioning/CreateOrder") && has("Catalog/ListProducts"),
        "{found:?}"
    );
    assert!(
        !has("Provisioning/SuspendSim") && !has("Provisioning/CancelRenewal"),
        "{found:?}"
    );
    assert!(!found.add_ons && !found.own_requests_only);
    assert_eq!(found.order_limits, None);

    let env = TestEnv::with(&[
        ("TRANSATEL__ENABLED_OPERATIONS", "SuspendSim"),
        ("TRANSATEL__RATE_PLAN", "M2MA_WW_TSL_BUNDLES_1"),
    ])
    .await;
    let enabled = capabilities(&env).await.methods;
    let more: Vec<_> = enabled.iter().filter(|name| !has(name)).collect();
    assert_eq!(more, ["Provisioning/SuspendSim"]);
}

/// As a caller of this name sees it.
async fn capabilities_of(
    env: &TestEnv,
    caller: &'static str,
) -> Result<api::GetCapabilitiesResponse, Status> {
    let mut request = tonic::Request::new(api::GetCapabilitiesRequest::default());
    let name = tonic::metadata::MetadataValue::from_static(caller);
    request.metadata_mut().insert("l5d-client-id", name);
    Ok(env.provisioning().get_capabilities(request).await?.into_inner())
}

#[tokio::test]
async fn a_caller_reads_its_own_grant_scope_and_limits() {
    let env = TestEnv::with(&[
        ("CALLERS__HEADER", "l5d-client-id"),
        ("CALLERS__HEADER_FROM", "127.0.0.1"),
        (
            "CALLERS__ALLOW",
            r#"{ "shop" = ["Catalog/*", "Provisioning/CreateOrder"], "support" = ["Inventory/GetSim"] }"#,
        ),
        ("CALLERS__SCOPE", r#"{ "shop" = "own" }"#),
        (
            "CALLERS__LIMITS",
            r#"{ "shop" = ["5 orders/minute", "40 orders/day", "99.50 EUR/day", "50 calls/second"], "support" = ["9 calls in flight"] }"#,
        ),
        ("TRANSATEL__PARENT_MEMBER", "parentSubscriptionId"),
    ])
    .await;
    let shop = capabilities_of(&env, "shop").await.unwrap();
    let own: Vec<_> = shop
        .methods
        .iter()
        .filter(|name| !name.starts_with("Catalog/"))
        .collect();
    assert_eq!(own, ["Provisioning/CreateOrder", "Provisioning/GetCapabilities"]);
    assert!(
        shop.methods.iter().any(|name| name == "Catalog/GetProduct"),
        "{shop:?}"
    );
    assert!(shop.add_ons && shop.own_requests_only);
    let limits = shop.order_limits.unwrap();
    assert_eq!(
        (limits.orders_per_minute, limits.orders_per_day),
        (Some(5), Some(40))
    );
    let [spend] = limits.spend_per_day.try_into().unwrap();
    assert_eq!(
        (spend.currency_code.as_str(), spend.units, spend.nanos),
        ("EUR", 99, 500_000_000)
    );
    let support = capabilities_of(&env, "support").await.unwrap();
    assert_eq!(
        support.methods,
        ["Inventory/GetSim", "Provisioning/GetCapabilities"]
    );
    // Who cannot order cannot order add-ons, and limits of calls are not those of orders.
    assert!(!support.add_ons && !support.own_requests_only);
    assert_eq!(support.order_limits, None);
    let stranger = reason(&capabilities_of(&env, "stranger").await.unwrap_err());
    assert_eq!(stranger.reason, "CALLER_NOT_ALLOWED");
}
