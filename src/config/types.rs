//! The settings as the rest of the gateway uses them.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::events::{Events, Webhook};
use super::identity::{Callers, Tls};
use super::reader::Reader;
use super::store::Store;
use crate::domain::Language;
use crate::domain::change::OptionalOperation;

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
    /// `[store]`
    pub store: Store,
    /// `[orders]`
    pub orders: Orders,
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
    /// `[grpc.tls]`; `None`: plain text.
    pub tls: Option<Tls>,
}

/// The operator's side door.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Address to listen on.
    pub listen: SocketAddr,
}

/// The account at the provider.
#[derive(Clone, Debug)]
pub struct Transatel {
    /// The provider's gateway.
    pub base_url: Url,
    /// OAuth2 client.
    pub client_id: String,
    /// OAuth2 secret.
    pub client_secret: SecretString,
    /// Scopes to ask for; empty for all that are granted.
    pub scopes: Vec<String>,
    /// Class of service.
    pub cos: String,
    /// Name of the account in orders; without it nothing can be ordered.
    pub mvno_ref: Option<String>,
    /// Who pays, by the provider's word.
    pub payment_provider: String,
    /// Our name in orders.
    pub source: String,
    /// Sent with every change of a SIM that names no other.
    pub rate_plan: Option<String>,
    /// What this account may do beyond buying.
    pub enabled_operations: Vec<OptionalOperation>,
    /// The provider's word.
    pub cancel_renewal_order_type: String,
    /// The provider's word.
    pub terminate_order_type: String,
    /// Where an order on a bundle names it.
    pub subscription_member: String,
    /// Statuses of bundles that are not over, as inventory takes them.
    pub live_statuses: Vec<String>,
    /// Statuses of bundles that are over.
    pub ended_statuses: Vec<String>,
}

/// How the provider is called.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Bound on connecting.
    pub connect_timeout: Duration,
    /// Bound on one attempt at a small request.
    pub attempt_timeout: Duration,
    /// Bound on one attempt at the whole catalog.
    pub catalog_timeout: Duration,
    /// Largest answer that is read.
    pub max_answer_bytes: usize,
    /// Attempts at a read, the first included.
    pub read_attempts: u32,
    /// Longest wait before the second attempt.
    pub retry_first_wait: Duration,
    /// Longest wait before any attempt.
    pub retry_longest_wait: Duration,
    /// Retries per call, on average.
    pub retry_ratio: f32,
    /// Failures in a row after which an API is left alone.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_open_for: Duration,
    /// Requests in flight per API.
    pub concurrency: usize,
    /// Longest wait for room among them.
    pub concurrency_wait: Duration,
    /// Requests a second in all; 0 for no bound.
    pub requests_per_second: u32,
    /// How long an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// How often a connection with requests in flight is pinged.
    pub http2_keepalive_interval: Duration,
    /// The way out, when there is one.
    pub proxy: Option<Url>,
    /// PEM file of certificates to trust beside the machine's.
    pub ca_file: Option<String>,
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

/// Buying, and finding out what was bought.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// Bound on one send of an order.
    pub send_timeout: Duration,
    /// A process that has not settled an order by then is taken for dead.
    pub lease: Duration,
    /// First look at what became of an order.
    pub reconcile_after: Duration,
    /// Longest time between two looks.
    pub reconcile_at_most: Duration,
    /// A bundle that has not shown by then was not bought.
    pub settle_window: Duration,
    /// An operator is called when nothing can be found out for so long.
    pub escalate_after: Duration,
    /// How long settled orders are kept.
    pub keep_for: Duration,
    /// First look at a change of a SIM that was accepted.
    pub poll_after: Duration,
    /// From then on it is not taken for being carried out any more.
    pub give_up_after: Duration,
}

