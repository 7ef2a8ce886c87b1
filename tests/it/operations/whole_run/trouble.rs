//! Strangers, and a provider in every bad state.

use std::time::Duration;

use serde_json::json;
use tonic::Request;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use super::{PRIVATE, Visitor};
use crate::events::webhook::client;
use crate::support::gateway::{
    FRANCE, SUBSCRIPTIONS, TOKEN, by_iccid, by_msisdn, get, subscriptions_of, until,
};

/// A SIM that has something to show.
const BUSY: &str = "882470000000036";

impl Visitor {
    /// Requests that are none of ours.
    pub(super) async fn strangers(&mut self) {
        let mut nobody = tonic::client::Grpc::new(self.channel.clone());
        nobody.ready().await.unwrap();
        let path = "/connectivity.v1.Nobody/8988247000000000019".parse().unwrap();
        let codec = tonic_prost::ProstCodec::<GetProductRequest, GetProductResponse>::default();
        let answer = nobody.unary(Request::new(get(FRANCE)), path, codec).await;
        self.printed.push(format!("{:?}", answer.map(|_| ())));
        let client = client();
        for path in [
            "/connectivity.v1.Nobody/8988247000000000019",
            "/8988247000000000019",
        ] {
            let request = client.post(format!("{}{path}?msisdn=882470000000001", self.grpc));
            let _ = request.header("content-type", "application/grpc").send().await;
            let _ = client.get(format!("{}{path}", self.admin)).send().await;
        }
    }

    /// The provider in every bad state, at the end: its inventory is left
    /// alone from here on, and there is no token.
    pub(super) async fn trouble(&mut self) {
        let mut inventory = InventoryClient::new(self.channel.clone());
        let faults = [
            Fault::Garbage,
            Fault::Html,
            Fault::Truncated,
            Fault::Close,
            Fault::Reset,
            Fault::problem(404, "SUBSCRIBER_NOT_FOUND"),
            Fault::RateLimited { retry_after: None },
        ];
        for fault in faults {
            self.control
                .queue(subscriptions_of(BUSY).then(fault.step().times(3)));
            let request = GetInventoryRequest {
                sim: by_msisdn(BUSY),
                ..Default::default()
            };
            let _ = ask!(self, inventory, get_inventory, request);
            self.control.clear_faults();
        }
        self.control.queue(subscriptions_of(BUSY).then(Fault::Hang));
        let mut hurried = Request::new(GetInventoryRequest {
            sim: by_msisdn(BUSY),
            ..Default::default()
        });
        hurried.set_timeout(Duration::from_millis(150));
        assert!(inventory.get_inventory(hurried).await.is_err());
        // On a busy machine it is sent when its caller has left: it must not
        // take the fault of the next one.
        until("the read is sent", async || self.control.faults().is_empty()).await;
        self.control
            .queue(subscriptions_of("882470000000035").then(Fault::Hang));
        let request = GetInventoryRequest {
            sim: by_msisdn("882470000000035"),
            ..Default::default()
        };
        let _ = ask!(self, inventory, get_inventory, request);
        self.control.clear_faults();
        // For every SIM: a read of the background that succeeds would keep the
        // breaker closed.
        self.control
            .queue(Script::on("GET", SUBSCRIPTIONS).then(Fault::status(503).step().forever()));
        for _ in 0..20 {
            let request = GetInventoryRequest {
                sim: by_msisdn("882470000000037"),
                ..Default::default()
            };
            let _ = ask!(self, inventory, get_inventory, request);
        }
        self.control.clear_faults();
        let body = json!({ "error": "invalid_client", "error_description": PRIVATE });
        self.control
            .queue(Script::on("POST", TOKEN).then(Fault::body(401, body.to_string()).step().forever()));
        self.control.revoke_tokens();
        let mut esims = esim_client::EsimClient::new(self.channel.clone());
        let request = GetEsimRequest {
            sim: by_iccid("8988247000000000019"),
            ..Default::default()
        };
        ask!(self, esims, get_esim, request).unwrap_err();
    }
}
