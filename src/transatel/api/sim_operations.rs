//! Connectivity Management: changes of a SIM, and the transactions that carry
//! them out.
//!
//! Provider's document: "Connectivity Management, subscribers". A change is
//! accepted with a transaction that ends some seconds or minutes later. The
//! documents do not agree on the answer's members, on how an unknown SIM is
//! reported, or on which members a request must have; the rate plan is always
//! sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::orders::{Outcome, failed, refused};
use super::sims::is_unknown_sim;
use crate::domain::change::{Applicability, OptionalOperation, SimChange, SimTerms};
use crate::domain::failure::{Failure, Reason};
use crate::domain::{Error, Iccid, SimStatus};
use crate::transatel::client::endpoint;
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::{CallOptions, Request};
use crate::transatel::{Transatel, lenient};

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Being carried out.
    Pending,
    /// Carried out.
    Done,
    /// Failed at the provider, which does not say why.
    Failed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireChange<'a> {
    rate_plan: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_sim_serial: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::transatel) struct Accepted {
    #[serde(deserialize_with = "lenient::id")]
    transaction_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    transaction_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::transatel) struct Transaction {
    #[serde(deserialize_with = "lenient::text")]
    sync_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    async_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    transaction_status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
}

impl Transatel {
    /// Whether a plan is configured for changes of SIMs that name none.
    pub fn has_plan(&self) -> bool {
        self.account.rate_plan.is_some()
    }

    /// Whether an empty group or reference clears it. The documents say so only
    /// of an entry of the metadata.
    pub fn clears_labels(&self) -> bool {
        self.account.clears_labels
    }

    /// Sends a change of a SIM once. [`Outcome::Accepted`] is the usual
    /// answer: the transaction shows what becomes of it.
    ///
    /// Not cancel-safe: a send that is dropped may have been carried out.
    /// `status` is what the SIM was read with.
    pub async fn change_sim(
        &self,
        change: &SimChange,
        status: Option<SimStatus>,
        options: CallOptions,
    ) -> Outcome {
        let SimTerms { action, plan } = &change.terms;
        let rate_plan = plan.as_deref().or(self.account.rate_plan.as_deref());
        let Some(rate_plan) = rate_plan else {
            return Outcome::NotSent(Error::OperationNotEnabled {
                provider: Default::default(),
            });
        };
        let labels = action.labels();
        let body = WireChange {
            rate_plan,
            group: labels.and_then(|labels| labels.group.as_deref()),
            external_reference: labels.and_then(|labels| labels.reference.as_deref()),
            metadata: labels
                .map(|labels| &labels.metadata)
                .filter(|metadata| !metadata.is_empty()),
            new_sim_serial: action.new_iccid().map(Iccid::as_str),
        };
        let endpoint = endpoint::of_operation(OptionalOperation::of_sim(action));
        let Ok(body) = serde_json::to_vec(&body) else {
            return Outcome::NotSent(Error::Internal);
        };
        let request = Request::new(endpoint, &[change.iccid.as_str()]).json(body);
        match self.client.call(&request, options).await {
            Ok(answer) => match answer.json::<Accepted>() {
                Ok(accepted) => accepted.outcome(),
                Err(_) => Outcome::Unknown,
            },
            Err(failure) => {
                let applies = status.map(|status| action.applies_to(status));
                change_failed(failure, applies)
            }
        }
    }

    /// Where a transaction is; `None` when the provider does not know it.
    ///
    /// # Errors
    /// What any read may give.
    pub async fn transaction(&self, id: &str, options: CallOptions) -> Result<Option<Progress>, Error> {
        let request = Request::new(&endpoint::SIM_TRANSACTION, &[id]);
        let answer = self.client.call(&request, options).await;
        match answer.and_then(|answer| answer.json::<Transaction>()) {
            Ok(transaction) => Ok(Some(transaction.progress())),
            Err(failure) if failure.is_refused_as("TRANSACTION_ID_NOT_FOUND") => Ok(None),
            Err(failure) => Err(failure.into_error(Need::Optional)),
        }
    }
}

/// What a status of either part means.
fn progress(word: &str) -> Progress {
    match lenient::letters(word).as_str() {
        "DONE" | "SUCCESS" => Progress::Done,
        "ERROR" | "FAILED" => Progress::Failed,
        _ => Progress::Pending,
    }
}

impl Accepted {
    /// Without a transaction, and without a word that it failed, the outcome
    /// is looked for in the SIM itself.
    pub(in crate::transatel) fn outcome(self) -> Outcome {
        let status = self.transaction_status.or(self.status);
        let transaction = self.transaction_id.filter(|id| !id.is_empty());
        match status.as_deref().map(progress) {
            Some(Progress::Failed) => Outcome::Refused(Reason::Rejected.into()),
            _ => Outcome::Accepted { transaction },
        }
    }
}

