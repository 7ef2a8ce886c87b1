//! Work beside the calls that dies of a defect is reported everywhere.
//!
//! A build for production cannot be made to panic, and is not tested here.
#![cfg(debug_assertions)]

use crate::support::gateway::{SECRET, Secret, fetch, settings, simulator, until};
use crate::support::stopping;

#[tokio::test]
async fn a_panic_of_background_work_is_logged_and_counted_and_ends_readiness() {
    let sandbox = simulator().await;
    let secret = Secret::new(SECRET);
    for task in ["reconciliation", "events", "webhook"] {
        let environment = settings(&sandbox.base_url(), &secret.settings());
        let mut process = stopping::serve_with_panic_in(task, &environment);
        let line = process.logged("listening").await;
        let address = |name: &str| {
            let rest = line.split(&format!("{name}=")).nth(1).unwrap();
            rest.split(' ').next().unwrap().to_owned()
        };
        let (grpc, admin) = (address("grpc"), address("admin"));
        // In either order: the end of the start changes nothing.
        let (mut ended, mut started) = (false, false);
        while !(ended && started) {
            let line = process.logged("e").await;
            started |= line.ends_with(": ready");
            if line.contains("background work ended") {
                assert!(line.contains(task) && line.contains("ERROR"), "{line}");
                ended = true;
            }
        }
        until("it is not ready", async || {
            fetch(&format!("http://{admin}/readyz"))
                .await
                .contains("background work ended")
        })
        .await;
        assert_eq!(fetch(&format!("http://{admin}/livez")).await, "ok\n");
        let metrics = fetch(&format!("http://{admin}/metrics")).await;
        let counted = metrics.lines().any(|line| {
            line.starts_with("transatel_gateway_background_failures_total{")
                && line.contains(&format!("task=\"{task}\""))
                && line.ends_with(" 1")
        });
        assert!(counted, "{metrics}");
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{grpc}")).unwrap();
        let mut health =
            tonic_health::pb::health_client::HealthClient::new(endpoint.connect().await.unwrap());
        let answer = health
            .check(tonic_health::pb::HealthCheckRequest::default())
            .await
            .unwrap();
        let status = answer.into_inner().status();
        assert_eq!(
            status,
            tonic_health::pb::health_check_response::ServingStatus::NotServing
        );
        process.signal("TERM").await;
        assert_eq!(process.ended().await, Some(0));
    }
}
