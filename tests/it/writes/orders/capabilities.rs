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
