//! `[transatel]`: the account at the provider, and how it is called.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::reader::{MILLISECOND, Reader, SECOND};
use crate::domain::change::OptionalOperation;

/// The account at the provider.
#[derive(Clone, Debug)]
pub struct Transatel {
    /// Whether a simulator plays the provider: nothing is bought.
    pub simulated: bool,
    /// The provider's gateway.
    pub base_url: Url,
    /// OAuth2 client.
    pub client_id: String,
    /// OAuth2 secret.
    pub client_secret: SecretString,
    /// The file that it is in, if it is.
    pub client_secret_file: Option<PathBuf>,
    /// Scopes to ask for; empty for all that are granted.
    pub scopes: Vec<String>,
    /// Class of service.
    pub cos: String,
    /// Name of the account in orders; without it nothing can be ordered.
    pub mvno_ref: Option<String>,
    /// Who pays, as the provider's API calls it.
    pub payment_provider: String,
    /// Our name in orders.
    pub source: String,
    /// Sent with every change of a SIM that names no other.
    pub rate_plan: Option<String>,
    /// Whether an empty label clears it.
    pub clears_labels: bool,
    /// What this account may do beyond buying.
    pub enabled_operations: Vec<OptionalOperation>,
    /// Its `orderType` in the provider's API.
    pub cancel_renewal_order_type: String,
    /// Its `orderType` in the provider's API.
    pub terminate_order_type: String,
    /// The member of an order that names a subscription.
    pub subscription_member: String,
    /// The member of an add-on's order that names the subscription that it is
    /// added to; without it add-ons cannot be ordered.
    pub parent_member: Option<String>,
    /// Statuses of subscriptions that are not over, as the inventory takes them.
    pub live_statuses: Vec<String>,
    /// Statuses of subscriptions that are over.
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

impl Transatel {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let simulated = reader.choice(
            "transatel.provider",
            &[("transatel", false), ("simulator", true)],
            false,
        );
        let base_url = base_url(reader, simulated);
        let client_id = reader.text("transatel.client_id");
        let client_secret = reader.secret("transatel.client_secret");
        let client_secret_file = reader.optional_text("transatel.client_secret_file");
        if simulated {
            let secret_key = match client_secret_file {
                None => "transatel.client_secret",
                Some(_) => "transatel.client_secret_file",
            };
            ensure_simulators(reader, "transatel.client_id", &client_id, SIMULATORS_CLIENT);
            ensure_simulators(
                reader,
                secret_key,
                client_secret.expose_secret(),
                SIMULATORS_SECRET,
            );
        }
        let scopes = reader.list("transatel.scopes");
        let cos = reader.text("transatel.cos");
        let mvno_ref = reader.optional_text("transatel.mvno_ref");
        let payment_provider = reader.text("transatel.payment_provider");
        let source = reader.text("transatel.source");
        let rate_plan = reader.optional_text("transatel.rate_plan");
        let clears_labels = reader.choice(
            "transatel.empty_label",
            &[("refused", false), ("clears", true)],
            false,
        );
        let enabled_operations = enabled_operations(reader);
        let cancel_renewal_order_type = reader.text("transatel.cancel_renewal_order_type");
        let terminate_order_type = reader.text("transatel.terminate_order_type");
        let subscription_member = reader.text("transatel.subscription_member");
        let parent_member = parent_member(reader);
        let live_statuses = reader.list("transatel.live_statuses");
        let ended_statuses = reader.list("transatel.ended_statuses");
        if live_statuses.is_empty() {
            reader.problem("transatel.live_statuses", "must name at least one status");
        }
        let base_url = base_url?;
        Some(Self {
            simulated,
            base_url,
            client_id,
            client_secret,
            client_secret_file: client_secret_file.map(PathBuf::from),
            scopes,
            cos,
            mvno_ref,
            payment_provider,
            source,
            rate_plan,
            clears_labels,
            enabled_operations,
            cancel_renewal_order_type,
            terminate_order_type,
            subscription_member,
            parent_member,
            live_statuses,
            ended_statuses,
        })
    }
}

impl Outbound {
    pub(super) fn read(reader: &mut Reader) -> Self {
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

/// The credentials of every simulator. They may be known: nothing can be bought with
/// them.
const SIMULATORS_CLIENT: &str = "sandbox";
const SIMULATORS_SECRET: &str = "sandbox-secret";

/// A simulator is not given an account's credentials.
fn ensure_simulators(reader: &mut Reader, key: &str, given: &str, own: &str) {
    // What is missing is reported as that.
    if !given.is_empty() && given != own {
        let text = format!("has to be {own:?}: a simulator is not given an account's credentials");
        reader.problem(key, text);
    }
}

/// The provider's own domain.
const TRANSATEL: &str = "transatel.com";

/// The provider's address. Credentials travel to it, so that plain http is
/// for loopback only, or for a simulator.
fn base_url(reader: &mut Reader, simulated: bool) -> Option<Url> {
    const KEY: &str = "transatel.base_url";
    let url = reader.url(KEY)?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    // A name may end with the dot of the root.
    let domain = url.domain().unwrap_or_default().trim_end_matches('.');
    if simulated && (domain == TRANSATEL || domain.ends_with(&format!(".{TRANSATEL}"))) {
        reader.problem(
            KEY,
            "is Transatel's own, and transatel.provider says \"simulator\"",
        );
    }
    if url.scheme() == "http" && !loopback && !simulated {
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

/// Members that an order has anyway.
const ORDER_MEMBERS: [&str; 7] = [
    "bind",
    "mvnoRef",
    "orderType",
    "payment",
    "product",
    "source",
    "transactionReference",
];

/// A path of members that is not a member which the order has already.
fn parent_member(reader: &mut Reader) -> Option<String> {
    const KEY: &str = "transatel.parent_member";
    let path = reader.optional_text(KEY)?;
    let mut names = path.split('/').filter(|name| !name.is_empty());
    match (names.next(), names.next()) {
        (None, _) => reader.problem(KEY, "names no member, for example parentSubscriptionId"),
        (Some(only), None) if ORDER_MEMBERS.contains(&only) => {
            reader.problem(KEY, format!("{only:?} is a member that every order has"));
        }
        (Some(_), _) => {}
    }
    Some(path)
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
