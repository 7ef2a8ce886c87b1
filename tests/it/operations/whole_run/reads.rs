//! What only reads.

use serde_json::json;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Fault, Script};

use super::{PRIVATE, SCRIPTED, SUBSCRIBER, Visitor};
use crate::support::gateway::{FRANCE, TOKEN, by_iccid, by_msisdn, get};

impl Visitor {
    /// A token that the APIs refuse, then one that they take.
    pub(super) async fn tokens(&mut self) {
        let body = json!({ "access_token": SCRIPTED, "expires_in": 3600 });
        self.control
            .queue(Script::on("POST", TOKEN).then(Fault::body(200, body.to_string())));
        let mut catalog = CatalogClient::new(self.channel.clone());
        ask!(self, catalog, get_product, get(FRANCE)).unwrap();
    }

    pub(super) async fn catalog(&mut self) {
        let mut catalog = CatalogClient::new(self.channel.clone()).max_decoding_message_size(64 << 20);
        let listed = ListProductsRequest {
            countries: vec!["FR".into()],
            page_size: 2,
            ..Default::default()
        };
        ask!(self, catalog, list_products, listed).unwrap();
        ask!(
            self,
            catalog,
            list_destinations,
            ListDestinationsRequest::default()
        )
        .unwrap();
        ask!(self, catalog, get_product, get("NO_SUCH")).unwrap_err();
        let unknown = ListCatalogChangesRequest {
            start: Some(list_catalog_changes_request::Start::SinceVersion(
                "NO_SUCH".into(),
            )),
            ..Default::default()
        };
        ask!(self, catalog, list_catalog_changes, unknown).unwrap_err();
        for sim in [by_msisdn("882470000000001"), by_iccid("8988247000000000027")] {
            let request = CheckEligibilityRequest {
                sim,
                product_ids: vec![FRANCE.into(), "NO_SUCH".into()],
            };
            ask!(self, catalog, check_eligibility, request).unwrap();
            let request = ListEligibleProductsRequest {
                sim: by_msisdn("882470000000001"),
                countries: vec!["FR".into()],
                page_size: 2,
                ..Default::default()
            };
            ask!(self, catalog, list_eligible_products, request).unwrap();
        }
    }

    pub(super) async fn inventory(&mut self) {
        let mut inventory = InventoryClient::new(self.channel.clone());
        for number in [1, 2, 26, 36, 38] {
            let sim = self.control.sim(&number.to_string()).unwrap();
            let refs = [
                by_iccid(&sim.iccid),
                by_msisdn(&sim.msisdn),
                by_msisdn(&format!("+{}", sim.msisdn)),
            ];
            for sim_ref in refs {
                let request = GetInventoryRequest {
                    sim: sim_ref.clone(),
                    include_ended: true,
                    ..Default::default()
                };
                ask!(self, inventory, get_inventory, request).unwrap();
                let request = GetSimRequest { sim: sim_ref.clone() };
                ask!(self, inventory, get_sim, request).unwrap();
                let request = GetSubscriptionRequest {
                    sim: sim_ref,
                    subscription_id: "NO_SUCH".into(),
                };
                ask!(self, inventory, get_subscription, request).unwrap_err();
            }
        }
        let sims = (1..=100).filter_map(|number| by_msisdn(&format!("88247{number:010}")));
        let request = BatchGetInventoryRequest {
            sims: sims.chain(by_iccid("8988247000000999999")).collect(),
            ..Default::default()
        };
        let mut batch = ask!(self, inventory, batch_get_inventory, request).unwrap();
        while let Some(answer) = batch.message().await.unwrap() {
            self.printed.push(format!("{answer:?}"));
        }
        let request = ListSimsRequest {
            page_size: 60,
            ..Default::default()
        };
        ask!(self, inventory, list_sims, request).unwrap();
        // What is wrong with a request is said without what was in it.
        for wrong in ["8988247000000000019x", "++882470000000001"] {
            for sim in [by_iccid(wrong), by_msisdn(wrong)] {
                ask!(self, inventory, get_sim, GetSimRequest { sim }).unwrap_err();
            }
        }
        // A refusal whose words are personal, an answer about somebody else.
        let body = json!({ "title": "ODD", "detail": format!("{PRIVATE}: 882470000000003"), "status": 400 });
        let other = json!({ "sims": [{ "simSerial": "8988247000000000043", "group": SUBSCRIBER }] });
        self.control.queue(
            Script::on_path("/sim-search")
                .then(Fault::body(400, body.to_string()))
                .then(Fault::body(200, other.to_string())),
        );
        for number in [51, 52] {
            let sim = by_msisdn(&format!("88247{number:010}"));
            let _ = ask!(self, inventory, get_sim, GetSimRequest { sim });
        }
    }
}
