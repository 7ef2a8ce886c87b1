//! Calls to the provider over HTTP: how they are sent, authorized, bounded,
//! repeated and turned away, whichever API they are for.
//!
//! * [`endpoint`] is the table of URLs.
//! * [`request`] is what is asked, and within which bounds.
//! * [`call`] makes a call of it: a token, attempts, and the rule that only
//!   reads are repeated.
//! * [`transport`] is the one function that sends, [`answer`] what comes back,
//!   `observation` what operators see of it, `date` what it shows of the
//!   provider's clock.
//! * `guard` admits calls: bulkhead, rate limit, circuit `breaker`, and the
//!   budget of retries.
//! * [`token`] keeps the OAuth2 token.
//! * [`error`] is how a call fails.

pub mod answer;
mod breaker;
pub mod call;
mod credentials;
mod date;
pub mod endpoint;
pub mod error;
pub(in crate::transatel) mod guard;
mod leased_body;
mod observation;
mod pace;
pub mod request;
pub(in crate::transatel) mod retry;
pub mod token;
pub mod transport;
