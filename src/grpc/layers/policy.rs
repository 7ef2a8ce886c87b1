//! Restricts each caller to the methods that it may call, and to what it may see.
//!
//! Without a policy every caller may call everything. With one, callers that
//! are not named are refused, and so is a method that no pattern covers. Health
//! and reflection stay open: probes have no identity, and the contract is
//! public.
//!
//! A call whose caller sees only its own requests has that [`Scope`] in its
//! extensions; without one it sees everything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::Request;
use tonic::Status;

use super::gate::Decide;
use crate::config::{Callers, Grant, METHODS};
use crate::domain::scope::Scopes;
use crate::domain::{Caller, Error, Scope};

/// Who may call anything may ask what that is.
const CAPABILITIES: (&str, &str) = ("Provisioning", "GetCapabilities");

/// Refuses calls that the policy does not cover.
#[derive(Clone)]
pub struct Access(Option<Arc<Rules>>);

struct Rules {
    granted: Option<Granted>,
    scopes: Scopes,
}

/// Request paths that each caller may call.
struct Granted {
    named: HashMap<Caller, HashSet<String>>,
    anyone: HashSet<String>,
}

impl Access {
    /// By the settings; without a policy and a scope every call passes.
    pub fn new(callers: &Callers) -> Self {
        let granted = callers.policy.as_ref().map(|policy| Granted {
            named: { policy.named.iter() }
                .map(|(caller, grants)| (caller.clone(), paths(grants)))
                .collect(),
            anyone: paths(&policy.anyone),
        });
        let has_rules = granted.is_some() || callers.scopes.limit_any();
        Self(has_rules.then(|| {
            Arc::new(Rules {
                granted,
                scopes: callers.scopes.clone(),
            })
        }))
    }

    /// Whether a caller may call a method, as far as the policy goes.
    pub fn allows(&self, caller: Option<&Caller>, service: &str, method: &str) -> bool {
        let granted = self.0.as_ref().and_then(|rules| rules.granted.as_ref());
        granted.is_none_or(|granted| granted.ensure_allowed(caller, &path(service, method)).is_ok())
    }
}

impl Granted {
    fn ensure_allowed(&self, caller: Option<&Caller>, path: &str) -> Result<(), Error> {
        let caller = caller.ok_or(Error::CallerUnauthenticated)?;
        let own = self.named.get(caller);
        match own.is_some_and(|own| own.contains(path)) || self.anyone.contains(path) {
            true => Ok(()),
            false => Err(Error::CallerNotAllowed {
                caller: caller.clone(),
            }),
        }
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
        let caller = request.extensions().get::<Caller>();
        let scope = match &rules.granted {
            Some(granted) => granted.ensure_allowed(caller, path),
            None => Ok(()),
        }
        .and_then(|()| rules.scopes.of(caller).ok_or(Error::CallerUnauthenticated))
        .map_err(|error| Box::new(error.into()))?;
        if scope != Scope::All {
            request.extensions_mut().insert(scope);
        }
        Ok(())
    }
}

fn paths(grants: &[Grant]) -> HashSet<String> {
    let all = METHODS
        .iter()
        .flat_map(|(service, methods)| methods.iter().map(move |method| (*service, *method)));
    let mut paths: HashSet<_> = all
        .filter(|(service, method)| grants.iter().any(|grant| grant.covers(service, method)))
        .map(|(service, method)| path(service, method))
        .collect();
    if !paths.is_empty() {
        let (service, method) = CAPABILITIES;
        paths.insert(path(service, method));
    }
    paths
}

fn path(service: &str, method: &str) -> String {
    format!("/connectivity.v1.{service}/{method}")
}
