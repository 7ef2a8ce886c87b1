//! A successful answer: its body, read whole.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::endpoint::Api;
use super::error::CallError;
use crate::telemetry::{ClockReading, Metrics};
use crate::transatel::lenient;

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    /// `X-TSL-Request-Id`.
    pub request_id: Option<String>,
    /// What only answers to `OPTIONS` have.
    pub options: Option<Box<Options>>,
    /// The whole body.
    pub body: Bytes,
    pub(super) api: Api,
    pub(super) metrics: Arc<Metrics>,
}

/// Of an answer to `OPTIONS`.
#[derive(Debug)]
pub struct Options {
    /// `Allow`: methods that the account may use there.
    pub allow: String,
    /// The clock of what answered, from its `Date`.
    pub clock: Option<ClockReading>,
}

impl Answer {
    /// Reads the body as a JSON object.
    ///
    /// # Errors
    /// [`CallError::Unreadable`], without anything of the body in its text.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        lenient::record(&self.body).map_err(|error| self.unreadable(&error))
    }

    /// The error for an answer that is not JSON of the expected shape; counts
    /// it.
    pub fn unreadable(&self, error: &serde_json::Error) -> CallError {
        // Only the class and the place: the message itself may quote values.
        let why = format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        );
        self.contradicts(why)
    }

    /// Reports elements of an answer's list that cannot be read and are left
    /// out, once for the answer.
    pub fn has_unreadable(&self, elements: usize) {
        if elements > 0 {
            tracing::warn!(
                api = self.api.name(),
                request_id = self.request_id.as_deref(),
                elements,
                "an answer of the provider has elements that cannot be read"
            );
        }
    }

    /// The error for an answer that is readable and contradicts the request;
    /// counts it. The reason must hold nothing of the answer.
    pub fn contradicts(&self, why: impl Into<String>) -> CallError {
        let why = why.into();
        self.metrics.unreadable(self.api.name());
        tracing::warn!(
            api = self.api.name(),
            request_id = self.request_id.as_deref(),
            "an answer of the provider cannot be used: {why}"
        );
        CallError::Unreadable {
            why,
            truncated: false,
            request_id: self.request_id.clone(),
        }
    }
}
