//! Every request to the provider says what sent it: its console shows that to
//! its support.

use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::connectivity::v1::esim_client::EsimClient;

use crate::support::gateway::{ORDERS, SUSPEND, TOKEN, TestEnv, by_msisdn, get};
use crate::writes::orders::{create, order};
use crate::writes::sim_operations::{IN_USE, suspend};

#[tokio::test]
async fn every_request_to_the_provider_names_the_gateway_and_its_version() {
    let env = TestEnv::with_everything().await;
    let fresh = "882470000000001";
    env.catalog()
        .get_product(get(crate::support::gateway::FRANCE))
        .await
        .unwrap();
    let request = api::GetInventoryRequest {
        sim: by_msisdn(fresh),
        ..Default::default()
    };
    env.inventory().get_inventory(request).await.unwrap();
    let request = api::GetEsimRequest {
        sim: by_msisdn(fresh),
        include_history: false,
    };
    let mut esims = EsimClient::new(env.gateway.channel.clone());
    esims.get_esim(request).await.unwrap();
    create(&mut env.provisioning(), &order(fresh)).await.unwrap();
    suspend(IN_USE).send(&mut env.provisioning()).await.unwrap();

    let requests = env.control().requests();
    for (method, route) in [("POST", TOKEN), ("POST", ORDERS), ("POST", SUSPEND)] {
        let is_it =
            |sent: &&transatel_simulator::Recorded| sent.method == method && sent.route == Some(route);
        assert!(requests.iter().any(|sent| is_it(&sent)), "{route}");
    }
    let name = concat!("transatel-gateway/", env!("CARGO_PKG_VERSION"));
    for sent in requests {
        let agent = sent.headers.get("user-agent").map(String::as_str);
        assert_eq!(agent, Some(name), "{} {}", sent.method, sent.path);
    }
}
