//! The simulator through its sockets, as a client meets it.

mod add_ons;
mod catalog;
mod control;
mod documentation;
mod esim;
mod event_timing;
mod faults;
mod follow_ups;
mod gateway;
mod incomplete;
mod inventory;
mod inventory_lag;
mod late_answers;
mod layering;
mod operation_requests;
mod operations;
mod orders;
mod restart;
mod sims;
mod token;
mod unknown_members;
mod webhook_faults;
mod webhooks;

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use super::{Options, Sandbox};

const FRANCE: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";
const PRODUCTS: &str = "/ocs/catalog/api/cos/WW_M2MA_COS_SPC/products";
const PRODUCTS_TEMPLATE: &str = "/ocs/catalog/api/cos/{cosRef}/products";
/// Longer than anything here takes on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator and a client with a token.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    token: String,
}

impl Bench {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let client = client();
        let token = fetch_token(&sandbox, &client).await;
        Self {
            sandbox,
            client,
            token,
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.sandbox.base_url()))
            .bearer_auth(&self.token)
    }

    fn send_json(&self, method: Method, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.request(method, path)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Posts to the control API.
    async fn post_control(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("{}/__sandbox{path}", self.sandbox.base_url());
        read(
            self.client
                .post(url)
                .body(body.to_string())
                .header("content-type", "application/json")
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Reads from the control API.
    async fn get_control(&self, path: &str) -> Value {
        let url = format!("{}/__sandbox{path}", self.sandbox.base_url());
        read(self.client.get(url).send().await.unwrap()).await.1
    }
}

fn client() -> Client {
    // A provider must be there for reqwest to build a client at all, with or without TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

async fn fetch_token(sandbox: &Sandbox, client: &Client) -> String {
    let response = client
        .post(format!("{}/authentication/api/token", sandbox.base_url()))
        .basic_auth("sandbox", Some("sandbox-secret"))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    let (status, body) = read(response).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

/// Status and body; a body that is no JSON is `null`.
async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn title(body: &Value) -> &str {
    body["title"].as_str().unwrap_or_default()
}
