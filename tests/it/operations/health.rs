//! Health and reflection, as probes and debuggers use them.

use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use transatel_gateway::app::App;
use transatel_gateway::config::{self, Sources};
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{CATALOG, TestEnv, settings, simulator};

const SERVICES: [&str; 6] = [
    "",
    "connectivity.v1.Catalog",
    "connectivity.v1.Inventory",
    "connectivity.v1.Esim",
    "connectivity.v1.Provisioning",
    "connectivity.v1.Events",
];

#[tokio::test]
async fn every_public_service_and_the_whole_are_serving_once_ready() {
    let env = TestEnv::open().await;
    let mut health = HealthClient::new(env.gateway.channel.clone());
    for service in SERVICES {
        let answer = health
            .check(HealthCheckRequest {
                service: service.into(),
            })
            .await
            .unwrap();
        assert_eq!(
            answer.into_inner().status(),
            ServingStatus::Serving,
            "{service:?}"
        );
    }
    let unknown = health
        .check(HealthCheckRequest {
            service: "no.Such".into(),
        })
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn nothing_serves_before_the_first_catalog_or_the_end_of_the_warm_up() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    control.queue(Script::on("GET", CATALOG).then(Fault::hold("warm-up").step()));
    let environment = settings(&sandbox.base_url(), &[("CATALOG__WARM_UP", "1h")]);
    let config = config::load(&Sources {
        environment,
        ..Sources::default()
    })
    .unwrap()
    .config;
    let app = App::build(config).await.unwrap();
    let addresses = app.addresses().unwrap();
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { Box::pin(app.run(std::future::pending())).await.unwrap() });
    control.until_held("warm-up", 1).await;

    let readyz = format!("http://{}/readyz", addresses.admin);
    assert_eq!(reqwest::get(&readyz).await.unwrap().status(), 503);
    let livez = format!("http://{}/livez", addresses.admin);
    assert_eq!(reqwest::get(&livez).await.unwrap().status(), 200);
    let endpoint = Endpoint::from_shared(format!("http://{}", addresses.grpc)).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut watches = Vec::new();
    for service in SERVICES {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let mut watch = health.watch(request).await.unwrap().into_inner();
        let first = watch.message().await.unwrap().unwrap().status();
        assert_eq!(first, ServingStatus::NotServing, "{service:?}");
        watches.push(watch);
    }
    control.release("warm-up");
    for mut watch in watches {
        assert_eq!(
            watch.message().await.unwrap().unwrap().status(),
            ServingStatus::Serving
        );
    }
    assert_eq!(reqwest::get(&readyz).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_provider_that_is_down_does_not_hold_readiness_back() {
    let sandbox = simulator().await;
    sandbox.control().set_dead(true).await.unwrap();
    // Waits until it serves.
    crate::support::gateway::Gateway::start(&sandbox.base_url(), &[("CATALOG__WARM_UP", "50ms")]).await;
}

#[tokio::test]
async fn both_reflections_list_every_service() {
    let env = TestEnv::open().await;
    let listed = [
        "connectivity.v1.Catalog",
        "connectivity.v1.Inventory",
        "connectivity.v1.Esim",
        "connectivity.v1.Provisioning",
        "connectivity.v1.Events",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let channel = env.gateway.channel.clone();

    let mut v1 = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let question = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut answers = v1
        .server_reflection_info(tokio_stream::once(question))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(services) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        services
            .service
            .iter()
            .map(|service| service.name.as_str())
            .collect::<Vec<_>>(),
        listed
    );

    let mut alpha = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut answers = alpha
        .server_reflection_info(tokio_stream::once(question))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(services) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        services
            .service
            .iter()
            .map(|service| service.name.as_str())
            .collect::<Vec<_>>(),
        listed
    );
}
