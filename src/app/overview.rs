//! Gathers what the operators' page shows: what this process knows by itself, at
//! once, and what the ledger holds, if it answers in time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::measured::Measured;
use crate::admin::Page;
use crate::admin::page::{self, Facts, FailedCall, NotRead, Process, Reason, Source, Stored};
use crate::config::{self, AdminPage, Config};
use crate::domain::write::State;
use crate::grpc::Health;
use crate::store::{self, EventLog, InFlight, Ledger, Opened};
use crate::telemetry::metrics::Snapshot;
use crate::telemetry::{Metrics, REVISION};

/// The page comes without what the ledger holds when that takes longer.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// The ledger is read once in this time, however many people look.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Minutes that requests to the provider and failed calls are counted over.
const PROVIDER_MINUTES: u64 = 5;
const CALLS_MINUTES: u64 = 15;

/// Writes that are listed.
const UNSETTLED: i64 = 5;
const NEEDS_OPERATOR: i64 = 20;

/// See the module.
pub(super) struct Overview {
    health: Health,
    metrics: Arc<Metrics>,
    with_ids: bool,
    simulated: bool,
    store: OnceLock<Store>,
    last: Mutex<Option<(Instant, Result<Stored, NotRead>)>>,
}

/// The store, once it is open.
struct Store {
    ledger: Arc<dyn Ledger>,
    events: Arc<dyn EventLog>,
    measured: Arc<Measured>,
}

impl Overview {
    /// Before the store is open.
    pub(super) fn new(health: &Health, metrics: &Arc<Metrics>, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            health: health.clone(),
            metrics: Arc::clone(metrics),
            simulated: config.transatel.simulated,
            with_ids: match config.admin.page {
                // Callers that may not list orders, or not those of others, shall not
                // see them on the page.
                AdminPage::Auto => config.callers.policy.is_none() && !config.callers.scopes.limit_any(),
                AdminPage::Ids => true,
                AdminPage::Counts | AdminPage::Closed => false,
            },
            store: OnceLock::new(),
            last: Mutex::default(),
        })
    }

    /// The page, unless it is closed.
    pub(super) fn page(self: &Arc<Self>, config: &config::Admin) -> Option<Page> {
        (config.page != AdminPage::Closed).then(|| Arc::clone(self) as Page)
    }

    /// The store is open.
    pub(super) fn opened(&self, opened: &Opened, measured: Arc<Measured>) {
        // Opened once.
        let _ = self.store.set(Store {
            ledger: Arc::clone(&opened.ledger),
            events: Arc::clone(&opened.events),
            measured,
        });
    }

    /// What the ledger holds. One reads, the others wait for that.
    async fn stored(&self) -> Result<Stored, NotRead> {
        let Some(store) = self.store.get() else {
            return Err(NotRead::NotOpen);
        };
        let mut last = self.last.lock().await;
        if let Some((at, known)) = &*last
            && at.elapsed() < READ_EVERY
        {
            return known.clone();
        }
        let read = match timeout(READ_WITHIN, store.read(self.with_ids)).await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(error)) => Err(NotRead::Failed(error.kind().name().to_owned())),
            Err(_) => Err(NotRead::NoAnswer(READ_WITHIN)),
        };
        *last = Some((Instant::now(), read.clone()));
        read
    }
}

impl Store {
    async fn read(&self, with_ids: bool) -> store::Result<Stored> {
        let counts = self.ledger.counts().await?;
        let mut counts: Vec<_> = counts.iter().map(count).collect();
        counts.sort_by(|one, other| (one.kind, &one.state).cmp(&(other.kind, &other.state)));
        let mut unsettled = self.ledger.oldest_in_flight(State::Submitting, UNSETTLED).await?;
        unsettled.extend(self.ledger.oldest_in_flight(State::Unknown, UNSETTLED).await?);
        unsettled.sort_by_key(|write| write.since);
        unsettled.truncate(usize::try_from(UNSETTLED).unwrap_or_default());
        let needs_operator = self
            .ledger
            .oldest_in_flight(State::NeedsOperator, NEEDS_OPERATOR)
            .await?;
        let open = |writes: Vec<InFlight>| writes.iter().map(|write| open(write, with_ids)).collect();
        Ok(Stored {
            counts,
            unsettled: open(unsettled),
            needs_operator: open(needs_operator),
            last_event: self.events.extent().await?.latest,
            last_received: self.events.last_received_at().await?,
        })
    }
}

