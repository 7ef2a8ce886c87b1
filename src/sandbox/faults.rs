//! Fault scripts: what goes wrong, for which requests, in which order.
//!
//! A script has a method, a path and steps. Every request that it fits uses up
//! one step; a script whose steps are used up is gone. The first script in the
//! queue that fits decides. Whether the request is carried out before the fault
//! hits its answer (`commit`) is chosen apart from the fault, because that is
//! what a caller cannot see.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use http::Method;
use serde::{Deserialize, Serialize};

use super::{duration_text, lock::lock, routes::Found};

/// What happens to a request instead of an ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Nothing: lets requests through between other steps.
    Pass,
    /// The answer comes this much later. Without `commit` the wait is before the request is carried out, with it
    /// after. It is carried out even when the caller has given up meanwhile, as a slow provider would.
    Delay {
        /// How long.
        #[serde(rename = "for", with = "duration_text")]
        duration: Duration,
    },
    /// As a delay, but until the gate of this name is released.
    Hold {
        /// Name of the gate.
        gate: String,
    },
    /// An answer with this status. Without a body it is the provider's error for that status.
    Status {
        /// HTTP status, 200 to 599.
        status: u16,
        /// Machine code in the error, when it shall be another than the usual one of the status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The body, verbatim. `Some("")` sends none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// More headers, or others in place of the usual `content-type`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
    },
    /// 429, with `Retry-After` in whole seconds when given.
    RateLimited {
        /// The time to wait that the answer names.
        #[serde(
            default,
            with = "duration_text::optional",
            skip_serializing_if = "Option::is_none"
        )]
        retry_after: Option<Duration>,
    },
    /// 401, as for a token that was revoked a moment ago.
    Unauthorized,
    /// The TCP connection is reset; without `commit`, before the body is read.
    Reset,
    /// The connection is closed in an orderly way, without an answer.
    Close,
    /// No answer ever comes; the connection stays open.
    Hang,
    /// A 200 that says it is JSON and is not.
    Garbage,
    /// The answer is cut off: fewer bytes come than `content-length` promises, then the connection closes.
    Truncated,
    /// As `Truncated`, but the connection stays open and the rest never comes.
    Stalled,
    /// A 200 with an HTML page, as from a proxy in between.
    Html,
    /// A 200 whose JSON is padded to this many bytes.
    Oversize {
        /// Length of the body.
        bytes: u64,
    },
}

impl Fault {
    /// An answer with this status and the provider's error for it.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            title: None,
            body: None,
            headers: BTreeMap::new(),
        }
    }

    /// An error answer with this status and machine code.
    pub fn problem(status: u16, title: impl Into<String>) -> Self {
        Self::Status {
            status,
            title: Some(title.into()),
            body: None,
            headers: BTreeMap::new(),
        }
    }

    /// An answer with this status and this body, verbatim.
    pub fn body(status: u16, body: impl Into<String>) -> Self {
        Self::Status {
            status,
            title: None,
            body: Some(body.into()),
            headers: BTreeMap::new(),
        }
    }

    /// The answer comes this much later.
    pub fn delay(duration: Duration) -> Self {
        Self::Delay { duration }
    }

    /// The request waits at a gate.
    pub fn hold(gate: impl Into<String>) -> Self {
        Self::Hold { gate: gate.into() }
    }

    /// One step with this fault, before the request is carried out.
    pub fn step(self) -> Step {
        Step::from(self)
    }

    /// One step in which the request is carried out first and the fault hits its answer.
    pub fn after_commit(self) -> Step {
        Step {
            commit: true,
            ..Step::from(self)
        }
    }

    /// The name that the journal shows.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Delay { .. } => "delay",
            Self::Hold { .. } => "hold",
            Self::Status { .. } => "status",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::Stalled => "stalled",
            Self::Html => "html",
            Self::Oversize { .. } => "oversize",
        }
    }
}

/// One step of a script: a fault and how often it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
    /// Whether the request is really carried out before the fault hits its answer.
    #[serde(default)]
    pub commit: bool,
    /// How many requests it is for; 1 when not given.
    #[serde(default = "once")]
    pub repeat: u32,
    /// Whether it is for every request from now on, whatever `repeat` says.
    #[serde(default)]
    pub forever: bool,
}

fn once() -> u32 {
    1
}

impl From<Fault> for Step {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            commit: false,
            repeat: 1,
            forever: false,
        }
    }
}

impl Step {
    /// The same step for this many requests.
    pub fn times(self, repeat: u32) -> Self {
        Self { repeat, ..self }
    }

    /// The same step for every request, until faults are cleared.
    pub fn forever(self) -> Self {
        Self {
            forever: true,
            ..self
        }
    }
}

/// Steps for the requests of a method and path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// HTTP method; missing for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Beginning of the path, or the whole template of a route. Empty for every path.
    #[serde(default)]
    pub path: String,
    /// Used from the first on.
    pub steps: VecDeque<Step>,
}

