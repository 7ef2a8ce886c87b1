//! Fault scripts: what goes wrong, for which requests, in which order.
//!
//! A script has a method, a path, a part of the query and steps. Every request that it
//! fits uses up one step; a script whose steps are used up is gone. The first script in the
//! queue that fits decides. Whether the request is carried out before the fault
//! hits its answer (`commit`) is chosen apart from the fault, because that is
//! what a caller cannot see.

use std::{collections::VecDeque, sync::Mutex};

use http::{Method, Uri};
use serde::{Deserialize, Serialize};

use crate::{
    faults::{fault::Fault, step::Step},
    lock::lock,
};

/// Steps for the requests of a method, a path and a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// HTTP method; missing for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Beginning of the path, or the whole template of a route. Empty for every path.
    #[serde(default)]
    pub path: String,
    /// Text that the query holds, such as `msisdn=882470000000001`, so that what a client
    /// asks about other SIMs meanwhile uses up no step. Empty for every query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Used from the first on.
    pub steps: VecDeque<Step>,
}

impl Script {
    /// A script without steps for one method and all paths that begin so, or for one route by its template.
    pub fn on(method: &str, path: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            path: path.to_owned(),
            query: String::new(),
            steps: VecDeque::new(),
        }
    }

    /// A script without steps for all methods.
    pub fn on_path(path: &str) -> Self {
        Self {
            method: None,
            path: path.to_owned(),
            query: String::new(),
            steps: VecDeque::new(),
        }
    }

    /// The same script for requests only whose query holds this text.
    pub fn with_query(mut self, text: &str) -> Self {
        self.query = text.to_owned();
        self
    }

    /// The same script with one step more.
    pub fn then(mut self, step: impl Into<Step>) -> Self {
        self.steps.push_back(step.into());
        self
    }

    fn fits(&self, method: &Method, uri: &Uri, template: Option<&str>) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()));
        let template_fits = template == Some(self.path.as_str());
        let path_fits = template_fits || uri.path().starts_with(&self.path);
        method_fits && path_fits && uri.query().unwrap_or_default().contains(&self.query)
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
    pub(crate) fn take(&self, method: &Method, uri: &Uri, template: Option<&str>) -> Option<(Fault, bool)> {
        let mut scripts = lock(&self.scripts);
        let taken = scripts
            .iter_mut()
            .filter(|script| script.fits(method, uri, template))
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

    fn take(faults: &Faults, method: Method, uri: &str) -> Option<&'static str> {
        let uri: Uri = uri.parse().unwrap();
        let route = routes::find(uri.path()).map(|found| found.route.template);
        faults.take(&method, &uri, route).map(|(fault, _)| fault.name())
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
    fn a_script_for_one_sim_is_not_used_up_by_questions_about_others() {
        let faults = Faults::default();
        faults.queue(
            Script::on("GET", "/ocs/inventory")
                .with_query("msisdn=882470000000001")
                .then(Fault::Reset),
        );
        let about = |query: &str| format!("/ocs/inventory/api/subscriptions/products{query}");
        for other in ["", "?msisdn=882470000000002", "?iccid=8988247000000000019"] {
            assert_eq!(take(&faults, Method::GET, &about(other)), None, "{other}");
        }
        let own = about("?state=ACTIVE&msisdn=882470000000001");
        assert_eq!(take(&faults, Method::GET, &own), Some("reset"));
        assert!(faults.list().is_empty());
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
            "query": "a=b",
            "steps": [
                { "fault": "status", "status": 500, "commit": true },
                { "fault": "delay", "for": "300ms", "repeat": 2 },
                { "fault": "rate_limited", "retry_after": "2s" },
                { "fault": "oversize", "bytes": 1000, "forever": true },
            ],
        }))
        .unwrap();
        let expected = Script::on("POST", "/ocs/subscriptions")
            .with_query("a=b")
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
