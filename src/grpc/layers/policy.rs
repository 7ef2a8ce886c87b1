//! Lets each caller call what it may, and nothing else.
//!
//! Without a policy everybody may call everything. With one, whoever is not
//! named is refused, and so is a method that no pattern covers. Health and
//! reflection stay open: probes have no name, and the contract is no secret.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::config::{Grant, METHODS, Policy};
use crate::domain::{Caller, Error};

/// Refuses calls that the policy does not cover.
#[derive(Clone)]
pub struct PolicyLayer(Option<Arc<Rules>>);

/// Request paths that may be called.
struct Rules {
    named: HashMap<Caller, HashSet<String>>,
    anyone: HashSet<String>,
}

impl PolicyLayer {
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

    fn refuses<B>(&self, request: &Request<B>) -> Option<Error> {
        let rules = self.0.as_ref()?;
        let path = request.uri().path();
        if path.starts_with("/grpc.") {
            return None;
        }
        let Some(caller) = request.extensions().get::<Caller>() else {
            return Some(Error::CallerUnauthenticated);
        };
        let own = rules.named.get(caller);
        let allowed = own.is_some_and(|own| own.contains(path)) || rules.anyone.contains(path);
        (!allowed).then(|| Error::CallerNotAllowed {
            caller: caller.clone(),
        })
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

impl<S> Layer<S> for PolicyLayer {
    type Service = PolicyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PolicyService {
            inner,
            layer: self.clone(),
        }
    }
}

/// See [`PolicyLayer`].
#[derive(Clone)]
pub struct PolicyService<S> {
    inner: S,
    layer: PolicyLayer,
}

impl<S, B> Service<Request<B>> for PolicyService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Ruled<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let refusal = self.layer.refuses(&request);
        Ruled {
            answer: refusal.is_none().then(|| self.inner.call(request)),
            refusal: refusal.map(|error| Box::new(error.into())),
        }
    }
}

pin_project! {
    /// An answer, or a refusal.
    pub struct Ruled<F> {
        // One of the two; a refusal is taken when it is given.
        #[pin]
        answer: Option<F>,
        refusal: Option<Box<Status>>,
    }
}

impl<F, E> Future for Ruled<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match (this.answer.as_pin_mut(), this.refusal.take()) {
            (Some(answer), _) => answer.poll(context),
            (None, Some(status)) => Poll::Ready(Ok(status.into_http())),
            (None, None) => Poll::Pending,
        }
    }
}
