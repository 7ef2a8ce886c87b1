//! Combines services, health, reflection and layers, and serves them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::Gzip;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};

use super::DESCRIPTORS;
use super::catalog::Handler as CatalogHandler;
use super::certificates::Certificates;
use super::dispatch::{Dispatch, compressing, entry};
use super::esim::Handler as EsimHandler;
use super::events::Handler as EventsHandler;
use super::incoming::{Incoming, Limits};
use super::inventory::Handler as InventoryHandler;
use super::layers::admission::Admission;
use super::layers::calls::CallLimits;
use super::layers::deadline::{DeadlineLayer, Exceptions};
use super::layers::gate::Gate;
use super::layers::identity::Identity;
use super::layers::metadata::MetadataLimit;
use super::layers::policy::Access;
use super::layers::telemetry::TelemetryLayer;
use super::provisioning::Handler as ProvisioningHandler;
use crate::config;
use crate::pb::connectivity::v1::catalog_server::{CatalogServer, SERVICE_NAME as CATALOG};
use crate::pb::connectivity::v1::esim_server::{EsimServer, SERVICE_NAME as ESIM};
use crate::pb::connectivity::v1::events_server::{EventsServer, SERVICE_NAME as EVENTS};
use crate::pb::connectivity::v1::inventory_server::{InventoryServer, SERVICE_NAME as INVENTORY};
use crate::pb::connectivity::v1::provisioning_server::{ProvisioningServer, SERVICE_NAME as PROVISIONING};
use crate::service::{Catalog, Esims, Events, Inventory, Prices, Sales, Sims, Stock, Writes};
use crate::telemetry::{Metrics, Sampling};

/// The use cases to serve.
pub struct Services {
    /// The Catalog service.
    pub catalog: Catalog,
    /// The Inventory service: subscriptions.
    pub inventory: Inventory,
    /// The Inventory service: SIMs.
    pub sims: Sims,
    /// The Esim service.
    pub esims: Esims,
    /// The Provisioning service: orders.
    pub orders: Writes,
    /// The Provisioning service: orders from the stock.
    pub sales: Sales,
    /// The Inventory and Provisioning services: the stock.
    pub stock: Stock,
    /// The Provisioning service: what orders cost.
    pub prices: Prices,
    /// The Events service.
    pub events: Events,
}

/// The health service of gRPC.
const HEALTH: &str = "grpc.health.v1.Health";

impl Services {
    /// Full names of the services, for health.
    pub const NAMES: [&'static str; 5] = [CATALOG, INVENTORY, ESIM, PROVISIONING, EVENTS];

    fn dispatch<H: HealthApi>(
        self,
        config: &config::Grpc,
        health: HealthServer<H>,
        access: &Access,
    ) -> Result<Dispatch, tonic_reflection::server::Error> {
        let most = config.max_request_bytes;
        // grpcurl and others still use v1alpha.
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                // So that grpcurl can print the details of an error.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // Each version lists both, and tools ask for whatever is listed.
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
                .with_service_name(CATALOG)
                .with_service_name(INVENTORY)
                .with_service_name(ESIM)
                .with_service_name(PROVISIONING)
                .with_service_name(EVENTS)
                .with_service_name(HEALTH)
                .with_service_name("grpc.reflection.v1.ServerReflection")
                .with_service_name("grpc.reflection.v1alpha.ServerReflection")
        };
        let catalog = CatalogServer::new(CatalogHandler(self.catalog));
        let inventory = InventoryServer::new(InventoryHandler {
            inventory: self.inventory,
            sims: self.sims,
            stock: self.stock.clone(),
        });
        let esims = EsimServer::new(EsimHandler(self.esims));
        let provisioning = ProvisioningServer::new(ProvisioningHandler {
            orders: self.orders,
            sales: self.sales,
            stock: self.stock,
            prices: self.prices,
            access: access.clone(),
        });
        let events = EventsServer::new(EventsHandler(self.events));
        macro_rules! bounded {
            ($service:expr) => {{
                let service = $service
                    .max_decoding_message_size(most)
                    .accept_compressed(Gzip);
                compressing(service.clone(), service.send_compressed(Gzip))
            }};
        }
        let services = [
            bounded!(catalog),
            bounded!(inventory),
            bounded!(esims),
            bounded!(provisioning),
            bounded!(events),
            entry(health),
            entry(reflection().build_v1()?),
            entry(reflection().build_v1alpha()?),
        ];
        Ok(Dispatch::new(services, most))
    }
}

