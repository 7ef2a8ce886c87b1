//! The report of `doctor`, as a table for people and as JSON for scripts.
//!
//! Texts of the provider pass through here on their way to a terminal: digits
//! that could name a SIM are masked, control characters are dropped.

use std::fmt;

use http::Method;
use serde::Serialize;

use crate::transatel::client::endpoint::Endpoint;
use crate::transatel::client::error::Need;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As documented.
    Ok,
    /// The account lacks the permission.
    NotPermitted,
    /// Answered, but not as documented.
    Differs,
    /// Not answered.
    Unreachable,
}

impl Verdict {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotPermitted => "not permitted",
            Self::Differs => "differs",
            Self::Unreachable => "unreachable",
        }
    }
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Method and path with placeholders.
    pub request: String,
    /// Whether the gateway needs it.
    pub required: bool,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub note: String,
    /// Methods that the account may use there; empty unless they were asked
    /// for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// What the provider's support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Check {
    /// A check of what an endpoint is for, about to be made.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self::named(endpoint.name, endpoint)
    }

    /// One by another name.
    pub(super) fn named(name: &'static str, endpoint: &Endpoint) -> Self {
        Self::new(name, &endpoint.method, endpoint.template, endpoint.need)
    }

    /// One that the gateway does not depend on.
    pub(super) fn optional(name: &'static str, endpoint: &Endpoint) -> Self {
        Self::new(name, &endpoint.method, endpoint.template, Need::Optional)
    }

    /// A check of what the account may do at an endpoint.
    pub(super) fn options(name: &'static str, endpoint: &Endpoint, need: Need) -> Self {
        Self::new(name, &Method::OPTIONS, endpoint.template, need)
    }

    fn new(name: &'static str, method: &Method, template: &str, need: Need) -> Self {
        Self {
            name,
            request: format!("{method} {template}"),
            required: need == Need::Required,
            verdict: Verdict::Ok,
            note: String::new(),
            allow: Vec::new(),
            request_id: None,
        }
    }

    /// How it went.
    pub(super) fn is(mut self, verdict: Verdict, note: impl AsRef<str>) -> Self {
        self.verdict = verdict;
        self.note = shown(note.as_ref());
        self
    }

    fn is_blocking(&self) -> bool {
        self.required && self.verdict != Verdict::Ok
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The base URL.
    pub provider: String,
    /// Whether a simulator plays the provider, so that no account was checked.
    pub simulated: bool,
    /// Whether all checks were made: without a token none can be.
    pub complete: bool,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// How safe the ledger is, in words; does not affect the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

impl Report {
    pub(super) fn new(provider: &str, simulated: bool) -> Self {
        Self {
            provider: provider.to_owned(),
            simulated,
            complete: false,
            checks: Vec::new(),
            store: None,
        }
    }

    /// Adds a check; returns whether it is ok.
    pub(super) fn add(&mut self, check: Check) -> bool {
        let ok = check.verdict == Verdict::Ok;
        self.checks.push(check);
        ok
    }

    /// Whether the gateway can do its job: everything that is required is ok.
    pub fn is_able(&self) -> bool {
        self.complete && !self.checks.iter().any(Check::is_blocking)
    }

    /// For scripts.
    ///
    /// # Errors
    /// Never, short of a defect.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            able: bool,
            #[serde(flatten)]
            report: &'a Report,
        }
        serde_json::to_string_pretty(&Whole {
            able: self.is_able(),
            report: self,
        })
    }
}

/// The table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Check) -> usize| self.checks.iter().map(of).max().unwrap_or_default();
        let (name, request) = (
            width(|check| check.name.len()),
            width(|check| check.request.len()),
        );
        writeln!(f, "{}", self.provider)?;
        if self.simulated {
            writeln!(f, "a simulator plays the provider: no account is checked")?;
        }
        for check in &self.checks {
            let need = if check.required { "required" } else { "optional" };
            writeln!(
                f,
                "{:<13}  {need}  {:<name$}  {:<request$}  {}",
                check.verdict.label(),
                check.name,
                check.request,
                check.note
            )?;
        }
        if !self.complete {
            writeln!(f, "nothing else was checked: every request needs a token")?;
        }
        if let Some(store) = &self.store {
            writeln!(f, "store: {store}")?;
        }
        let blocking: Vec<&str> = self
            .checks
            .iter()
            .filter(|check| check.is_blocking())
            .map(|check| check.name)
            .collect();
        let whose = if self.simulated { "simulator" } else { "account" };
        if blocking.is_empty() {
            writeln!(f, "the gateway can do its job with this {whose}")
        } else {
            writeln!(f, "the gateway cannot do its job: {}", blocking.join(", "))
        }
    }
}

/// This many digits in a row may identify a SIM or a device.
const IDENTIFYING: usize = 6;
/// This many of them are shown.
const SHOWN: usize = 4;

/// Text that may go to a terminal.
fn shown(text: &str) -> String {
    let text: Vec<char> = text.chars().filter(|letter| !letter.is_control()).collect();
    text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .map(|run| {
            let is_number = run.first().is_some_and(char::is_ascii_digit);
            if is_number && run.len() >= IDENTIFYING {
                let end: String = run.iter().skip(run.len() - SHOWN).collect();
                format!("…{end}")
            } else {
                run.iter().collect()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_name_a_sim_is_masked() {
        for (text, expected) in [
            ("404 ESIM_NOT_FOUND", "404 ESIM_NOT_FOUND"),
            (
                "SIM 8988247000000000019 of +882470000000001",
                "SIM …0019 of +…0001",
            ),
            ("1041 products", "1041 products"),
            ("a\u{1b}[31mred\n", "a[31mred"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    fn report(checks: &[(Need, Verdict)]) -> Report {
        let mut report = Report::new("https://provider.example/", false);
        report.complete = true;
        for (need, verdict) in checks {
            report.add(Check::new("a check", &Method::GET, "/path", *need).is(*verdict, "note"));
        }
        report
    }

    #[test]
    fn only_what_is_required_is_blocking() {
        for verdict in [Verdict::NotPermitted, Verdict::Differs, Verdict::Unreachable] {
            assert!(report(&[(Need::Required, Verdict::Ok), (Need::Optional, verdict)]).is_able());
            assert!(!report(&[(Need::Required, verdict), (Need::Optional, Verdict::Ok)]).is_able());
        }
        let mut stopped = report(&[(Need::Required, Verdict::Ok)]);
        stopped.complete = false;
        assert!(!stopped.is_able());
    }

    #[test]
    fn table_and_json_show_the_same() {
        let report = report(&[
            (Need::Required, Verdict::Differs),
            (Need::Optional, Verdict::NotPermitted),
        ]);
        let table = report.to_string();
        assert!(
            table.contains("differs        required  a check  GET /path  note\n"),
            "{table}"
        );
        assert!(
            table.contains("not permitted  optional  a check  GET /path  note\n"),
            "{table}"
        );
        assert!(
            table.ends_with("the gateway cannot do its job: a check\n"),
            "{table}"
        );
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(json["able"], false);
        assert_eq!(json["checks"][1]["verdict"], "not_permitted");
        assert_eq!(json["checks"][1]["required"], false);
    }
}
