//! Callers that see only what they requested themselves, on both stores.

mod events;
mod every_method;
mod requests;

use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use transatel_gateway::app::Seams;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Sandbox, Webhook};

use crate::support::gateway::{Gateway, OPERATIONS, SECRET, Secret, simulator};
use crate::support::postgres;

/// A shop, another one, and support, which sees everything.
const SHOP: &str = "shop";
const OTHER: &str = "other";
const SUPPORT: &str = "support";
const POOL: &str = "pool";

/// Names a caller as the proxy of a mesh does.
#[derive(Clone, Copy)]
struct As(&'static str);

impl Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let name = self.0.parse().unwrap();
        request.metadata_mut().insert("l5d-client-id", name);
        Ok(request)
    }
}

type Named = InterceptedService<Channel, As>;
type Orders = api::provisioning_client::ProvisioningClient<Named>;
type Events = api::events_client::EventsClient<Named>;
type Inventory = api::inventory_client::InventoryClient<Named>;

struct Stage {
    sandbox: Sandbox,
    gateway: Gateway,
    _secret: Secret,
}

impl Stage {
    async fn on(store: &str) -> Self {
        Self::with(store, &[], Seams::default()).await
    }

    async fn with(store: &str, more: &[(&str, &str)], seams: Seams) -> Self {
        let sandbox = simulator().await;
        let control = sandbox.control();
        control.configure(|settings| settings.follow_ups.enabled = true);
        let secret = Secret::new(SECRET);
        let own = [
            ("STORE__URL", store),
            ("CALLERS__HEADER", "l5d-client-id"),
            ("CALLERS__HEADER_FROM", "127.0.0.1"),
            ("CALLERS__SCOPE", r#"{ "support" = "all", "*" = "own" }"#),
            ("EVENTS__HEARTBEAT", "20ms"),
            // What is in flight stays so.
            ("ORDERS__SETTLE_WINDOW", "15m"),
            ("ORDERS__RECONCILE_AFTER", "5s"),
            ("ORDERS__RECONCILE_AT_MOST", "30m"),
        ];
        let all = [&OPERATIONS[..], &secret.settings(), &own, more].concat();
        let gateway = Gateway::start_in(&sandbox.base_url(), &all, seams).await;
        let webhook = Webhook::new(gateway.webhook(), SECRET);
        control.set_webhook(Some(webhook)).unwrap();
        let stage = Self {
            sandbox,
            gateway,
            _secret: secret,
        };
        let sims = control.delivery().into_iter().map(|sim| api::DeliveredSim {
            iccid: sim.iccid,
            ..Default::default()
        });
        let delivery = api::ImportStockRequest {
            pool: POOL.into(),
            sims: sims.collect(),
            validate_only: false,
        };
        stage.inventory(SUPPORT).import_stock(delivery).await.unwrap();
        stage
    }

    /// On SQLite and, where there is one, on PostgreSQL.
    async fn each() -> Vec<Self> {
        Self::each_with(&[]).await
    }

    /// The same, where callers without a name are served, and see everything.
    async fn each_with_unnamed_callers() -> Vec<Self> {
        Self::each_with(&[("CALLERS__SCOPE", r#"{ "shop" = "own" }"#)]).await
    }

    async fn each_with(more: &[(&str, &str)]) -> Vec<Self> {
        let mut stages = vec![Self::with("sqlite::memory:", more, Seams::default()).await];
        if let Some(store) = postgres::database().await {
            stages.push(Self::with(&store, more, Seams::default()).await);
        }
        stages
    }

    fn named(&self, caller: &'static str) -> Named {
        Named::new(self.gateway.channel(), As(caller))
    }

    fn orders(&self, caller: &'static str) -> Orders {
        Orders::new(self.named(caller))
    }

    fn events(&self, caller: &'static str) -> Events {
        Events::new(self.named(caller))
    }

    fn inventory(&self, caller: &'static str) -> Inventory {
        Inventory::new(self.named(caller))
    }

    async fn buy(
        &self,
        caller: &'static str,
        request: &api::CreateOrderRequest,
    ) -> Result<api::Order, Status> {
        let answer = self.orders(caller).create_order(request.clone()).await?;
        Ok(answer.into_inner().order.unwrap())
    }

    async fn reserve(
        &self,
        caller: &'static str,
        request: &api::ReserveSimRequest,
    ) -> Result<api::SimReservation, Status> {
        let answer = self.orders(caller).reserve_sim(request.clone()).await?;
        Ok(answer.into_inner().reservation.unwrap())
    }
}

fn reservation() -> api::ReserveSimRequest {
    api::ReserveSimRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        pool: POOL.into(),
        ..Default::default()
    }
}
