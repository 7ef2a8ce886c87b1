//! OCS Subscriptions: orders of products.
//!
//! Provider's document: "OCS Subscriptions, product orders". An order costs
//! money, is answered at once, and is never refused as a duplicate: so it is
//! sent once, and every way in which it can end is classified as bought,
//! refused, not sent, or unknown.

use serde::{Deserialize, Serialize};

use crate::domain::failure::{Failure, Reason};
use crate::domain::write::{Activation, WriteId};
use crate::domain::{Error, Msisdn};
use crate::transatel::client::answer::Answer;
use crate::transatel::client::endpoint;
use crate::transatel::client::error::{CallError, MALFORMED_REQUEST_TITLES, Need, Refusal};
use crate::transatel::client::request::{CallOptions, Request};
use crate::transatel::lenient::{self, Said};
use crate::transatel::{Account, Transatel};

/// How one send of an order, or of a change of a SIM, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Bought.
    Placed {
        /// The new subscription; optional in the provider's document.
        subscription_id: Option<String>,
        /// The provider's reference.
        provider_reference: Option<String>,
    },
    /// In progress: its transaction shows what becomes of it. Only changes of
    /// SIMs end like this.
    Accepted {
        /// Its id, when the answer has one.
        transaction: Option<String>,
    },
    /// Definitely not bought, by the provider's decision.
    Refused(Failure),
    /// Definitely not bought: the provider did not get to decide.
    NotSent(Error),
    /// Perhaps bought.
    Unknown,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOrder<'a> {
    order_type: &'a str,
    bind: WireBind<'a>,
    product: WireProduct<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<WirePayment<'a>>,
    source: &'a str,
    mvno_ref: &'a str,
    transaction_reference: String,
}

/// What an order does: the provider's order types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderAct<'a> {
    /// Buys a product; an add-on for this subscription.
    Buy(Activation, Option<&'a str>),
    /// Lets a subscription end with its period.
    CancelRenewal(&'a str),
    /// Ends a subscription at once.
    Terminate(&'a str),
}

#[derive(Serialize)]
struct WireBind<'a> {
    msisdn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireProduct<'a> {
    product_id: &'a str,
}

#[derive(Serialize)]
struct WirePayment<'a> {
    provider: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::transatel) struct Receipt {
    #[serde(deserialize_with = "lenient::id")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    order_reference: Option<String>,
    status: Said,
    #[serde(deserialize_with = "lenient::id")]
    subscription_id: Option<String>,
    transaction_reference: Said,
}

impl Transatel {
    /// Whether the account is configured for orders at all.
    pub fn can_order(&self) -> bool {
        self.account.mvno_ref.is_some()
    }

    /// Whether the account is configured for orders of add-ons.
    pub fn can_order_add_ons(&self) -> bool {
        self.account.parent_member.is_some()
    }

    /// Sends an order once. A 401 was not carried out: it is sent again with
    /// a new token, once.
    ///
    /// Not cancel-safe: a send that is dropped may have been carried out.
    pub async fn order(
        &self,
        id: WriteId,
        msisdn: &Msisdn,
        product_id: &str,
        act: OrderAct<'_>,
        options: CallOptions,
    ) -> Outcome {
        let Some(mvno_ref) = &self.account.mvno_ref else {
            return Outcome::NotSent(Error::OperationNotEnabled {
                provider: Default::default(),
            });
        };
        let reference = id.to_string();
        let Some((order_type, named)) = self.account.order_of(act) else {
            return Outcome::NotSent(Error::AddOnNotEnabled { parents: Vec::new() });
        };
        let body = WireOrder {
            order_type,
            bind: WireBind {
                msisdn: msisdn.as_str(),
            },
            product: WireProduct { product_id },
            payment: matches!(act, OrderAct::Buy(..)).then_some(WirePayment {
                provider: &self.account.payment_provider,
            }),
            source: &self.account.source,
            mvno_ref,
            transaction_reference: reference.clone(),
        };
        let Ok(body) = with_subscription(&body, named) else {
            return Outcome::NotSent(Error::Internal);
        };
        let request = Request::new(&endpoint::ORDERS, &[]).json(body);
        match self.client.call(&request, options).await {
            Ok(answer) => accepted(&answer, &reference),
            Err(failure) => failed(failure),
        }
    }
}

/// A subscription that an order names.
struct Named<'a> {
    /// Path of the member that names it.
    member: &'a str,
    id: &'a str,
}

