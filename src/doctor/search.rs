//! How SIM Search takes filters beside the ICCID: only that one is proven.

use super::report::{Check, Report, Verdict};
use super::{CHECK_WITHIN, Doctor};
use crate::domain::{Deadline, SimRecord, SimStatus};
use crate::transatel::client::endpoint;
use crate::transatel::client::error::CallError;
use crate::transatel::client::request::CallOptions;
use crate::transatel::probe::ProbeError;

/// No group and no order of SIMs is called this.
const NO_SUCH: &str = "NO-SUCH-NAME";

impl Doctor<'_> {
    /// `ListSims` uses the first two and checks each row again; nothing uses the
    /// other two.
    pub(super) async fn filters(&self, report: &mut Report) {
        let is_preactivated = |record: &SimRecord| record.status == Some(SimStatus::Preactivated);
        let found = self.filter("status", "eq:Pre-Activated", is_preactivated).await;
        report.add(Check::named("SIMs by status", &endpoint::SIM_SEARCH).found(found));
        let none = format!("eq:{NO_SUCH}");
        let found = self.filter("group", &none, |_| false).await;
        report.add(Check::named("SIMs by group", &endpoint::SIM_SEARCH).found(found));
        for (name, parameter) in [
            ("SIMs by order", "orderReference"),
            ("SIMs by SIM order", "simOrderReference"),
        ] {
            let found = self.filter(parameter, &none, |_| false).await;
            let check = Check::named(name, &endpoint::SIM_SEARCH);
            report.add(match found {
                Ok(finding) => check.is(Verdict::Ok, format!("{parameter}: {}", finding.note)),
                // Neither is documented for the API.
                Err(ProbeError::Differs(finding)) => {
                    check.is(Verdict::Ok, format!("{parameter}: ignored, {}", finding.note))
                }
                Err(ProbeError::Failed(CallError::Refused(refusal))) if refusal.status == 400 => {
                    check.is(Verdict::Ok, format!("{parameter}: {refusal}"))
                }
                Err(failed) => check.found(Err(failed)),
            });
        }
    }

    async fn filter(
        &self,
        parameter: &str,
        value: &str,
        fits: impl Fn(&SimRecord) -> bool,
    ) -> Result<crate::transatel::probe::Finding, ProbeError> {
        let options = CallOptions::until(Deadline::after(CHECK_WITHIN));
        self.provider.probe_filter(parameter, value, fits, options).await
    }
}