fn kind(name: &str) -> page::Kind {
    match name {
        "purchase" => page::Kind::Purchase,
        "subscription" => page::Kind::Subscription,
        "sim" => page::Kind::Sim,
        _ => page::Kind::Other,
    }
}

fn count(count: &store::Count) -> page::Count {
    page::Count {
        kind: kind(count.kind),
        state: count.state.to_owned(),
        number: count.writes.try_into().unwrap_or_default(),
    }
}

fn open(write: &InFlight, with_id: bool) -> page::Open {
    page::Open {
        id: with_id.then(|| write.id.to_string()),
        kind: kind(write.kind),
        state: write.state.to_owned(),
        since: write.since,
    }
}

#[async_trait]
impl Source for Overview {
    async fn facts(&self) -> Facts {
        let stored = self.stored().await;
        // After the ledger: what that did is in the metrics.
        let now = Now {
            snapshot: self.metrics.snapshot(),
            metrics: &self.metrics,
        };
        Facts {
            at: Timestamp::now(),
            process: now.process(),
            not_ready: self.health.not_ready().map(Into::into),
            provider: now.provider(self.simulated),
            catalog: now.catalog(),
            ledger: self.ledger(&now),
            stored,
            events: now.events(),
            calls: now.calls(),
        }
    }
}

impl Overview {
    fn ledger(&self, now: &Now<'_>) -> page::Ledger {
        let last = |access| now.labelled_moment("transatel_gateway_ledger_last_success", "access", access);
        let failing = self
            .store
            .get()
            .into_iter()
            .flat_map(|store| store.measured.failing());
        page::Ledger {
            read_at: last("read"),
            written_at: last("write"),
            failing: failing
                .map(|failing| page::Failing {
                    access: failing.access.to_owned(),
                    since: failing.since,
                    failures: failing.failures,
                    why: failing.reason.to_owned(),
                })
                .collect(),
            connections: now.connections(),
        }
    }
}

/// What this process knows by itself.
struct Now<'a> {
    snapshot: Snapshot,
    metrics: &'a Metrics,
}

/// A gauge or a counter as the whole number that it is.
fn whole(value: f64) -> u64 {
    // A negative one is 0.
    value as u64
}

fn moment(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_second(seconds as i64).ok()
}

/// Without a usable answer; a refusal is one.
fn has_failed(outcome: &str) -> bool {
    !matches!(outcome, "ok" | "refused")
}

/// As the alerts on calls have it: Transatel's failures are apart, those of its
/// credentials are ours.
fn is_our_fault(status: &str, cause: &str) -> bool {
    matches!(
        status,
        "UNKNOWN" | "INTERNAL" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "DATA_LOSS"
    ) && !matches!(
        cause,
        "PROVIDER_UNAVAILABLE" | "PROVIDER_CIRCUIT_OPEN" | "PROVIDER_RATE_LIMITED" | "PROVIDER_PROTOCOL"
    )
}