impl Account {
    /// The type of an order, and the subscription that it names. `None` for an
    /// add-on when it is not configured how an order names its parent.
    fn order_of<'a>(&'a self, act: OrderAct<'a>) -> Option<(&'a str, Option<Named<'a>>)> {
        let subscription = |id| {
            Some(Named {
                member: &self.subscription_member,
                id,
            })
        };
        Some(match act {
            OrderAct::Buy(activation, parent) => {
                let named = match parent {
                    None => None,
                    Some(id) => Some(Named {
                        member: self.parent_member.as_deref()?,
                        id,
                    }),
                };
                let order_type = match activation {
                    Activation::OnFirstUse => "preload",
                    Activation::Immediate => "subscribe",
                };
                (order_type, named)
            }
            OrderAct::CancelRenewal(id) => (&self.cancel_renewal_order_type, subscription(id)),
            OrderAct::Terminate(id) => (&self.terminate_order_type, subscription(id)),
        })
    }
}

/// The body, with the subscription's id in the configured member: the documents
/// do not name it.
fn with_subscription(body: &WireOrder<'_>, named: Option<Named<'_>>) -> serde_json::Result<Vec<u8>> {
    let Some(Named { member, id }) = named else {
        return serde_json::to_vec(body);
    };
    let mut body = serde_json::to_value(body)?;
    let mut place = &mut body;
    for name in member.split('/').filter(|name| !name.is_empty()) {
        if !place.is_object() {
            *place = serde_json::json!({});
        }
        let serde_json::Value::Object(object) = place else {
            break;
        };
        place = object.entry(name).or_insert(serde_json::Value::Null);
    }
    *place = id.into();
    serde_json::to_vec(&body)
}

/// A success counts only if it has the documented shape and is about this
/// order: `done` is the only status that integrators have seen.
fn accepted(answer: &Answer, reference: &str) -> Outcome {
    let receipt = match lenient::answer::<Receipt>(&answer.body) {
        Ok(receipt) => receipt,
        Err(error) => {
            answer.unreadable(&error);
            return Outcome::Unknown;
        }
    };
    receipt.placed(reference).unwrap_or_else(|| {
        answer.contradicts("it accepts an order in a way that is not known");
        Outcome::Unknown
    })
}

impl Receipt {
    /// What was bought, if it is this order's receipt.
    pub(in crate::transatel) fn placed(self, reference: &str) -> Option<Outcome> {
        let names = |text: Option<String>| text.filter(|text| !text.is_empty());
        let provider_reference = names(self.order_reference).or(names(self.id));
        let subscription_id = names(self.subscription_id);
        let done = match self.status {
            Said::Nothing => true,
            Said::Text(status) => status.eq_ignore_ascii_case("done"),
            Said::Unreadable => false,
        };
        let ours = match self.transaction_reference {
            Said::Nothing => true,
            Said::Text(echo) => echo == reference,
            Said::Unreadable => false,
        };
        let named = provider_reference.is_some() || subscription_id.is_some();
        (done && ours && named).then_some(Outcome::Placed {
            subscription_id,
            provider_reference,
        })
    }
}

/// Classifies a failed send. Only what was certainly not carried out is
/// definite: it did not reach the provider, was rejected before it was
/// processed (401, 429, 409 for a conflict), or was refused with a title.
pub(in crate::transatel) fn failed(failure: CallError) -> Outcome {
    match failure {
        CallError::Token(_) | CallError::Connect(_) | CallError::CircuitOpen { .. } | CallError::Crowded => {
            Outcome::NotSent(failure.into_error(Need::Required))
        }
        CallError::NoTimeLeft => Outcome::NotSent(Error::ProviderUnavailable {
            retry_after: std::time::Duration::from_secs(1),
            provider: Default::default(),
        }),
        CallError::Timeout { .. } | CallError::Broken(_) | CallError::Unreadable { .. } => Outcome::Unknown,
        CallError::Refused(refusal) => match refusal.status {
            401 | 429 => Outcome::NotSent(CallError::Refused(refusal).into_error(Need::Required)),
            // Not available to this account, which is checked before anything is
            // done.
            501 => Outcome::Refused(refused(refusal)),
            400..=499 if refusal.title.is_some() => {
                let failure = refused(refusal);
                match failure.reason {
                    // Another request for the SIM is pending: this one was not taken.
                    Reason::InProgress => Outcome::NotSent(Error::OrderNotTaken {
                        provider: failure.provider,
                    }),
                    _ => Outcome::Refused(failure),
                }
            }
            _ => Outcome::Unknown,
        },
    }
}

/// What an order gets that the provider's eligibility read speaks against: its
/// codes there are those of orders.
pub fn not_eligible(code: &str) -> Failure {
    if code.is_empty() {
        return Reason::ProductNotEligible.into();
    }
    refused(Refusal {
        status: 400,
        title: Some(code.to_owned()),
        ..Refusal::default()
    })
}

