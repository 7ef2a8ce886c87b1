//! Identifies the caller: by the certificate of the connection, or by the
//! header of a trusted proxy.
//!
//! A trusted proxy names other callers, never itself: without the header, or
//! with one that cannot be read, the caller is unauthenticated. From any other
//! address the header is ignored.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request};
use tonic::Status;

use super::gate::Decide;
use crate::config::{AddressRange, Forwarded};
use crate::domain::{Caller, Requester, Scope};
use crate::grpc::connection::Peer;
use crate::grpc::forwarded;

/// Puts the [`Caller`] of a call into its extensions, and notes on its
/// connection that there was a call.
#[derive(Clone)]
pub struct Identity(Source);

/// Where identities come from.
#[derive(Clone)]
enum Source {
    /// Nowhere: plain text, and no proxy.
    Nowhere,
    Certificates,
    /// From certificates too, except of the proxies.
    Proxies(Arc<Proxies>),
}

/// Proxies that are trusted to name callers, and the header that they use.
struct Proxies {
    header: HeaderName,
    from: Vec<AddressRange>,
}

impl Identity {
    /// By certificates when connections are `secured`, and by the header when
    /// one is configured.
    pub fn new(secured: bool, forwarded: Option<Forwarded>) -> Self {
        let proxies = forwarded.and_then(|Forwarded { header, from }| {
            let header = header.parse().ok()?;
            Some(Arc::new(Proxies { header, from }))
        });
        Self(match proxies {
            Some(proxies) => Source::Proxies(proxies),
            None if secured => Source::Certificates,
            None => Source::Nowhere,
        })
    }

    fn caller<B>(&self, request: &Request<B>) -> Option<Caller> {
        let peer = || request.extensions().get::<Peer>();
        match &self.0 {
            Source::Nowhere => None,
            Source::Certificates => peer()?.caller.clone(),
            Source::Proxies(proxies) => match peer()? {
                peer if proxies.include(peer.address) => proxies.named(request.headers()),
                peer => peer.caller.clone(),
            },
        }
    }
}

impl Proxies {
    fn include(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.from.iter().any(|range| range.contains(address)))
    }

    fn named(&self, headers: &HeaderMap) -> Option<Caller> {
        let mut values = headers.get_all(&self.header).iter();
        // Two headers: the caller may have forged one.
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        forwarded::caller(self.header.as_str(), value.to_str().ok()?)
    }
}

impl Decide for Identity {
    type Held = ();

    fn decide<B>(&self, request: &mut Request<B>) -> Result<(), Box<Status>> {
        if let Some(peer) = request.extensions().get::<Peer>() {
            peer.note_call();
        }
        if let Some(caller) = self.caller(request) {
            request.extensions_mut().insert(caller);
        }
        Ok(())
    }
}

/// What the caller may see.
pub fn scope<T>(request: &tonic::Request<T>) -> Scope {
    request.extensions().get().cloned().unwrap_or_default()
}

/// Who calls, as the ledger stores it, and what it may see.
pub fn requester<T>(request: &tonic::Request<T>) -> Requester {
    Requester {
        caller: caller(request),
        scope: scope(request),
    }
}

/// The caller, as the ledger stores it.
pub fn caller<T>(request: &tonic::Request<T>) -> Option<String> {
    let caller = request.extensions().get::<Caller>();
    caller.map(|caller| caller.as_str().to_owned())
}
