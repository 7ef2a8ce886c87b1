//! Fault scripts: what goes wrong, for which requests, in which order.
//!
//! A script has a method, a path and steps. Every request that it fits uses up
//! one step; a script whose steps are used up is gone. The first script in the
//! queue that fits decides. Whether the request is carried out before the fault
//! hits its answer (`commit`) is chosen apart from the fault, because that is
//! what a caller cannot see.

use std::{collections::VecDeque, sync::Mutex};

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{
    faults::{fault::Fault, step::Step},
    lock::lock,
};

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

    fn fits(&self, method: &Method, path: &str, template: Option<&str>) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()));
        let template_fits = template == Some(self.path.as_str());
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
pub(crate) struct Faults {
    scripts: Mutex<VecDeque<Script>>,
}

impl Faults {
    pub(crate) fn queue(&self, script: Script) {
        lock(&self.scripts).push_back(script);
    }

    pub(crate) fn clear(&self) {
        lock(&self.scripts).clear();
    }

    /// What is still to come.
    pub(crate) fn list(&self) -> Vec<Script> {
        lock(&self.scripts).iter().cloned().collect()
    }

    /// The fault for a request and whether the request is carried out first. Uses the step up.
    pub(crate) fn take(&self, method: &Method, path: &str, template: Option<&str>) -> Option<(Fault, bool)> {
        let mut scripts = lock(&self.scripts);
        let taken = scripts
            .iter_mut()
            .filter(|script| script.fits(method, path, template))
            .find_map(Script::take)
            .filter(|(fault, _)| *fault != Fault::Pass);
        scripts.retain(|script| !script.steps.is_empty());
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::http::routes;

    fn take(faults: &Faults, method: Method, path: &str) -> Option<&'static str> {
        faults
            .take(
                &method,
                path,
                routes::find(path).map(|found| found.route.template),
            )
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
