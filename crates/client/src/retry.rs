//! Calls that are repeated where that is safe.

use std::error::Error as _;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Response, Status, TimeoutExpired};

use crate::backoff::Backoff;
use crate::{Reason, Repeatable};

/// Nobody waits for one call longer than that.
const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// How a call is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How long all attempts and the waits between them may take. Each attempt
    /// tells the gateway how much is left, so that it stops working in time.
    pub deadline: Duration,
    /// Attempts in total.
    pub attempts: u32,
    /// Before a repeat a random part of this is waited, in addition to what the
    /// gateway asks for; it doubles with every repeat.
    pub first_wait: Duration,
    /// The back-off does not grow beyond this.
    pub longest_wait: Duration,
}

impl Retry {
    /// Up to five attempts within this time.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        Self {
            deadline,
            attempts: 5,
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(2),
        }
    }
}

/// Makes a call, and repeats it while the error is [transient] and the request
/// [may be sent again]: always the very same request, so that a write keeps its
/// `request_id` and is carried out once.
///
/// It waits for as long as the gateway asks (`grpc-retry-pushback-ms`, or
/// `RetryInfo`), and a random time on top. It does not wait when the gateway asks
/// for no repeat, or when the wait would end after the deadline: then the error
/// is returned at once.
///
/// `call` gets the request of each attempt with the deadline set, and may add
/// metadata. An answer that is a stream is repeated up to its beginning only; to
/// follow events see [`Follower`](crate::Follower).
///
/// Cancel-safe as far as the call is: a write that was sent is carried out all
/// the same.
///
/// # Errors
///
/// The error of the last attempt. `DEADLINE_EXCEEDED` when no answer came within
/// the deadline: a write may have been carried out, so ask `GetOrder` or repeat
/// it with the same `request_id`.
///
/// ```no_run
/// use std::time::Duration;
/// use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;
/// use transatel_gateway_client::connectivity::v1::GetProductRequest;
/// use transatel_gateway_client::{Retry, retrying};
///
/// # async fn read() -> Result<(), Box<dyn std::error::Error>> {
/// let catalog = CatalogClient::connect("http://transatel-gateway:50051").await?;
/// let request = GetProductRequest {
///     product_id: "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D".into(),
///     ..Default::default()
/// };
/// let answer = retrying(Retry::within(Duration::from_secs(10)), request, |request| {
///     // A clone uses the same connection.
///     let mut catalog = catalog.clone();
///     async move { catalog.get_product(request).await }
/// })
/// .await?;
/// println!("{:?}", answer.into_inner().product);
/// # Ok(())
/// # }
/// ```
///
/// [transient]: Reason::is_transient
/// [may be sent again]: Repeatable
pub async fn retrying<M, A, F>(
    retry: Retry,
    message: M,
    // Not an `AsyncFnMut`: a task could not be spawned of it.
    mut call: impl FnMut(Request<M>) -> F,
) -> Result<Response<A>, Status>
where
    M: Repeatable,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let backoff = Backoff {
        first: retry.first_wait,
        longest: retry.longest_wait,
    };
    let deadline = Instant::now() + retry.deadline.min(LONGEST_DEADLINE);
    let mut repeats = 0;
    loop {
        let mut request = Request::new(message.clone());
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let status = match timeout_at(deadline, call(request)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) if !timer_of_the_channel(&status) => status,
            _ => return Err(Status::deadline_exceeded("no answer within the deadline")),
        };
        if repeats + 1 >= retry.attempts || !message.is_repeatable() || !Reason::of(&status).is_transient() {
            return Err(status);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match backoff.after(&status, repeats) {
            Some(wait) if wait < left => sleep(wait).await,
            _ => return Err(status),
        }
        repeats += 1;
    }
}

/// Whether tonic's own timer, which goes by the same deadline, ended the call. It
/// says CANCELLED.
fn timer_of_the_channel(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