/// Logs, traces and metrics.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Collector, when there is one.
    pub otlp_endpoint: Option<Url>,
    /// Share of own traces that are recorded.
    pub sample_ratio: f64,
    /// Shape of a log line.
    pub log_format: LogFormat,
    /// Level or directives.
    pub log_level: String,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// Bounds of the way down.
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

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

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
            },
            outbound: Outbound::read(reader),
            catalog: Catalog::read(reader),
            inventory: Inventory {
                batch_concurrency: reader.number("inventory.batch_concurrency", 1, 256),
                batch_deadline: reader.duration("inventory.batch_deadline", SECOND),
                sim_ids: reader.number("inventory.sim_ids", 1, 10_000_000),
            },
            orders: Orders::read(reader),
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
            tls: Tls::read(reader),
        }
    }
}

impl Transatel {
    fn read(reader: &mut Reader) -> Option<Self> {
        let base_url = base_url(reader);
        let client_id = reader.text("transatel.client_id");
        let client_secret = reader.secret("transatel.client_secret");
        let scopes = reader.list("transatel.scopes");
        let cos = reader.text("transatel.cos");
        let mvno_ref = reader.optional_text("transatel.mvno_ref");
        let payment_provider = reader.text("transatel.payment_provider");
        let source = reader.text("transatel.source");
        let rate_plan = reader.optional_text("transatel.rate_plan");
        let enabled_operations = enabled_operations(reader);
        let cancel_renewal_order_type = reader.text("transatel.cancel_renewal_order_type");
        let terminate_order_type = reader.text("transatel.terminate_order_type");
        let subscription_member = reader.text("transatel.subscription_member");
        let live_statuses = reader.list("transatel.live_statuses");
        let ended_statuses = reader.list("transatel.ended_statuses");
        if live_statuses.is_empty() {
            reader.problem("transatel.live_statuses", "must name at least one status");
        }
        let base_url = base_url?;
        Some(Self {
            base_url,
            client_id,
            client_secret,
            scopes,
            cos,
            mvno_ref,
            payment_provider,
            source,
            rate_plan,
            enabled_operations,
            cancel_renewal_order_type,
            terminate_order_type,
            subscription_member,
            live_statuses,
            ended_statuses,
        })
    }
}

impl Outbound {
    fn read(reader: &mut Reader) -> Self {
        let outbound = Self {
            connect_timeout: reader.duration("transatel.connect_timeout", MILLISECOND),
            attempt_timeout: reader.duration("transatel.attempt_timeout", MILLISECOND),
            catalog_timeout: reader.duration("transatel.catalog_timeout", MILLISECOND),
            max_answer_bytes: reader.number("transatel.max_answer_bytes", 65_536, 1_073_741_824) as usize,
            read_attempts: reader.number("transatel.read_attempts", 1, 10),
            retry_first_wait: reader.duration("transatel.retry_first_wait", MILLISECOND),
            retry_longest_wait: reader.duration("transatel.retry_longest_wait", MILLISECOND),
            retry_ratio: reader.ratio("transatel.retry_ratio") as f32,
            breaker_failures: reader.number("breaker.failures", 1, 1_000_000),
            breaker_open_for: reader.duration("breaker.open_for", MILLISECOND),
            concurrency: reader.number("transatel.concurrency", 1, 65_536) as usize,
            concurrency_wait: reader.duration("transatel.concurrency_wait", MILLISECOND),
            requests_per_second: reader.number("transatel.requests_per_second", 0, 100_000),
            pool_idle_timeout: reader.duration("transatel.pool_idle_timeout", SECOND),
            http2_keepalive_interval: reader.duration("transatel.http2_keepalive_interval", SECOND),
            proxy: proxy(reader),
            ca_file: reader.optional_text("transatel.ca_file"),
        };
        if outbound.retry_longest_wait < outbound.retry_first_wait {
            reader.problem(
                "transatel.retry_longest_wait",
                "is shorter than transatel.retry_first_wait",
            );
        }
        outbound
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
        };
        if catalog.usable_for < catalog.fresh_for {
            reader.problem("catalog.usable_for", "is shorter than catalog.fresh_for");
        }
        catalog
    }
}