impl Now<'_> {
    fn number(&self, name: &str) -> u64 {
        self.snapshot.value(name).map_or(0, whole)
    }

    fn moment(&self, name: &str) -> Option<Timestamp> {
        self.snapshot.value(name).and_then(moment)
    }

    fn labelled_moment(&self, name: &str, label: &str, value: &str) -> Option<Timestamp> {
        self.snapshot.labelled(name, label, value).and_then(moment)
    }

    fn labelled(&self, name: &str, label: &str, value: &str) -> Option<u64> {
        self.snapshot.labelled(name, label, value).map(whole)
    }

    /// A time of minutes, or since the start when that is less.
    fn window(&self, minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60).min(self.metrics.recent().age())
    }

    fn process(&self) -> Process {
        Process {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: REVISION.to_owned(),
            uptime: self.metrics.recent().age(),
            certificate_expires: self.moment("transatel_gateway_tls_certificate_expires"),
            certificate_unusable: self.number("transatel_gateway_tls_files_unusable") > 0,
        }
    }

    fn provider(&self, simulated: bool) -> page::Provider {
        let mut apis: BTreeMap<String, page::Api> = BTreeMap::new();
        let named = |name: &str| page::Api {
            name: name.to_owned(),
            breaker: None,
            recent: page::Requests::default(),
            total: page::Requests::default(),
        };
        for series in self.snapshot.series("transatel_gateway_provider_breaker") {
            let Some(name) = series.label("api") else { continue };
            let api = apis.entry(name.to_owned()).or_insert_with(|| named(name));
            api.breaker = Some(match whole(series.value()) {
                0 => page::Breaker::Closed,
                1 => page::Breaker::HalfOpen,
                _ => page::Breaker::Open,
            });
        }
        let mut count = |name: &str, outcome: &str, requests: u64, recent: bool| {
            let api = apis.entry(name.to_owned()).or_insert_with(|| named(name));
            let counted = if recent { &mut api.recent } else { &mut api.total };
            counted.sent += requests;
            if has_failed(outcome) {
                counted.failed += requests;
            }
        };
        for series in self.snapshot.series("http_client_request_duration_seconds") {
            if let (Some(api), Some(outcome)) = (series.label("api"), series.label("outcome")) {
                count(api, outcome, whole(series.value()), false);
            }
        }
        for ((api, outcome), requests) in self.metrics.recent().exchanges(PROVIDER_MINUTES) {
            count(api, outcome, requests, true);
        }
        page::Provider {
            simulated,
            token: self.token(),
            apis: apis.into_values().collect(),
            window: self.window(PROVIDER_MINUTES),
        }
    }

    fn token(&self) -> page::Token {
        let expires = self.moment("transatel_gateway_token_expires");
        let failed = self.metrics.recent().no_token();
        page::Token {
            // Without a token this is when the process began.
            granted: expires.and_then(|_| self.moment("transatel_gateway_token_last_loaded")),
            expires,
            failed: failed.map(|failure| page::TokenFailure {
                at: failure.at,
                why: failure.why,
                over: failure.over,
            }),
        }
    }

    fn catalog(&self) -> page::Catalog {
        let products = |kind| {
            self.labelled("transatel_gateway_catalog_products", "kind", kind)
                .unwrap_or(0)
        };
        let listed = products("listed");
        let failed = self.snapshot.series("transatel_gateway_cache_loads_total");
        let failed = failed.filter(|series| {
            series.label("cache") == Some("catalog") && series.label("outcome") == Some("failed")
        });
        let loaded = self.moment("transatel_gateway_catalog_last_loaded");
        page::Catalog {
            // Before the first catalog this is when the process began.
            loaded: loaded.filter(|_| listed > 0),
            products: listed,
            dropped: products("dropped"),
            failed_loads: failed.map(|series| whole(series.value())).sum(),
        }
    }

    fn connections(&self) -> Option<page::Connections> {
        let in_state = |state| {
            let (name, label) = ("db_client_connection_count", "db_client_connection_state");
            self.labelled(name, label, state)
        };
        Some(page::Connections {
            used: in_state("used")?,
            idle: in_state("idle")?,
            max: self.number("db_client_connection_max"),
            waiting: self.number("db_client_connection_pending_requests"),
        })
    }

    fn events(&self) -> page::Events {
        let received = self.snapshot.series("transatel_gateway_events_received_total");
        let received = received.filter_map(|series| {
            let outcome = series.label("outcome")?.to_owned();
            Some((outcome, whole(series.value())))
        });
        page::Events {
            received: received.collect(),
            followers: self.number("transatel_gateway_events_streams"),
            orders_without_event: self
                .snapshot
                .value("transatel_gateway_orders_without_event")
                .map(whole),
        }
    }

    fn calls(&self) -> page::Calls {
        let recent = self.metrics.recent();
        let mut failed: Vec<Reason> = recent
            .failures(CALLS_MINUTES)
            .into_iter()
            .map(|((status, cause), calls)| Reason {
                name: cause.to_owned(),
                ours: is_our_fault(status, cause),
                calls,
            })
            .collect();
        failed.sort_by(|one, other| (other.calls, &one.name).cmp(&(one.calls, &other.name)));
        let last = recent.calls().into_iter().map(|call| FailedCall {
            at: call.at,
            method: call.method.to_owned(),
            reason: call.cause.to_owned(),
        });
        page::Calls {
            window: self.window(CALLS_MINUTES),
            failed,
            without_funds: recent
                .refusals(CALLS_MINUTES)
                .get("insufficient_funds")
                .copied()
                .unwrap_or(0),
            last: last.collect(),
        }
    }
}
