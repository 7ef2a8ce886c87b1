//! A simulated Transatel: a real HTTP server with real state.
//!
//! Owns a listener, an account with a catalog and a stock of SIMs, and a
//! control API that makes things go wrong. It refuses what the real provider refuses, with the
//! error titles of its documentation, and carries out what it accepts: there
//! are no canned answers. Operations on SIMs are asynchronous as there: accepted
//! with a transaction, carried out when it ends. What happens is reported: as signed
//! events to a webhook, sent again until they are taken. What it leaves to others: TLS, and everything that is
//! not in the contract for Service Provider Connect.
//!
//! ```text
//! caller ──HTTP──▶ http/ (faults/ may hit here) ─▶ api/ (one file per API) ─▶ world/ (state, time)
//!   tests, curl ─▶ control/ (knows all of them)                                 │ what happens to a SIM
//!                                              receiver ◀──HTTP── webhooks/ ◀───┘
//! ```
//!
//! `world/` uses no other folder. It reports what happens to a SIM to a listener, which is the outbox of
//! `webhooks/`, and `http/` is given the function that answers a request; so data runs one way, and a test
//! fails on files that use each other.
//!
//! Nothing runs outside the tasks that a [`Sandbox`] owns; dropping it ends
//! them. Time is `tokio::time`, so tests may pause it.
//!
//! # Products to name
//!
//! `WW_901O_STACK_ONEOFF_FRANCE_1GB_7D` can be bought at any time.
//! `WW_901O_STACK_ONEOFF_<PLACE>_<n>GB_<d>D` exist for 1 GB/7 days and 3, 5, 10
//! GB/30 days of every country and region and the world (`WORLDWIDE`);
//! `WW_901O_STACK_RECURRING_FRANCE_5GB_1M` renews each month and is a parent of
//! the add-on `WW_901O_STACK_ADDON_FRANCE_1GB_30D`.
//! `WW_901O_STACK_ONEOFF_FRANCE_UNLIMITED_7D_FUP2` is unlimited: 2 GB of it have
//! full speed (`DATA_BUNDLE_FUP`).
//! `WW_901O_STACK_ONEOFF_ODD_…_1GB_7D` have odd JSON, one deviation each.
//! `WW_901O_STACK_ONEOFF_FRANCE_2GB_10D` is not for sale, `…_EUROPE_2GB_10D` leaves
//! the sale after 30 days. `WW_901O_WALLEDGARDEN_…` are infrastructure.
//!
//! # SIMs to name
//!
//! SIM *n* of the stock has the MSISDN `88247` and *n* in ten digits, and the
//! ICCID `8988247`, *n* in eleven digits and a check digit. SIMs in use were last
//! seen in France and have a walled-garden subscription.
//!
//! | SIM | Story |
//! |---|---|
//! | 1 | ready to be sold: Pre-Activated, profile released, nothing bought |
//! | 2 | in use: a running subscription used up to a third, one that waits for Europe |
//! | 3 | a physical SIM in use |
//! | 4 | sold, not used yet: one preloaded subscription |
//! | 5, 6, 7 | Pre-Activated, profile `available`, `allocated`, `downloaded` |
//! | 8, 9, 10 | Active, profile `installed`, `disabled`, `deleted` |
//! | 11 | profile released but reserved for a device |
//! | 12 | Suspended, its subscription runs on |
//! | 13 | Terminated, with a past |
//! | 14 – 18 | Loaded, Available, TestMode, Operator_Barred, Tariff_Holiday |
//! | 19 | three of the same subscription, one running |
//! | 20 | an unlimited subscription whose balance is -1 |
//! | 21, 22 | `resourceStartValue` missing, 0 |
//! | 23, 24, 25 | several balance rows, `balances` empty, numbers as text and float |
//! | 26 | a recurring subscription and its add-on |
//! | 27 | a subscription in each status of the contract |
//! | 28 | a subscription with a status that nobody knows |
//! | 29, 30, 31 | activation material only as QR text, with `LPA:`, in parts |
//! | 32 | eSIM status with a capital |
//! | 33, 34 | SIM Search shouts the status, shows only the ICCID |
//! | 35, 36, 37 | a subscription that is empty, ends in an hour, is lost within four days unless used |
//! | 38 | in use, nothing bought |
//! | 39 | in group `fleet-a` |
//! | 40 | a physical SIM, Pre-Activated |
//!
//! All others come from the seed: most are ready to be sold, one in four is in use. A delivery
//! ([`Control::delivery`]) is 100 that can be sold, of those after SIM 60: `serve --sandbox` has them in the pool
//! `sandbox` of its stock.

