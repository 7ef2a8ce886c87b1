//! What somebody who tries `serve --sandbox` sees of an order without an answer.

use transatel_gateway_client::connectivity::v1::{self as pb, provisioning_client::ProvisioningClient};

use crate::support::process::Process;

const FRANCE: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";

/// With the settings of a gateway that has an account this takes a quarter of
/// an hour.
#[tokio::test]
async fn an_order_that_is_not_placed_shows_in_seconds_with_the_sandbox() {
    let ports = ["GRPC", "ADMIN", "SANDBOX"]
        .map(|section| (format!("GATEWAY__{section}__LISTEN"), "127.0.0.1:0".to_owned()));
    let mut process = Process::start(&["serve", "--sandbox"], &ports);
    let (mut address, mut sandbox) = (String::new(), String::new());
    while let Some(line) = process.stdout.next_line().await.unwrap() {
        match line.trim().split_once(' ') {
            Some(("gRPC", grpc)) => address = grpc.trim().to_owned(),
            Some(("sandbox", url)) => sandbox = url.trim().to_owned(),
            Some(("Ctrl-C", _)) => break,
            _ => {}
        }
    }
    let lost = r#"{"method":"POST","path":"/ocs/subscriptions","steps":[{"fault":"reset"}]}"#;
    let faults = crate::events::webhook::client()
        .post(format!("{sandbox}faults"))
        .body(lost);
    assert!(faults.send().await.unwrap().status().is_success());

    let mut provisioning = ProvisioningClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let order = provisioning
        .create_order(pb::CreateOrderRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            pool: "sandbox".to_owned(),
            product_id: FRANCE.to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .order
        .unwrap();
    assert_eq!(order.state(), pb::OrderState::Unknown);
    let mut state = order.state();
    // Twice what a busy machine may need: without short timers it is 15 minutes.
    for _ in 0..5 {
        let request = pb::GetOrderRequest {
            key: Some(pb::get_order_request::Key::OrderId(order.order_id.clone())),
            wait: Some(prost_types::Duration {
                seconds: 20,
                nanos: 0,
            }),
        };
        let answer = provisioning.get_order(request).await.unwrap().into_inner();
        state = answer.order.unwrap().state();
        if state != pb::OrderState::Unknown {
            break;
        }
    }
    assert_eq!(state, pb::OrderState::NotPlaced);
}
