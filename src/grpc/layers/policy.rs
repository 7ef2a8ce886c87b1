//! Restricts each caller to the methods that it may call.
//!
//! Without a policy every caller may call everything. With one, callers that
//! are not named are refused, and so is a method that no pattern covers. Health
//! and reflection stay open: probes have no identity, and the contract is
//! public.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::Request;
use tonic::Status;

use super::gate::Decide;
use crate::config::{Grant, METHODS, Policy};
use crate::domain::{Caller, Error};

/// Refuses calls that the policy does not cover.
#[derive(Clone)]
pub struct Access(Option<Arc<Rules>>);

/// Request paths that each caller may call.
struct Rules {
    named: HashMap<Caller, HashSet<String>>,
    anyone: HashSet<String>,
}

impl Access {
    /// By the policy, when there is one.
    pub fn new(policy: Option<&Policy>) -> Self {
        Self(policy.map(|policy| {
            let named = policy.named.iter();
            Arc::new(Rules {
                named: named
                    .map(|(caller, grants)| (caller.clone(), paths(grants)))
                    .collect(),
                anyone: paths(&policy.anyone),
            })
        }))
    }
}

impl Decide for Access {
    type Held = ();

    fn decide<B>(&self, request: &mut Request<B>) -> Result<(), Box<Status>> {
        let Some(rules) = &self.0 else {
            return Ok(());
        };
        let path = request.uri().path();
        if path.starts_with("/grpc.") {
            return Ok(());
        }
        let Some(caller) = request.extensions().get::<Caller>() else {
            return Err(Box::new(Error::CallerUnauthenticated.into()));
        };
        let own = rules.named.get(caller);
        if own.is_some_and(|own| own.contains(path)) || rules.anyone.contains(path) {
            return Ok(());
        }
        let caller = caller.clone();
        Err(Box::new(Error::CallerNotAllowed { caller }.into()))
    }
}

fn paths(grants: &[Grant]) -> HashSet<String> {
    let all = METHODS
        .iter()
        .flat_map(|(service, methods)| methods.iter().map(move |method| (*service, *method)));
    all.filter(|(service, method)| grants.iter().any(|grant| grant.covers(service, method)))
        .map(|(service, method)| format!("/connectivity.v1.{service}/{method}"))
        .collect()
}
