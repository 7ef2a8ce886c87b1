//! What a simulator is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::webhooks::receiver::Webhook;

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
    /// Decides prices and the stock. The same seed gives the same; what is added after the start has new ids.
    pub seed: u64,
    /// How long tokens live at first; [`Settings::token_lifetime`](crate::Settings::token_lifetime) changes it.
    pub token_lifetime: Duration,
    /// How many SIMs the stock has.
    pub sims: u32,
    /// Whether the account may use Connectivity Management. Transatel keeps it closed by default; here it is
    /// open so that it can be tried.
    pub connectivity: bool,
    /// Where events are sent from the start; a control call can change it.
    pub webhook: Option<Webhook>,
    /// How many of the last requests, and of the last deliveries of events, are kept for inspection.
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
            webhook: None,
            requests_kept: 1_000,
        }
    }
}
