//! Checks an account against the provider's documents: does it have the
//! permissions that the gateway needs, and are answers as documented?
//!
//! Read-only: a token, `OPTIONS` on every URL that the gateway uses or may
//! use, one catalog, searches of SIMs, one SIM if it is named, and errors made
//! on purpose. What
//! it finds ([`Report`]) holds no secret and no complete identifier. Printing
//! it is the command's.

mod catalog;
mod clock;
mod report;
mod search;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::config::{Config, Telemetry};
use crate::domain::change::OptionalOperation;
use crate::domain::{Deadline, Iccid, Msisdn};
use crate::telemetry::{Metrics, metrics};
use crate::transatel::Transatel;
use crate::transatel::api::sim_management::ESIM_NOT_FOUND;
use crate::transatel::client::endpoint::{self, Endpoint};
use crate::transatel::client::error::{CallError, Need, Refusal};
use crate::transatel::client::request::CallOptions;
use crate::transatel::client::transport;
use crate::transatel::probe::{Finding, NO_SUBSCRIPTIONS, ProbeError, Subject, WRONG_PATH};

pub use report::{Check, Report, Verdict};

/// Why nothing can be checked.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Provider(#[from] transport::BuildError),
    /// The metrics that the client counts in cannot be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics::SetupError),
}

/// SIMs to read, if any.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Of an eSIM of the account.
    pub iccid: Option<Iccid>,
    /// Of a SIM of the account.
    pub msisdn: Option<Msisdn>,
}

/// The longest that one check takes, retries included.
const CHECK_WITHIN: Duration = Duration::from_secs(30);

/// An ICCID of country code 999, which is not assigned, with a valid check
/// digit: well-formed, and not any SIM's.
const UNKNOWN_ICCID: &str = "8999900000000000006";
/// An MSISDN of country code 999.
const UNKNOWN_MSISDN: &str = "999000000000000";

/// Makes every check. Takes a few seconds with a healthy provider.
///
/// # Errors
/// Only when nothing can be sent at all; what the provider does wrong is in
/// the report.
pub async fn examine(config: &Config, named: &Named) -> Result<Report, SetupError> {
    // A command exports no metrics.
    let telemetry = Telemetry {
        otlp_endpoint: None,
        ..config.telemetry.clone()
    };
    let metrics = Arc::new(Metrics::new(&telemetry)?);
    let tasks = TaskTracker::new();
    let provider = Transatel::new(&config.transatel, &config.outbound, metrics, tasks)?;
    let base_url = &config.transatel.base_url;
    // Without credentials that the URL may contain.
    let shown = format!("{}{}", base_url.origin().ascii_serialization(), base_url.path());
    let mut report = Report::new(&shown, config.transatel.simulated);
    let doctor = Doctor {
        provider,
        config,
        named,
    };
    if report.add(doctor.token().await) {
        report.complete = doctor.rest(&mut report).await.is_some();
    }
    Ok(report)
}

struct Doctor<'a> {
    provider: Transatel,
    config: &'a Config,
    named: &'a Named,
}

