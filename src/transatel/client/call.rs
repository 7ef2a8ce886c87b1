//! A call to one of the provider's APIs: a token, one or more attempts, and
//! the rule that only reads are repeated.
//!
//! An attempt at a read runs detached from its caller, who stops waiting at
//! the deadline. Reads share HTTP/2 connections, and a stream that is reset
//! while its answer is on the way counts against its connection: when a
//! thousand impatient callers have left, the connection is closed, and patient
//! ones lose their answers. A read that nobody waits for any more still
//! occupies its place in the bulkhead, as it does at the provider.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::endpoint::Kind;
use super::error::{CallError, Refusal};
use super::guard::{Guards, Permit};
use super::request::{CallOptions, Request};
use super::retry::{Backoff, worth_another_try};
use super::token::{Token, TokenSource};
use super::transport::{Attempt, Transport, time_to_answer};
use crate::telemetry::propagation;

/// Makes calls.
pub struct Client {
    pub(in crate::transatel) transport: Arc<Transport>,
    pub(in crate::transatel) tokens: TokenSource,
    pub(in crate::transatel) backoff: Backoff,
    pub(in crate::transatel) guards: Guards,
    pub(in crate::transatel) attempts: u32,
    pub(in crate::transatel) timeout: Duration,
    /// Reads run on it.
    pub(in crate::transatel) tasks: TaskTracker,
}

impl Client {
    /// Makes a call and returns its successful answer.
    ///
    /// Cancel-safe for reads, which end by themselves. A write that is dropped
    /// may have been carried out.
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
            deadline: options.deadline,
            lease: options.lease.as_ref(),
            resend,
        };
        match self.guarded(first, options).await {
            Err(CallError::Refused(Refusal { status: 401, .. })) if self.tokens.refuse(&token).await => {
                let token = self.token(options).await?;
                let replay = Attempt {
                    authorization: token.authorization(),
                    resend: resend + 1,
                    ..first
                };
                self.guarded(replay, options).await
            }
            other => other,
        }
    }

    /// Sends if the guards admit it. What they reject was not sent.
    async fn guarded(&self, attempt: Attempt<'_>, options: &CallOptions) -> Result<Answer, CallError> {
        let api = attempt.request.endpoint.api;
        let permit = self.guards.admit(api, options.deadline, options.purpose).await?;
        match attempt.request.kind {
            Kind::Read => self.read(attempt, permit).await,
            Kind::Write => {
                let result = self.transport.exchange(attempt).await;
                settle(permit, &result);
                result
            }
        }
    }

    /// Sends on a task of its own and waits for the answer until the deadline.
    /// Without a deadline it is on one already: that of a load which callers
    /// share.
    async fn read(&self, attempt: Attempt<'_>, permit: Option<Permit>) -> Result<Answer, CallError> {
        let exchange = self.transport.exchange(Attempt {
            deadline: None,
            ..attempt
        });
        let work = async move {
            let result = exchange.await;
            settle(permit, &result);
            result
        };
        let Some(deadline) = attempt.deadline else {
            return work.await;
        };
        let left = time_to_answer(deadline);
        if left.is_zero() {
            return Err(CallError::NoTimeLeft);
        }
        let answer = self.tasks.spawn(propagation::carried(work));
        match tokio::time::timeout(left, answer).await {
            Ok(Ok(result)) => result,
            // The task panicked, or the process ends.
            Ok(Err(_)) => Err(CallError::Broken("the read was aborted".into())),
            Err(_) => Err(CallError::Timeout { by_deadline: true }),
        }
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

fn settle(permit: Option<Permit>, result: &Result<Answer, CallError>) {
    if let Some(permit) = permit {
        permit.settle(result);
    }
}
