//! The settings as the rest of the gateway uses them. Sections with rules of
//! their own have their own file.

use std::net::SocketAddr;
use std::time::Duration;

use super::esim::Esim;
use super::events::{Events, Webhook};
use super::identity::{Callers, Tls};
use super::limits::Limits;
use super::orders::Orders;
use super::prices::Prices;
use super::provider::{Outbound, Transatel};
use super::reader::{MILLISECOND, Reader, SECOND};
use super::stock::Stock;
use super::store::Store;
use super::telemetry::Telemetry;
use crate::domain::Language;

/// All settings. `default.toml` says what each is for.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[grpc]`
    pub grpc: Grpc,
    /// `[callers]`
    pub callers: Callers,
    /// `[admin]`
    pub admin: Admin,
    /// `[transatel]`, the account
    pub transatel: Transatel,
    /// `[transatel]`, how it is called
    pub outbound: Outbound,
    /// `[catalog]`
    pub catalog: Catalog,
    /// `[inventory]`
    pub inventory: Inventory,
    /// `[esim]`
    pub esim: Esim,
    /// `[store]`
    pub store: Store,
    /// `[orders]`
    pub orders: Orders,
    /// `callers.limits` and `orders.spend_per_day`. Boxed: what holds all settings
    /// has to stay small.
    pub limits: Box<Limits>,
    /// `[stock]`. Boxed: see `limits`.
    pub stock: Box<Stock>,
    /// `[prices]`; `None`: there is no list. Boxed: see `limits`.
    pub prices: Option<Box<Prices>>,
    /// `[webhook]`
    pub webhook: Webhook,
    /// `[events]`
    pub events: Events,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[shutdown]`
    pub shutdown: Shutdown,
    /// `[sandbox]`
    pub sandbox: Sandbox,
}

/// How callers reach the gateway.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Longest deadline of a unary call.
    pub max_deadline: Duration,
    /// Largest request message.
    pub max_request_bytes: usize,
    /// Largest header block.
    pub max_header_bytes: u32,
    /// Calls in flight per connection.
    pub max_streams_per_connection: u32,
    /// How often a silent connection is pinged.
    pub keepalive_interval: Duration,
    /// How long its answer may take.
    pub keepalive_timeout: Duration,
    /// Calls in flight in the whole process.
    pub max_in_flight: usize,
    /// Age at which a connection is asked to reconnect, before jitter.
    pub max_connection_age: Duration,
    /// From a connection to its HTTP/2 preface, TLS included.
    pub handshake_timeout: Duration,
    /// From the preface to the first call.
    pub first_call_timeout: Duration,
    /// `[grpc.tls]`; `None`: plain text.
    pub tls: Option<Tls>,
}

/// The port for operators.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Connections at once.
    pub max_connections: usize,
    /// Bound on reading a request's head, and on reading its body.
    pub read_timeout: Duration,
    /// What the page at `/` shows.
    pub page: AdminPage,
}

/// What the page for operators shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminPage {
    /// Ids of orders, unless `callers.allow` or `callers.scope` says who may read
    /// them.
    Auto,
    /// Ids of orders.
    Ids,
    /// Numbers of orders only.
    Counts,
    /// Nothing.
    Closed,
}

/// The catalog cache.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Age up to which an answer is fresh.
    pub fresh_for: Duration,
    /// Age up to which it may be used at all.
    pub usable_for: Duration,
    /// Language of calls that name none.
    pub default_language: Language,
    /// Languages kept at once.
    pub languages: u32,
    /// Longest wait for the first catalog before readiness.
    pub warm_up: Duration,
    /// How long versions are kept after they were current.
    pub keep_versions_for: Duration,
    /// Versions of a language that are kept.
    pub keep_versions: u32,
}

/// Reading many SIMs.
#[derive(Clone, Copy, Debug)]
pub struct Inventory {
    /// SIMs of one batch that are read at once.
    pub batch_concurrency: u32,
    /// Longest deadline of a batch.
    pub batch_deadline: Duration,
    /// ICCID and MSISDN pairs that are kept.
    pub sim_ids: u32,
}

/// Bounds of the shutdown.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// How long to keep serving after the signal.
    pub propagation_delay: Duration,
    /// How long calls in flight may take to finish.
    pub drain: Duration,
    /// How long orders on their way may take to be settled.
    pub order_drain: Duration,
}

/// The simulated provider.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Address to listen on.
    pub listen: SocketAddr,
}

impl Config {
    /// Reads every setting; problems stay with the reader. `None` only when
    /// there are problems.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let transatel = Transatel::read(reader);
        let store = Store::read(reader);
        let webhook = Webhook::read(reader);
        let grpc = Grpc::read(reader);
        let certificates = grpc.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
        let config = Self {
            grpc,
            callers: Callers::read(reader, certificates),
            admin: Admin {
                listen: reader.socket_address("admin.listen"),
                max_connections: reader.number("admin.max_connections", 1, 65_536) as usize,
                read_timeout: reader.duration("admin.read_timeout", MILLISECOND),
                page: reader.choice(
                    "admin.page",
                    &[
                        ("auto", AdminPage::Auto),
                        ("ids", AdminPage::Ids),
                        ("counts", AdminPage::Counts),
                        ("closed", AdminPage::Closed),
                    ],
                    AdminPage::Auto,
                ),
            },
            outbound: Outbound::read(reader),
            catalog: Catalog::read(reader),
            esim: Esim::read(reader),
            inventory: Inventory {
                batch_concurrency: reader.number("inventory.batch_concurrency", 1, 256),
                batch_deadline: reader.duration("inventory.batch_deadline", SECOND),
                sim_ids: reader.number("inventory.sim_ids", 1, 10_000_000),
            },
            orders: Orders::read(reader),
            limits: Box::new(Limits::read(reader)),
            stock: Box::new(Stock::read(reader)),
            prices: Prices::read(reader).map(Box::new),
            events: Events::read(reader, webhook.is_on()),
            webhook,
            telemetry: Telemetry::read(reader),
            shutdown: Shutdown {
                propagation_delay: reader.duration("shutdown.propagation_delay", Duration::ZERO),
                drain: reader.duration("shutdown.drain", Duration::ZERO),
                order_drain: reader.duration("shutdown.order_drain", Duration::ZERO),
            },
            sandbox: Sandbox {
                listen: reader.socket_address("sandbox.listen"),
            },
            store: store?,
            transatel: transatel?,
        };
        Some(config)
    }
}

impl Grpc {
    fn read(reader: &mut Reader) -> Self {
        Self {
            listen: reader.socket_address("grpc.listen"),
            max_deadline: reader.duration("grpc.max_deadline", SECOND),
            max_request_bytes: reader.number("grpc.max_request_bytes", 65_536, 16_777_216) as usize,
            max_header_bytes: reader.number("grpc.max_header_bytes", 4_096, 1_048_576),
            max_streams_per_connection: reader.number("grpc.max_streams_per_connection", 1, 65_536),
            keepalive_interval: reader.duration("grpc.keepalive_interval", SECOND),
            keepalive_timeout: reader.duration("grpc.keepalive_timeout", SECOND),
            max_in_flight: reader.number("grpc.max_in_flight", 1, 1_000_000) as usize,
            max_connection_age: reader.duration("grpc.max_connection_age", SECOND),
            handshake_timeout: reader.duration("grpc.handshake_timeout", Duration::from_millis(1)),
            first_call_timeout: reader.duration("grpc.first_call_timeout", Duration::from_millis(1)),
            tls: Tls::read(reader),
        }
    }
}

impl Catalog {
    fn read(reader: &mut Reader) -> Self {
        let catalog = Self {
            fresh_for: reader.duration("catalog.fresh_for", SECOND),
            usable_for: reader.duration("catalog.usable_for", SECOND),
            default_language: language(reader),
            languages: reader.number("catalog.languages", 1, 64),
            warm_up: reader.duration("catalog.warm_up", Duration::ZERO),
            keep_versions_for: reader.duration("catalog.keep_versions_for", SECOND),
            keep_versions: reader.number("catalog.keep_versions", 1, 10_000),
        };
        if catalog.usable_for < catalog.fresh_for {
            reader.problem("catalog.usable_for", "is shorter than catalog.fresh_for");
        }
        catalog
    }
}

fn language(reader: &mut Reader) -> Language {
    const KEY: &str = "catalog.default_language";
    let tag = reader.text(KEY);
    Language::parse(&tag).unwrap_or_else(|| {
        reader.problem(
            KEY,
            format!("{tag:?} is not a BCP 47 language tag (such as en-US)"),
        );
        Language::english()
    })
}