impl Orders {
    fn read(reader: &mut Reader) -> Self {
        let orders = Self {
            send_timeout: reader.duration("orders.send_timeout", MILLISECOND),
            // Below it a slow commit would look like a process that has died.
            lease: reader.duration("orders.lease", SECOND),
            reconcile_after: reader.duration("orders.reconcile_after", MILLISECOND),
            reconcile_at_most: reader.duration("orders.reconcile_at_most", MILLISECOND),
            settle_window: reader.duration("orders.settle_window", SHORTEST_WINDOW),
            escalate_after: reader.duration("orders.escalate_after", SHORTEST_WINDOW),
            keep_for: reader.duration("orders.keep_for", LEAST_KEPT),
            poll_after: reader.duration("operations.poll_after", MILLISECOND),
            give_up_after: reader.duration("operations.give_up_after", MILLISECOND),
        };
        if orders.reconcile_at_most < orders.reconcile_after {
            reader.problem(
                "orders.reconcile_at_most",
                "is shorter than orders.reconcile_after",
            );
        }
        if orders.settle_window < orders.reconcile_after * 2 {
            let text = "is shorter than twice orders.reconcile_after: an order has to be looked for at least \
                        twice before it is taken for not placed";
            reader.problem("orders.settle_window", text);
        }
        if orders.escalate_after < orders.settle_window {
            reader.problem("orders.escalate_after", "is shorter than orders.settle_window");
        }
        orders
    }
}

/// No provider shows what it did sooner; far below what is sensible, so that
/// tests can be quick.
const SHORTEST_WINDOW: Duration = Duration::from_millis(10);

/// A `request_id` protects as long as its order is kept.
const LEAST_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

impl Telemetry {
    fn read(reader: &mut Reader) -> Self {
        Self {
            otlp_endpoint: reader.optional_url("telemetry.otlp_endpoint"),
            sample_ratio: reader.ratio("telemetry.sample_ratio"),
            log_format: reader.choice(
                "telemetry.log_format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                LogFormat::Text,
            ),
            log_level: log_level(reader),
        }
    }
}

/// The provider's address. Credentials travel to it, so that plain http is
/// for loopback only: the simulator.
fn base_url(reader: &mut Reader) -> Option<Url> {
    const KEY: &str = "transatel.base_url";
    let url = reader.url(KEY)?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "http" && !loopback {
        reader.problem(KEY, "has to be https: credentials are sent to it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        reader.problem(KEY, "may have a path, but no query and no fragment");
    }
    Some(url)
}

/// The proxy. Settings are printed, so that no password may be in one.
fn proxy(reader: &mut Reader) -> Option<Url> {
    const KEY: &str = "transatel.proxy";
    let url = reader.optional_url(KEY)?;
    if !url.username().is_empty() || url.password().is_some() {
        reader.problem(KEY, "may not hold a user or a password");
    }
    Some(url)
}

fn enabled_operations(reader: &mut Reader) -> Vec<OptionalOperation> {
    const KEY: &str = "transatel.enabled_operations";
    let mut enabled = Vec::new();
    for name in reader.list(KEY) {
        match OptionalOperation::named(&name) {
            Some(operation) => enabled.push(operation),
            None => {
                let names = OptionalOperation::ALL.map(OptionalOperation::name).join(", ");
                reader.problem(KEY, format!("{name:?} is none of {names}"));
            }
        }
    }
    enabled
}

fn language(reader: &mut Reader) -> Language {
    const KEY: &str = "catalog.default_language";
    let tag = reader.text(KEY);
    Language::parse(&tag).unwrap_or_else(|| {
        reader.problem(KEY, format!("{tag:?} is no BCP 47 language tag (such as en-US)"));
        Language::english()
    })
}

fn log_level(reader: &mut Reader) -> String {
    const KEY: &str = "telemetry.log_level";
    let level = reader.text(KEY);
    if let Err(problem) = super::log_filter(&level) {
        reader.problem(KEY, problem);
    }
    level
}