impl Script {
    /// A script without steps for one method and all paths that begin so, or for one route by its template.
    pub fn on(method: &str, path: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            path: path.to_owned(),
            steps: VecDeque::new(),
        }
    }

    /// A script without steps for all methods.
    pub fn on_path(path: &str) -> Self {
        Self {
            method: None,
            path: path.to_owned(),
            steps: VecDeque::new(),
        }
    }

    /// The same script with one step more.
    pub fn then(mut self, step: impl Into<Step>) -> Self {
        self.steps.push_back(step.into());
        self
    }

    fn fits(&self, method: &Method, path: &str, found: Option<&Found>) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()));
        let template_fits = found.is_some_and(|found| found.route.template == self.path);
        method_fits && (template_fits || path.starts_with(&self.path))
    }

    /// The next fault of the script, if a step is left.
    fn take(&mut self) -> Option<(Fault, bool)> {
        loop {
            let step = self.steps.front_mut()?;
            if step.forever {
                return Some((step.fault.clone(), step.commit));
            }
            if let Some(left) = step.repeat.checked_sub(1) {
                step.repeat = left;
                let taken = (step.fault.clone(), step.commit);
                if left == 0 {
                    self.steps.pop_front();
                }
                return Some(taken);
            }
            self.steps.pop_front();
        }
    }
}

/// The queue of scripts.
#[derive(Debug, Default)]
pub(super) struct Faults {
    scripts: Mutex<VecDeque<Script>>,
}

impl Faults {
    pub(super) fn queue(&self, script: Script) {
        lock(&self.scripts).push_back(script);
    }

    pub(super) fn clear(&self) {
        lock(&self.scripts).clear();
    }

    /// What is still to come.
    pub(super) fn list(&self) -> Vec<Script> {
        lock(&self.scripts).iter().cloned().collect()
    }

    /// The fault for a request and whether the request is carried out first. Uses the step up.
    pub(super) fn take(&self, method: &Method, path: &str, found: Option<&Found>) -> Option<(Fault, bool)> {
        let mut scripts = lock(&self.scripts);
        let taken = scripts
            .iter_mut()
            .filter(|script| script.fits(method, path, found))
            .find_map(Script::take)
            .filter(|(fault, _)| *fault != Fault::Pass);
        scripts.retain(|script| !script.steps.is_empty());
        taken
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::routes;

    fn take(faults: &Faults, method: Method, path: &str) -> Option<&'static str> {
        faults
            .take(&method, path, routes::find(path).as_ref())
            .map(|(fault, _)| fault.name())
    }

    #[test]
    fn steps_are_used_in_order_and_then_gone() {
        let faults = Faults::default();
        faults.queue(
            Script::on("GET", "/ocs")
                .then(Fault::Reset.step().times(2))
                .then(Fault::Pass)
                .then(Fault::Hang.after_commit()),
        );
        let path = "/ocs/catalog/api/cos/C/products";
        let taken: Vec<_> = (0..5).map(|_| take(&faults, Method::GET, path)).collect();
        assert_eq!(taken, [Some("reset"), Some("reset"), None, Some("hang"), None]);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_script_waits_for_the_requests_it_is_for() {
        let faults = Faults::default();
        faults.queue(Script::on("GET", "/ocs/catalog/api/cos/{cosRef}/products").then(Fault::Html));
        assert_eq!(
            take(&faults, Method::POST, "/ocs/catalog/api/cos/C/products"),
            None
        );
        assert_eq!(
            take(&faults, Method::GET, "/ocs/catalog/api/cos/C/products/P"),
            None
        );
        assert_eq!(
            take(&faults, Method::GET, "/ocs/catalog/api/cos/C/products"),
            Some("html")
        );
    }

    #[test]
    fn forever_lasts_until_cleared() {
        let faults = Faults::default();
        faults.queue(Script::on_path("").then(Fault::status(503).step().forever()));
        assert_eq!(take(&faults, Method::GET, "/a"), Some("status"));
        assert_eq!(take(&faults, Method::POST, "/b"), Some("status"));
        faults.clear();
        assert_eq!(take(&faults, Method::GET, "/a"), None);
    }

    #[test]
    fn scripts_read_from_json() {
        let script: Script = serde_json::from_value(json!({
            "method": "POST",
            "path": "/ocs/subscriptions",
            "steps": [
                { "fault": "status", "status": 500, "commit": true },
                { "fault": "delay", "for": "300ms", "repeat": 2 },
                { "fault": "rate_limited", "retry_after": "2s" },
                { "fault": "oversize", "bytes": 1000, "forever": true },
            ],
        }))
        .unwrap();
        let expected = Script::on("POST", "/ocs/subscriptions")
            .then(Fault::status(500).after_commit())
            .then(Fault::delay(Duration::from_millis(300)).step().times(2))
            .then(Fault::RateLimited {
                retry_after: Some(Duration::from_secs(2)),
            })
            .then(Fault::Oversize { bytes: 1000 }.step().forever());
        assert_eq!(script, expected);
        let again: Script = serde_json::from_value(serde_json::to_value(&script).unwrap()).unwrap();
        assert_eq!(again, expected);
    }
}