/// By title; by status only where the title says nothing.
pub(in crate::transatel) fn refused(refusal: Refusal) -> Failure {
    let reason = match () {
        () if refusal.is("SUBSCRIBER_NOT_FOUND") => Reason::SimNotFound,
        () if refusal.is("PRODUCT_NOT_FOUND") => Reason::ProductNotFound,
        () if refusal.is("SUBSCRIBER_STATUS_NOT_ELIGIBLE") => Reason::SimStatusNotEligible,
        () if refusal.is("PRODUCT_NOT_ELIGIBLE") => Reason::ProductNotEligible,
        () if refusal.is("INSUFFICIENT_FUND") || refusal.is("INSUFFICIENT_FUNDS") => {
            Reason::InsufficientFunds
        }
        () if refusal.is("INSUFFICIENT_PERMISSION") => Reason::CredentialsRejected,
        () if MALFORMED_REQUEST_TITLES.iter().any(|title| refusal.is(title)) => Reason::Protocol,
        () => match refusal.status {
            403 => Reason::CredentialsRejected,
            409 => Reason::InProgress,
            501 => Reason::OperationNotEnabled,
            _ => Reason::Rejected,
        },
    };
    Failure {
        reason,
        provider: refusal.provider_detail(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, title: Option<&str>) -> CallError {
        CallError::Refused(Refusal {
            status,
            title: title.map(str::to_owned),
            ..Refusal::default()
        })
    }

    #[test]
    fn every_title_and_status_has_one_meaning() {
        use Reason::*;
        for (status, title, expected) in [
            (400, Some("SUBSCRIBER_NOT_FOUND"), SimNotFound),
            (404, Some("subscriber_not_found"), SimNotFound),
            (400, Some("PRODUCT_NOT_FOUND"), ProductNotFound),
            (404, Some("PRODUCT_NOT_FOUND"), ProductNotFound),
            (400, Some("SUBSCRIBER_STATUS_NOT_ELIGIBLE"), SimStatusNotEligible),
            (409, Some("SUBSCRIBER_STATUS_NOT_ELIGIBLE"), SimStatusNotEligible),
            (403, Some("PRODUCT_NOT_ELIGIBLE"), ProductNotEligible),
            (402, Some("INSUFFICIENT_FUND"), InsufficientFunds),
            (400, Some("INSUFFICIENT_FUNDS"), InsufficientFunds),
            (403, Some("INSUFFICIENT_PERMISSION"), CredentialsRejected),
            (403, Some("SOMETHING"), CredentialsRejected),
            (400, Some("BAD_REQUEST"), Protocol),
            (404, Some("NOT_FOUND"), Protocol),
            (405, Some("METHOD_NOT_ALLOWED"), Protocol),
            (406, Some("NOT_ACCEPTABLE"), Protocol),
            (422, Some("SOMETHING_NEW"), Rejected),
            (501, None, OperationNotEnabled),
            (501, Some("NOT_IMPLEMENTED"), OperationNotEnabled),
        ] {
            match failed(refusal(status, title)) {
                Outcome::Refused(failure) => assert_eq!(failure.reason, expected, "{status} {title:?}"),
                other => panic!("{status} {title:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_was_not_carried_out_may_be_sent_again() {
        for failure in [
            refusal(401, Some("UNAUTHORIZED")),
            refusal(429, Some("TOO_MANY_REQUESTS")),
            refusal(429, None),
            refusal(409, Some("CONFLICT")),
            CallError::Connect("refused".into()),
            CallError::Token(std::sync::Arc::new(refusal(401, Some("invalid_client")))),
            CallError::NoTimeLeft,
        ] {
            assert!(
                matches!(failed(failure.clone()), Outcome::NotSent(_)),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn whatever_else_happens_is_not_known() {
        let mut failures: Vec<CallError> = [302, 400, 404, 408, 422, 500, 502, 503, 504, 599]
            .map(|status| refusal(status, None))
            .into();
        failures.extend([500, 503, 504].map(|status| refusal(status, Some("INTERNAL_ERROR"))));
        failures.extend([
            CallError::Timeout { by_deadline: false },
            CallError::Timeout { by_deadline: true },
            CallError::Broken("reset".into()),
            CallError::Unreadable {
                why: String::new(),
                truncated: true,
                request_id: None,
            },
        ]);
        for failure in failures {
            assert_eq!(failed(failure.clone()), Outcome::Unknown, "{failure:?}");
        }
    }
}
