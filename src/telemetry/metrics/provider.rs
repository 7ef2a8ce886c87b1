//! Metrics of requests to the provider.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use super::moment::Moment;
use super::{Metrics, seconds};

#[derive(Debug)]
pub(super) struct Provider {
    exchanges: Histogram<f64>,
    unreadable: Counter<u64>,
    held_back: Counter<u64>,
    token_expires: Moment,
    token_last_loaded: Moment,
    simulated: Gauge<u64>,
}

/// Why a request is not sent.
const HELD_BACK: [&str; 3] = ["circuit_open", "crowded", "retry_budget"];

/// A request that was sent, and how it ended.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The API.
    pub api: &'static str,
    /// How it ended, in a word.
    pub outcome: &'static str,
    /// HTTP method.
    pub method: &'a str,
    /// The path with placeholders.
    pub template: &'static str,
    /// Host of the server.
    pub address: &'a Arc<str>,
    /// Port of the server.
    pub port: Option<u16>,
    /// Status of the answer.
    pub status: Option<u16>,
    /// `error.type` of a failure.
    pub error_type: Option<&'a str>,
    /// From the beginning to the end of the answer.
    pub took: Duration,
}

impl Provider {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            exchanges: seconds(
                meter,
                "http.client.request.duration",
                "Requests sent to the provider, to the end of the answer",
            ),
            unreadable: meter
                .u64_counter("transatel_gateway.provider.unreadable")
                .with_description("Successful answers of the provider that could not be read")
                .build(),
            held_back: meter
                .u64_counter("transatel_gateway.provider.held_back")
                .with_description("Requests to the provider that were not sent, by API and reason")
                .build(),
            token_expires: Moment::unknown(
                meter,
                "transatel_gateway.token.expires",
                "When the token that was granted last expires, in seconds since 1970; missing before the first",
            ),
            token_last_loaded: Moment::now(
                meter,
                "transatel_gateway.token.last_loaded",
                "When a token was granted last, or when this process began; seconds since 1970",
            ),
            simulated: meter
                .u64_gauge("transatel_gateway.provider.simulated")
                .with_description(
                    "1 if a simulator plays the provider, so that nothing is bought; 0 otherwise",
                )
                .build(),
        }
    }
}

impl Metrics {
    /// Whether a simulator plays the provider.
    pub fn provider_simulated(&self, simulated: bool) {
        self.provider.simulated.record(simulated.into(), &[]);
    }

    /// A request was sent to the provider.
    pub fn exchange(&self, exchange: &Exchange<'_>) {
        let mut labels = vec![
            KeyValue::new("api", exchange.api),
            KeyValue::new("outcome", exchange.outcome),
            KeyValue::new("http.request.method", exchange.method.to_owned()),
            KeyValue::new("url.template", exchange.template),
            KeyValue::new("server.address", Arc::clone(exchange.address)),
        ];
        let number = |name, value: u16| KeyValue::new(name, i64::from(value));
        labels.extend(exchange.port.map(|port| number("server.port", port)));
        labels.extend(
            exchange
                .status
                .map(|status| number("http.response.status_code", status)),
        );
        labels.extend(
            exchange
                .error_type
                .map(|error| KeyValue::new("error.type", error.to_owned())),
        );
        self.provider
            .exchanges
            .record(exchange.took.as_secs_f64(), &labels);
        self.recent.exchange(exchange.api, exchange.outcome);
    }

    /// The APIs that there are: what is counted by API is 0 from here on.
    pub fn show_apis(&self, apis: &[&'static str]) {
        for api in apis {
            self.provider.unreadable.add(0, &[KeyValue::new("api", *api)]);
            for reason in HELD_BACK {
                self.count_held_back(api, reason, 0);
            }
        }
    }

    /// A successful answer could not be read.
    pub fn unreadable(&self, api: &'static str) {
        self.provider.unreadable.add(1, &[KeyValue::new("api", api)]);
    }

    /// A request was not sent.
    pub fn held_back(&self, api: &'static str, reason: &'static str) {
        self.count_held_back(api, reason, 1);
    }

    fn count_held_back(&self, api: &'static str, reason: &'static str, more: u64) {
        let labels = [KeyValue::new("api", api), KeyValue::new("reason", reason)];
        self.provider.held_back.add(more, &labels);
    }

    /// A token was granted that lives so long.
    pub fn token(&self, lifetime: Duration) {
        let now = jiff::Timestamp::now();
        self.provider.token_last_loaded.set(now);
        // Lifetimes are bounded, far below what a timestamp can hold.
        let expires = now.checked_add(lifetime).unwrap_or(now);
        self.provider.token_expires.set(expires);
        self.recent.token_granted();
    }

    /// No token was granted; `why` is the `error.type`.
    pub fn no_token(&self, why: &str) {
        self.recent.token_failed(why);
    }

    /// Shows the state of breakers: 0 closed, 1 half open, 2 open.
    pub fn watch_breakers(&self, levels: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static) {
        self.meter
            .u64_observable_gauge("transatel_gateway.provider.breaker")
            .with_description("Breaker of an API: 0 closed, 1 half open, 2 open")
            .with_callback(move |observer| {
                for (api, level) in levels() {
                    observer.observe(level, &[KeyValue::new("api", api)]);
                }
            })
            .build();
    }
}
