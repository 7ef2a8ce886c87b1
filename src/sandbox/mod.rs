//! A simulated Transatel: a real HTTP server with real state.
//!
//! Owns a listener, an account with a catalog and a stock of SIMs, and levers
//! to make things go wrong. It refuses what the real provider refuses, with the
//! error titles of its documentation, and carries out what it accepts: there
//! are no canned answers. What it leaves to others: TLS, and everything that is
//! not in the contract for Service Provider Connect.
//!
//! Nothing runs outside the tasks that a [`Sandbox`] owns; dropping it ends
//! them. Time is `tokio::time`, so tests may pause it.
//!
//! Well-known products: `WW_901O_STACK_ONEOFF_FRANCE_1GB_7D` can be bought at
//! any time; `WW_901O_STACK_ONEOFF_ODD_…_1GB_7D` have odd JSON, one deviation
//! each; `WW_901O_WALLEDGARDEN_…` are infrastructure.

#![allow(dead_code, reason = "orders and inventory, which come next, use the rest")]

mod auth;
mod catalog;
mod clock;
mod connection;
mod control;
mod control_http;
mod counters;
mod distortion;
mod duration_text;
mod exchange;
mod faults;
mod gates;
mod gateway;
mod journal;
mod lock;
mod problem;
mod provider;
mod reply;
mod request;
mod routes;
mod server;
mod settings;
mod stock;
mod tokens;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

pub use self::{
    control::Control,
    counters::{RouteCount, Snapshot},
    faults::{Fault, Script, Step},
    journal::Recorded,
    server::Availability,
    settings::Settings,
    stock::SimStatus,
};
use self::{provider::Provider, server::Server};

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The account's OAuth client.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The account's name in orders.
    pub mvno_ref: String,
    /// The account's COS, which is in catalog URLs.
    pub cos: String,
    /// The rate plan of its SIMs.
    pub rate_plan: String,
    /// Decides prices and the stock. The same seed gives the same.
    pub seed: u64,
    /// How long tokens live at first; [`Settings::token_lifetime`] changes it.
    pub token_lifetime: Duration,
    /// How many SIMs the stock has.
    pub sims: u32,
    /// Whether the account may use Connectivity Management. Transatel keeps it closed by default; here it is
    /// open so that it can be tried.
    pub connectivity: bool,
    /// How many of the last requests are kept for inspection.
    pub requests_kept: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client_id: "sandbox".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
            mvno_ref: "M2MA_WW_TSL_SANDBOX".to_owned(),
            cos: "WW_M2MA_COS_SPC".to_owned(),
            rate_plan: "M2MA_WW_TSL_BUNDLES_1".to_owned(),
            seed: 901,
            token_lifetime: Duration::from_secs(3600),
            sims: 5_000,
            connectivity: true,
            requests_kept: 1_000,
        }
    }
}

/// A running simulator. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Sandbox {
    server: Arc<Server>,
}

impl Sandbox {
    /// Starts a simulator on the current runtime.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    #[allow(
        clippy::unused_async,
        reason = "callers need not know that nothing here waits; it must be in a runtime"
    )]
    pub async fn start(options: Options) -> io::Result<Self> {
        let provider = Provider::new(options);
        let server = Server::start(provider, |server| control_http::router(Control { server }))?;
        Ok(Self { server })
    }

    /// What clients are configured with, such as `http://127.0.0.1:40123`. It stays the same until the end.
    pub fn base_url(&self) -> String {
        let mut address = self.server.address;
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
        self.server.address
    }

    /// The levers.
    pub fn control(&self) -> Control {
        Control {
            server: Arc::clone(&self.server),
        }
    }

    /// Stops the simulator and returns when all its tasks have ended. Open connections are cut.
    pub async fn stop(self) {
        let server = Arc::clone(&self.server);
        drop(self);
        server.stopped().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.stop();
    }
}