impl Doctor<'_> {
    async fn token(&self) -> Check {
        let check = Check::of(&endpoint::TOKEN);
        match self.provider.grant().await {
            Ok(grant) if grant.scopes.is_empty() => check.is(Verdict::Ok, "no scopes named"),
            Ok(grant) => {
                let lifetime = grant.lifetime.as_secs();
                check.is(Verdict::Ok, format!("{lifetime} s, {}", grant.scopes.join(" ")))
            }
            Err(failure) => check.failed(&failure),
        }
    }

    /// The checks that need a token.
    async fn rest(&self, report: &mut Report) -> Option<()> {
        let (no_iccid, no_msisdn) = unassigned()?;
        let product_id = self.catalog(report).await;
        let named = Subject {
            product_id: product_id.unwrap_or_else(|| "NO_SUCH_PRODUCT".to_owned()),
            iccid: self.named.iccid.clone().unwrap_or_else(|| no_iccid.clone()),
            msisdn: self.named.msisdn.clone().unwrap_or_else(|| no_msisdn.clone()),
        };
        for endpoint in endpoint::ALWAYS {
            let check = Check::options(endpoint.name, endpoint, endpoint.need);
            report.add(self.methods(check, endpoint, &named).await);
        }
        for operation in OptionalOperation::ALL {
            report.add(self.operation(operation, &named).await);
        }
        self.filters(report).await;
        self.clock(report, &named).await;
        let options = || CallOptions::until(Deadline::after(CHECK_WITHIN));
        if self.named.iccid.is_some() {
            let check = Check::named("this eSIM", &endpoint::ESIM);
            report.add(check.found(self.provider.probe_esim(&named, options()).await));
            let check = Check::named("this SIM in search", &endpoint::SIM_SEARCH);
            report.add(check.found(self.provider.probe_sim_search(&named, options()).await));
        }
        if self.named.msisdn.is_some() {
            let check = Check::named("this SIM's inventory", &endpoint::INVENTORY);
            report.add(check.found(self.provider.probe_inventory(&named, options()).await));
        }
        let unknown = Subject {
            iccid: no_iccid,
            msisdn: no_msisdn,
            ..named
        };
        let check = Check::named("unknown MSISDN", &endpoint::INVENTORY);
        let looked = self.provider.probe_inventory(&unknown, options()).await;
        report.add(match looked {
            // Integrators have seen both an error and an empty list.
            Ok(finding) if finding.note == NO_SUBSCRIPTIONS => check.found(Ok(finding)),
            other => check.refused_as("SUBSCRIBER_NOT_FOUND", other),
        });
        let check = Check::named("unknown eSIM", &endpoint::ESIM);
        let looked = self.provider.probe_esim(&unknown, options()).await;
        report.add(check.refused_as(ESIM_NOT_FOUND, looked));
        let check = Check::of(&WRONG_PATH);
        let looked = self.provider.probe_wrong_path(&unknown, options()).await;
        report.add(check.refused_as("NOT_FOUND", looked));
        Some(())
    }

    /// Whether the account may use an operation that not every account has.
    /// Required only when the settings offer it to callers.
    async fn operation(&self, operation: OptionalOperation, subject: &Subject) -> Check {
        let offered = self.config.transatel.enabled_operations.contains(&operation);
        let endpoint = endpoint::of_operation(operation);
        let need = if offered { Need::Required } else { Need::Optional };
        let check = Check::options(operation.name(), endpoint, need);
        let check = self.methods(check, endpoint, subject).await;
        let here = if offered { "enabled here" } else { "off here" };
        let unasked = match operation {
            OptionalOperation::CancelRenewal | OptionalOperation::TerminateSubscription => {
                ", the kind of order cannot be asked"
            }
            _ => "",
        };
        let note = format!("{}; {here}{unasked}", check.note);
        let verdict = check.verdict;
        check.is(verdict, note)
    }

    async fn methods(&self, check: Check, endpoint: &'static Endpoint, subject: &Subject) -> Check {
        let options = CallOptions::until(Deadline::after(CHECK_WITHIN));
        match self.provider.allowed_methods(endpoint, subject, options).await {
            Ok((methods, request_id)) => {
                let permitted = methods.iter().any(|method| method == endpoint.method.as_str());
                let note = format!("Allow: {}", methods.join(", "));
                let mut check = if permitted {
                    check.is(Verdict::Ok, note)
                } else {
                    check.is(
                        Verdict::NotPermitted,
                        format!("{} is missing; {note}", endpoint.method),
                    )
                };
                check.allow = methods;
                check.request_id = request_id;
                check
            }
            Err(error) => check.found(Err(error)),
        }
    }
}

/// Identifiers that no SIM has. Never `None`: a test parses them.
fn unassigned() -> Option<(Iccid, Msisdn)> {
    Some((Iccid::parse(UNKNOWN_ICCID)?, Msisdn::parse(UNKNOWN_MSISDN)?))
}

impl Check {
    /// With what a probe found.
    fn found(self, found: Result<Finding, ProbeError>) -> Self {
        let (verdict, finding) = match found {
            Ok(finding) => (Verdict::Ok, finding),
            Err(ProbeError::Differs(finding)) => (Verdict::Differs, finding),
            Err(ProbeError::Failed(failure)) => return self.failed(&failure),
        };
        let mut check = self.is(verdict, finding.note);
        check.request_id = finding.request_id;
        check
    }

    /// As documented if it was refused with this title.
    fn refused_as(self, title: &str, looked: Result<Finding, ProbeError>) -> Self {
        let instead = |note: &str| format!("{title} expected: {note}");
        match looked {
            Err(ProbeError::Failed(CallError::Refused(refusal))) if refusal.is(title) => {
                let mut check = self.is(Verdict::Ok, refusal.to_string());
                check.request_id = refusal.request_id;
                check
            }
            Err(ProbeError::Failed(failure)) => {
                let check = self.failed(&failure);
                if check.verdict == Verdict::Differs {
                    let note = instead(&check.note);
                    return check.is(Verdict::Differs, note);
                }
                check
            }
            Ok(finding) | Err(ProbeError::Differs(finding)) => {
                let note = instead(&finding.note);
                let mut check = self.is(Verdict::Differs, note);
                check.request_id = finding.request_id;
                check
            }
        }
    }

    fn failed(self, failure: &CallError) -> Self {
        let mut check = self.is(judge(failure), failure.to_string());
        check.request_id = request_id(failure);
        check
    }
}

