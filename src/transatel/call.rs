//! A call to one of the provider's APIs: a token, one or more attempts, and
//! the rule that only reads are repeated.

use std::sync::Arc;
use std::time::Duration;

use super::error::{Failure, Refusal};
use super::guard::Guards;
use super::retry::{Backoff, worth_another_try};
use super::token::{Token, TokenSource};
use super::transport::{Answer, Request, Transport};
use crate::domain::{Deadline, Lease};

/// What a call does at the provider. There is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing: may be sent again.
    Read,
    /// Changes something, and the provider does not notice a repeat: sent
    /// once, on a connection of its own.
    Write,
}

/// How long a call may take, and which room it may use.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Bound on one attempt; `None` for the configured one.
    pub attempt: Option<Duration>,
    /// The caller's deadline; `None` for detached work.
    pub deadline: Option<Deadline>,
    /// Of a write: without it nothing is sent any more.
    pub lease: Option<Lease>,
    /// What the call is for.
    pub purpose: Purpose,
}

/// What a call is for. Everything else can fill an API's room only up to what
/// is kept for orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An order or a change of a SIM, what is read for one, and finding out
    /// what became of one.
    Order,
    /// Anything else.
    Other,
}

impl Patience {
    /// Waits as long as the caller does.
    pub fn until(deadline: Deadline) -> Self {
        Self {
            attempt: None,
            deadline: Some(deadline),
            lease: None,
            purpose: Purpose::Other,
        }
    }

    /// For an order, until then.
    pub fn for_order(deadline: Deadline) -> Self {
        Self {
            purpose: Purpose::Order,
            ..Self::until(deadline)
        }
    }

    /// For sending an order: nothing is sent without its lease.
    pub fn under(lease: Lease) -> Self {
        Self {
            lease: Some(lease.clone()),
            ..Self::for_order(lease.sending_until())
        }
    }

    /// For work that ends by its own bounds.
    pub fn detached() -> Self {
        Self {
            attempt: None,
            deadline: None,
            lease: None,
            purpose: Purpose::Other,
        }
    }
}

/// Makes calls.
pub struct Caller {
    pub(super) transport: Arc<Transport>,
    pub(super) tokens: TokenSource,
    pub(super) backoff: Backoff,
    pub(super) guards: Guards,
    pub(super) attempts: u32,
    pub(super) timeout: Duration,
}

impl Caller {
    /// Makes a call and returns its successful answer.
    ///
    /// Cancel-safe for reads. A write that is dropped may have been carried
    /// out.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub async fn call(
        &self,
        kind: Kind,
        request: &Request<'_>,
        patience: Patience,
    ) -> Result<Answer, Failure> {
        let attempts = match kind {
            Kind::Read => self.attempts,
            Kind::Write => 1,
        };
        let mut attempt = 1;
        if kind == Kind::Read {
            self.guards.earn(request.api);
        }
        loop {
            let failure = match self.authorized(kind, request, &patience, attempt - 1).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(asked_wait) = worth_another_try(&failure).filter(|_| attempt < attempts) else {
                return Err(failure);
            };
            let wait = asked_wait.unwrap_or_else(|| self.backoff.wait(attempt));
            // The provider's own word is not cut short: when it asks for more
            // than we would wait, the caller learns it instead.
            let affordable = patience
                .deadline
                .is_none_or(|deadline| wait < deadline.remaining());
            if !affordable
                || (asked_wait.is_some() && wait > self.backoff.longest)
                || !self.guards.spend(request.api)
            {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// One attempt with a token. A 401 was not carried out: the token is
    /// dropped and the attempt replayed once with a new one, unless the last
    /// one was dropped a short while ago.
    async fn authorized(
        &self,
        kind: Kind,
        request: &Request<'_>,
        patience: &Patience,
        resend: u32,
    ) -> Result<Answer, Failure> {
        let timeout = patience.attempt.unwrap_or(self.timeout);
        let token = self.token(patience).await?;
        let first = self
            .guarded(kind, request, &token, timeout, patience, resend)
            .await;
        match first {
            Err(Failure::Refused(Refusal { status: 401, .. })) if self.tokens.refuse(&token).await => {
                let token = self.token(patience).await?;
                let replay = resend + 1;
                self.guarded(kind, request, &token, timeout, patience, replay)
                    .await
            }
            other => other,
        }
    }

    /// Sends, when the guards let it through. What they turn away was not
    /// sent.
    async fn guarded(
        &self,
        kind: Kind,
        request: &Request<'_>,
        token: &Token,
        timeout: Duration,
        patience: &Patience,
        resend: u32,
    ) -> Result<Answer, Failure> {
        let permit = self
            .guards
            .admit(request.api, patience.deadline, patience.purpose)
            .await?;
        let result = self
            .transport
            .exchange(kind, request, token.authorization(), timeout, patience, resend)
            .await;
        if let Some(permit) = permit {
            permit.settle(&result);
        }
        result
    }

    async fn token(&self, patience: &Patience) -> Result<Arc<Token>, Failure> {
        let token = self.tokens.token();
        match patience.deadline {
            None => token.await,
            Some(deadline) => tokio::time::timeout_at(deadline.at(), token)
                .await
                .unwrap_or(Err(Failure::NoTimeLeft)),
        }
    }
}
