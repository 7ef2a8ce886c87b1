//! Counts the calls of a method.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::metrics::{BoundHistogram, Histogram};
use opentelemetry::{KeyValue, StringValue};

use super::Recent;

/// Counts the calls of one method.
#[derive(Debug)]
pub struct Method {
    name: &'static str,
    all: Histogram<f64>,
    /// Successful calls, with the labels looked up once: hashing them costs
    /// more than the rest of a measurement. Set with the first one: a method
    /// that was never called has no series.
    answered: OnceLock<BoundHistogram<f64>>,
    recent: Arc<Recent>,
}

/// The cause of a call whose caller did not wait for its end.
const LEFT: &str = "CANCELLED";

/// The status of a successful call.
const OK: &str = "OK";

impl Method {
    /// Counts in `all`.
    pub(super) fn new(name: &'static str, all: Histogram<f64>, recent: Arc<Recent>) -> Self {
        Self {
            name,
            all,
            answered: OnceLock::new(),
            recent,
        }
    }

    /// Its full name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A call succeeded.
    pub fn succeeded(&self, took: Duration) {
        let bind = || self.all.bind(&self.labels(OK));
        self.answered.get_or_init(bind).record(took.as_secs_f64());
    }

    /// A call failed with a status, for a reason of a closed set.
    pub fn failed(&self, status: &'static str, cause: &'static str, took: Duration) {
        let code = status;
        let [system, method, status] = self.labels(status);
        let labels = [system, method, status, KeyValue::new("error.type", cause)];
        self.all.record(took.as_secs_f64(), &labels);
        // A follower that leaves is no failure.
        if cause != LEFT {
            self.recent.call_failed(self.name, code, cause);
        }
    }

    fn labels(&self, status: &'static str) -> [KeyValue; 3] {
        [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", StringValue::from(self.name)),
            KeyValue::new("rpc.response.status_code", status),
        ]
    }
}