impl Transaction {
    /// Over when its asynchronous part is, or when its first part failed.
    pub(in crate::transatel) fn progress(&self) -> Progress {
        let word = |status: &Option<String>| status.as_deref().map(progress);
        if word(&self.sync_status) == Some(Progress::Failed) {
            return Progress::Failed;
        }
        let over = word(&self.async_status)
            .or(word(&self.transaction_status))
            .or(word(&self.status));
        over.unwrap_or(Progress::Pending)
    }
}

/// As for orders, except where this API reports something in its own way.
fn change_failed(failure: CallError, applies: Option<Applicability>) -> Outcome {
    let unknown = is_unknown_sim(&failure);
    match failure {
        CallError::Refused(refusal) if unknown => Outcome::Refused(Failure {
            reason: Reason::SimNotFound,
            provider: refusal.provider_detail(),
        }),
        // Another change of the SIM is pending: this one was not accepted, and
        // may be sent again later.
        CallError::Refused(refusal) if refusal.status == 409 && refusal.title.is_some() => {
            Outcome::NotSent(Error::SimBusy {
                provider: refusal.provider_detail(),
            })
        }
        // This API is optional: missing permission does not mean that the
        // credentials are wrong.
        CallError::Refused(refusal) if refusal.status == 403 => Outcome::Refused(Failure {
            reason: Reason::OperationNotEnabled,
            provider: refusal.provider_detail(),
        }),
        // Here it also means that the status of the SIM does not allow it, unless
        // the operation applies to that.
        CallError::Refused(refusal) if refusal.status == 400 && refusal.is("BAD_REQUEST") => {
            let reason = match applies {
                Some(Applicability::Impossible | Applicability::Undocumented) => Reason::SimStatusNotEligible,
                Some(Applicability::Applies) | None => Reason::Rejected,
            };
            Outcome::Refused(Failure {
                reason,
                ..refused(refusal)
            })
        }
        other => failed(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transatel::client::error::Refusal;

    #[test]
    fn an_accepted_change_in_either_form() {
        for (body, transaction) in [
            (
                r#"{"transactionId":"T","transactionStatus":"PENDING"}"#,
                Some("T"),
            ),
            (r#"{"transactionId":"T","status":"done"}"#, Some("T")),
            (r#"{"transactionId":"T","status":"Success"}"#, Some("T")),
            (r#"{"transactionId":""}"#, None),
            ("{}", None),
        ] {
            let accepted: Accepted = serde_json::from_str(body).unwrap();
            let expected = Outcome::Accepted {
                transaction: transaction.map(str::to_owned),
            };
            assert_eq!(accepted.outcome(), expected, "{body}");
        }
        let refused: Accepted = serde_json::from_str(r#"{"transactionId":"T","status":"ERROR"}"#).unwrap();
        assert!(matches!(refused.outcome(), Outcome::Refused(_)));
    }

    #[test]
    fn a_transaction_is_over_when_its_second_part_is_or_its_first_failed() {
        for (body, expected) in [
            (
                r#"{"syncStatus":"SUCCESS","asyncStatus":"PENDING"}"#,
                Progress::Pending,
            ),
            (r#"{"syncStatus":"SUCCESS","asyncStatus":"DONE"}"#, Progress::Done),
            (
                r#"{"syncStatus":"SUCCESS","asyncStatus":"ERROR"}"#,
                Progress::Failed,
            ),
            (
                r#"{"syncStatus":"ERROR","asyncStatus":"PENDING"}"#,
                Progress::Failed,
            ),
            (r#"{"syncStatus":"SUCCESS"}"#, Progress::Pending),
            (r#"{"status":"done"}"#, Progress::Done),
            (r#"{"transactionStatus":"Pending"}"#, Progress::Pending),
            ("{}", Progress::Pending),
        ] {
            let transaction: Transaction = serde_json::from_str(body).unwrap();
            assert_eq!(transaction.progress(), expected, "{body}");
        }
    }

    #[test]
    fn refusals_of_a_change() {
        let text = "Invalid SIM serial / SIM card doesn't belong to customer";
        for (status, title, detail, expected) in [
            (400, "BAD_REQUEST", text, Reason::SimNotFound),
            (404, "SUBSCRIBER_NOT_FOUND", "", Reason::SimNotFound),
            (400, "BAD_REQUEST", "Line is not suspended", Reason::Rejected),
            (403, "INSUFFICIENT_PERMISSION", "", Reason::OperationNotEnabled),
            (501, "NOT_IMPLEMENTED", "", Reason::OperationNotEnabled),
            (404, "NOT_FOUND", "", Reason::Protocol),
        ] {
            let failure = CallError::Refused(Refusal {
                status,
                title: Some(title.into()),
                detail: Some(detail.into()),
                ..Refusal::default()
            });
            match change_failed(failure, Some(Applicability::Applies)) {
                Outcome::Refused(refused) => assert_eq!(refused.reason, expected, "{status} {title}"),
                other => panic!("{status} {title}: {other:?}"),
            }
        }
        let conflict = CallError::Refused(Refusal {
            status: 409,
            title: Some("CONFLICT".into()),
            ..Refusal::default()
        });
        assert!(matches!(
            change_failed(conflict, None),
            Outcome::NotSent(Error::SimBusy { .. })
        ));
    }
}
