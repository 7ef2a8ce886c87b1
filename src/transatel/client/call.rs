//! A call to one of the provider's APIs: a token, one or more attempts, and
//! the rule that only reads are repeated.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Kind;
use super::error::{CallError, Refusal};
use super::guard::Guards;
use super::request::{CallOptions, Request};
use super::retry::{Backoff, worth_another_try};
use super::token::{Token, TokenSource};
use super::transport::{Answer, Attempt, Transport};

/// Makes calls.
pub struct Client {
    pub(in crate::transatel) transport: Arc<Transport>,
    pub(in crate::transatel) tokens: TokenSource,
    pub(in crate::transatel) backoff: Backoff,
    pub(in crate::transatel) guards: Guards,
    pub(in crate::transatel) attempts: u32,
    pub(in crate::transatel) timeout: Duration,
}

impl Client {
    /// Makes a call and returns its successful answer.
    ///
    /// Cancel-safe for reads. A write that is dropped may have been carried
    /// out.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub async fn call(&self, request: &Request<'_>, options: CallOptions) -> Result<Answer, CallError> {
        let attempts = match request.kind {
            Kind::Read => self.attempts,
            Kind::Write => 1,
        };
        let mut attempt = 1;
        if request.kind == Kind::Read {
            self.guards.earn(request.endpoint.api);
        }
        loop {
            let failure = match self.authorized(request, &options, attempt - 1).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(asked_wait) = worth_another_try(&failure).filter(|_| attempt < attempts) else {
                return Err(failure);
            };
            let wait = asked_wait.unwrap_or_else(|| self.backoff.wait(attempt));
            // A wait that the provider asks for is not cut short: when it is
            // longer than we would wait, the caller gets it in the error.
            let affordable = options
                .deadline
                .is_none_or(|deadline| wait < deadline.remaining());
            if !affordable
                || (asked_wait.is_some() && wait > self.backoff.longest)
                || !self.guards.spend(request.endpoint.api)
            {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// One attempt with a token. After a 401 nothing was carried out: the
    /// token is dropped and the attempt repeated once with a new one, unless
    /// another was dropped a short while ago.
    async fn authorized(
        &self,
        request: &Request<'_>,
        options: &CallOptions,
        resend: u32,
    ) -> Result<Answer, CallError> {
        let token = self.token(options).await?;
        let first = Attempt {
            request,
            authorization: token.authorization(),
            timeout: options.attempt.unwrap_or(self.timeout),
            options,
            resend,
        };
        match self.guarded(first).await {
            Err(CallError::Refused(Refusal { status: 401, .. })) if self.tokens.refuse(&token).await => {
                let token = self.token(options).await?;
                let replay = Attempt {
                    authorization: token.authorization(),
                    resend: resend + 1,
                    ..first
                };
                self.guarded(replay).await
            }
            other => other,
        }
    }

    /// Sends if the guards admit it. What they reject was not sent.
    async fn guarded(&self, attempt: Attempt<'_>) -> Result<Answer, CallError> {
        let (api, options) = (attempt.request.endpoint.api, attempt.options);
        let permit = self.guards.admit(api, options.deadline, options.purpose).await?;
        let result = self.transport.exchange(attempt).await;
        if let Some(permit) = permit {
            permit.settle(&result);
        }
        result
    }

    async fn token(&self, options: &CallOptions) -> Result<Arc<Token>, CallError> {
        let token = self.tokens.token();
        match options.deadline {
            None => token.await,
            Some(deadline) => tokio::time::timeout_at(deadline.at(), token)
                .await
                .unwrap_or(Err(CallError::NoTimeLeft)),
        }
    }
}