/// What a failure says about the account.
fn judge(failure: &CallError) -> Verdict {
    match failure {
        CallError::Token(inner) => match &**inner {
            // OAuth refuses credentials with 400 or 401 and one of these.
            CallError::Refused(refusal)
                if ["invalid_client", "invalid_scope", "unauthorized_client"]
                    .iter()
                    .any(|word| refusal.is(word)) =>
            {
                Verdict::NotPermitted
            }
            inner => judge(inner),
        },
        CallError::NoTimeLeft
        | CallError::CircuitOpen { .. }
        | CallError::Crowded
        | CallError::Connect(_)
        | CallError::Timeout { .. }
        | CallError::Broken(_) => Verdict::Unreachable,
        CallError::Unreadable { truncated: true, .. } => Verdict::Unreachable,
        CallError::Unreadable { truncated: false, .. } => Verdict::Differs,
        CallError::Refused(Refusal { status, .. }) => match status {
            // 501: the account does not have it.
            401 | 403 | 501 => Verdict::NotPermitted,
            429 | 500.. => Verdict::Unreachable,
            _ => Verdict::Differs,
        },
    }
}

fn request_id(failure: &CallError) -> Option<String> {
    match failure {
        CallError::Token(inner) => request_id(inner),
        CallError::Refused(refusal) => refusal.request_id.clone(),
        CallError::Unreadable { request_id, .. } => request_id.clone(),
        CallError::NoTimeLeft
        | CallError::CircuitOpen { .. }
        | CallError::Crowded
        | CallError::Connect(_)
        | CallError::Timeout { .. }
        | CallError::Broken(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, title: &str) -> CallError {
        CallError::Refused(Refusal {
            status,
            title: Some(title.to_owned()),
            ..Refusal::default()
        })
    }

    #[test]
    fn unassigned_identifiers_are_well_formed() {
        assert!(unassigned().is_some());
    }

    #[test]
    fn every_failure_has_its_verdict() {
        let unreadable = |truncated| CallError::Unreadable {
            why: "x".into(),
            truncated,
            request_id: None,
        };
        let token = |failure| CallError::Token(Arc::new(failure));
        for (failure, verdict) in [
            (CallError::Connect("x".into()), Verdict::Unreachable),
            (CallError::Broken("x".into()), Verdict::Unreachable),
            (CallError::Timeout { by_deadline: true }, Verdict::Unreachable),
            (CallError::NoTimeLeft, Verdict::Unreachable),
            (unreadable(true), Verdict::Unreachable),
            (unreadable(false), Verdict::Differs),
            (refused(401, "UNAUTHORIZED"), Verdict::NotPermitted),
            (refused(403, "INSUFFICIENT_PERMISSION"), Verdict::NotPermitted),
            (refused(501, "NOT_IMPLEMENTED"), Verdict::NotPermitted),
            (refused(404, "NOT_FOUND"), Verdict::Differs),
            (refused(400, "BAD_REQUEST"), Verdict::Differs),
            (refused(429, "TOO_MANY_REQUESTS"), Verdict::Unreachable),
            (refused(503, "SERVICE_UNAVAILABLE"), Verdict::Unreachable),
            (token(refused(401, "invalid_client")), Verdict::NotPermitted),
            (token(refused(400, "invalid_client")), Verdict::NotPermitted),
            (token(refused(400, "invalid_request")), Verdict::Differs),
            (token(CallError::Connect("x".into())), Verdict::Unreachable),
            (token(unreadable(false)), Verdict::Differs),
        ] {
            assert_eq!(judge(&failure), verdict, "{failure:?}");
        }
    }

    #[test]
    fn a_deliberate_error_has_to_be_the_contracts() {
        let check = || Check::named("unknown eSIM", &endpoint::ESIM);
        let answered = Ok(Finding {
            note: "released".into(),
            request_id: None,
        });
        for (looked, verdict, note) in [
            (
                Err(refused(404, "ESIM_NOT_FOUND").into()),
                Verdict::Ok,
                "404 ESIM_NOT_FOUND",
            ),
            // The title decides, whatever the status.
            (
                Err(refused(400, "ESIM_NOT_FOUND").into()),
                Verdict::Ok,
                "400 ESIM_NOT_FOUND",
            ),
            (
                Err(refused(404, "NOT_FOUND").into()),
                Verdict::Differs,
                "ESIM_NOT_FOUND expected: answered 404 NOT_FOUND",
            ),
            (
                Err(refused(403, "X").into()),
                Verdict::NotPermitted,
                "answered 403 X",
            ),
            (answered, Verdict::Differs, "ESIM_NOT_FOUND expected: released"),
        ] {
            let check = check().refused_as("ESIM_NOT_FOUND", looked);
            assert_eq!((check.verdict, check.note.as_str()), (verdict, note));
        }
    }
}