/// Why the server cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors are unusable: a defect of the build.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener failed.
    #[error("gRPC server: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Settings that apply to every call, whatever its handler.
pub struct EveryCall {
    /// Counts calls.
    pub metrics: Arc<Metrics>,
    /// Which calls are traced.
    pub sampling: Sampling,
    /// Whether a simulator plays the provider, which every answer says.
    pub simulated: bool,
    /// Methods with a deadline of their own.
    pub deadlines: Exceptions,
    /// How callers are identified, and what each may call.
    pub callers: config::Callers,
    /// How often each may call.
    pub limits: Box<config::Limits>,
}

/// The server, ready to serve.
pub struct Server<H: HealthApi> {
    /// Accepts callers.
    pub listener: TcpListener,
    /// TLS of connections; `None` for plain text.
    pub certificates: Option<Arc<Certificates>>,
    /// How many connections the process has descriptors for.
    pub max_connections: usize,
    /// The services.
    pub services: Services,
    /// The health service.
    pub health: HealthServer<H>,
    /// The layers.
    pub every_call: EveryCall,
}

impl<H: HealthApi> Server<H> {
    /// Serves until `stop`, then lets calls in flight finish: a call that never
    /// ends keeps this from returning, so bound it.
    ///
    /// # Errors
    /// When the server cannot be built.
    pub async fn serve(
        self,
        config: &config::Grpc,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let EveryCall {
            metrics,
            sampling,
            simulated,
            deadlines,
            callers,
            limits: of_callers,
        } = self.every_call;
        let access = Access::new(&callers);
        let dispatch = self.services.dispatch(config, self.health, &access)?;
        let of_callers = CallLimits::new(&of_callers.named, of_callers.others.as_ref(), &metrics);
        let secured = self.certificates.is_some();
        let limits = Limits {
            connections: self.max_connections,
            handshake: config.handshake_timeout,
            first_call: config.first_call_timeout,
        };
        let incoming = Incoming::new(self.listener, self.certificates, limits);
        tonic::transport::Server::builder()
            .layer(Gate(Identity::new(secured, callers.forwarded.clone())))
            .layer(TelemetryLayer::new(&metrics, methods(), sampling, simulated))
            .layer(Gate(MetadataLimit::new(config.max_header_bytes)))
            .layer(Gate(access))
            .layer(Gate(Admission::new(config.max_in_flight, of_callers, &metrics)))
            .layer(DeadlineLayer::new(config.max_deadline, deadlines))
            .max_concurrent_streams(config.max_streams_per_connection)
            .http2_max_pending_accept_reset_streams(Some(CANCELLED_UNSEEN))
            .http2_max_header_list_size(MetadataLimit::accepted(config.max_header_bytes))
            .http2_keepalive_interval(Some(config.keepalive_interval))
            .http2_keepalive_timeout(Some(config.keepalive_timeout))
            // Without a grace period: with one, calls in flight would be cut
            // off.
            .max_connection_age(jittered(config.max_connection_age))
            .serve_with_incoming_shutdown(dispatch, incoming.connections(), stop)
            .await?;
        Ok(())
    }
}

/// Calls on one connection that may be cancelled before the server has seen
/// them; one more, and the connection is closed with all that is on it. A
/// client with deadlines of 5 ms, as a proxy that many callers share, starts
/// and cancels more than a thousand while a busy server waits for a processor.
const CANCELLED_UNSEEN: usize = 10_000;

/// Varied by up to a tenth, so that replicas that started together do not
/// disconnect their clients together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// Full names of all methods that are served, and whether they stream.
fn methods() -> Vec<(&'static str, bool)> {
    const OTHERS: [(&str, bool); 4] = [
        ("grpc.health.v1.Health/Check", false),
        ("grpc.health.v1.Health/Watch", true),
        ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true),
        (
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            true,
        ),
    ];
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let mut methods = OTHERS.to_vec();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                // Once per process and method: labels live as long as it does.
                let name: &'static str = Box::leak(name.into_boxed_str());
                methods.push((name, method.server_streaming()));
            }
        }
    }
    methods
}