mod api;
mod control;
mod duration_text;
mod environment;
mod faults;
mod http;
mod kinds;
mod lock;
mod options;
mod tasks;
mod webhooks;
mod world;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use self::{
    api::dispatch::answer,
    control::router::router,
    http::{exchange::Requests, server::Server},
    tasks::Tasks,
    webhooks::{outbox::Outbox, worker},
    world::{identity::Identity, listener::Listener, provider::Provider},
};
pub use self::{
    control::{
        handle::Control,
        operations::TransactionView,
        sims::{Criteria, SimView, SubscriptionView},
    },
    environment::Problems,
    faults::{fault::Fault, script::Script, step::Step},
    http::{
        counters::{RouteCount, Snapshot},
        journal::Recorded,
        server::Availability,
    },
    options::Options,
    webhooks::{
        delivery::Delivery, disturbance::Disturbance, queue::EventOrder, receiver::Webhook,
        status::WebhookStatus,
    },
    world::{
        impossible::Impossible,
        settings::{
            Settings,
            follow_ups::FollowUpSettings,
            operations::{OperationSettings, Outcome},
            webhooks::WebhookSettings,
        },
        stock::status::{ProfileStatus, SimStatus},
        visibility::{InventorySettings, Oddity, Showing, Visibility},
    },
};

/// A running simulator. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Sandbox {
    control: Control,
}

impl Sandbox {
    /// Starts a simulator on the current runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, or events cannot be sent where they shall.
    #[allow(
        clippy::unused_async,
        reason = "callers need not know that nothing here waits; it must be in a runtime"
    )]
    pub async fn start(options: Options) -> io::Result<Self> {
        if options
            .webhook
            .as_ref()
            .is_some_and(|webhook| webhook.uri().is_none())
        {
            let error = Impossible::Receiver.to_string();
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let tasks = Tasks::default();
        let outbox = Arc::new(Outbox::new(options.webhook, options.requests_kept));
        let provider = Arc::new(Provider::new(
            Identity {
                client_id: options.client_id,
                client_secret: options.client_secret,
                mvno_ref: options.mvno_ref,
                cos: options.cos,
                rate_plan: options.rate_plan,
            },
            Settings::new(options.token_lifetime, options.connectivity),
            options.seed,
            options.sims,
            Arc::clone(&outbox) as Arc<dyn Listener>,
        ));
        let requests = Arc::new(Requests::new(
            Arc::clone(&provider),
            Arc::clone(&outbox),
            tasks.clone(),
            options.requests_kept,
            answer,
        ));
        let control = |server| Control {
            provider: Arc::clone(&provider),
            outbox: Arc::clone(&outbox),
            requests: Arc::clone(&requests),
            server,
            tasks: tasks.clone(),
        };
        let server = Server::start(options.listen, Arc::clone(&requests), |server| {
            router(control(server))
        })?;
        tasks.spawn(worker::send(
            Arc::clone(&provider),
            Arc::clone(&outbox),
            tasks.clone(),
        ));
        tasks.spawn(worker::keep_time(Arc::clone(&provider), Arc::clone(&outbox)));
        Ok(Self {
            control: control(server),
        })
    }

    /// What clients are configured with, such as `http://127.0.0.1:40123`. It stays the same until the end.
    pub fn base_url(&self) -> String {
        let mut address = self.address();
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        format!("http://{address}")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.control.server.address
    }

    /// Control of it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops the simulator and returns when all its tasks have ended. Open connections are cut.
    pub async fn stop(self) {
        let tasks = self.control.tasks.clone();
        drop(self);
        tasks.stopped().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.control.tasks.stop();
    }
}
