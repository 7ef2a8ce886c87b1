//! The stock: imported, reserved, sold, moved, withdrawn, and set aside for
//! every reason.

use serde_json::json;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, Script};
use uuid::Uuid;

use super::Visitor;
use crate::support::gateway::{FRANCE, ORDERS, Provisioning};

const POOL: &str = "pool-1";

impl Visitor {
    pub(super) async fn stock(&mut self) {
        let mut inventory = InventoryClient::new(self.channel.clone());
        let mut client = Provisioning::new(self.channel.clone());
        let fresh = self.control.find_sims(Criteria::FRESH, usize::MAX);
        let mut free = fresh.into_iter().filter(|sim| sim.eid.is_none());
        let cards: Vec<String> = free.by_ref().map(|sim| sim.iccid).take(4).collect();
        let import = ImportStockRequest {
            pool: POOL.into(),
            sims: cards
                .iter()
                .map(|iccid| DeliveredSim {
                    iccid: iccid.clone(),
                    msisdn: String::new(),
                })
                .collect(),
            validate_only: false,
        };
        ask!(self, inventory, import_stock, import).unwrap();
        let sale = || CreateOrderRequest {
            request_id: Uuid::new_v4().to_string(),
            product_id: FRANCE.into(),
            pool: POOL.into(),
            ..Default::default()
        };
        let refusal = json!({ "title": "SUBSCRIBER_STATUS_NOT_ELIGIBLE" });
        self.control
            .queue(Script::on("POST", ORDERS).then(Fault::body(409, refusal.to_string())));
        ask!(self, client, create_order, sale()).unwrap();
        let reserve = ReserveSimRequest {
            request_id: Uuid::new_v4().to_string(),
            pool: POOL.into(),
            ..Default::default()
        };
        ask!(self, client, reserve_sim, reserve.clone()).unwrap();
        let release = ReleaseSimRequest {
            reservation_id: reserve.request_id,
        };
        ask!(self, client, release_sim, release).unwrap();
        ask!(self, inventory, get_stock, GetStockRequest::default()).unwrap();
        ask!(self, inventory, list_stock, ListStockRequest::default()).unwrap();
        let move_stock = MoveStockRequest {
            iccids: vec![cards[3].clone()],
            pool: "pool-2".into(),
        };
        ask!(self, inventory, move_stock, move_stock).unwrap();
        let withdraw = WithdrawSimRequest {
            iccid: cards[3].clone(),
        };
        ask!(self, inventory, withdraw_sim, withdraw).unwrap();
        let none = CreateOrderRequest {
            pool: "pool-2".into(),
            ..sale()
        };
        ask!(self, client, create_order, none).unwrap_err();
    }
}
