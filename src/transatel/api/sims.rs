//! What the provider knows of SIMs: SIM Search, and Connectivity Management
//! where the account has it.
//!
//! Provider's documents: "SIM Search" and "Connectivity Management,
//! subscribers". Both are optional for an account. The search may lag behind,
//! shows the MSISDN with a `+`, and pages from 1.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::countries::country;
use super::sim_management::esim_status;
use crate::domain::{Iccid, Msisdn, SimIds, SimRecord, SimRef, SimStatus};
use crate::transatel::client::endpoint;
use crate::transatel::client::error::CallError;
use crate::transatel::client::request::{CallOptions, Request};
use crate::transatel::{Transatel, lenient};

/// One page of SIMs.
#[derive(Debug)]
pub struct SimPage {
    /// The records that could be read.
    pub records: Vec<SimRecord>,
    /// Elements of the page at the provider, the unreadable ones included.
    pub length: usize,
}

impl Transatel {
    /// The record of one SIM in SIM Search; `None` when the search does not
    /// know it. An answer about another SIM is ignored, and so is the SIM that
    /// had a number before, if another one has it now.
    ///
    /// # Errors
    /// What any read may give; 403 when the account has no SIM Search.
    pub async fn search_sim(
        &self,
        sim: &SimRef,
        options: CallOptions,
    ) -> Result<Option<SimRecord>, CallError> {
        let (name, id) = match sim {
            SimRef::Iccid(iccid) => ("simSerial", iccid.as_str()),
            SimRef::Msisdn(msisdn) => ("msisdn", msisdn.as_str()),
        };
        let filter = format!("eq:{id}");
        // A page of two shows whether the filter was applied, and who had the
        // number before.
        let page = self
            .search(&[(name, &filter), ("size", "2"), ("page", "1")], options)
            .await?;
        let own = page.records.into_iter().filter(|record| record.ids.is(sim));
        Ok(own.min_by_key(SimRecord::has_ended))
    }

    /// The records of these cards, in one search. That the filter takes more than
    /// one value is not proven: the answer may be about other SIMs.
    ///
    /// # Errors
    /// What any read may give; 403 when the account has no SIM Search.
    pub async fn search_cards(&self, cards: &[&Iccid], options: CallOptions) -> Result<SimPage, CallError> {
        let serials: Vec<&str> = cards.iter().map(|card| card.as_str()).collect();
        let filter = format!("in:{}", serials.join("+"));
        let size = cards.len().to_string();
        let query = [("simSerial", filter.as_str()), ("size", &size), ("page", "1")];
        self.search(&query, options).await
    }

    /// One page of the SIMs of the account, counted from 1.
    ///
    /// # Errors
    /// What any read may give; 403 when the account has no SIM Search.
    pub async fn search_sims(
        &self,
        status: Option<SimStatus>,
        group: Option<&str>,
        page: u32,
        size: u32,
        options: CallOptions,
    ) -> Result<SimPage, CallError> {
        let status = status.map(|status| format!("eq:{}", word(status)));
        let group = group.map(|group| format!("eq:{group}"));
        let (page, size) = (page.to_string(), size.to_string());
        let mut query = vec![("size", size.as_str()), ("page", page.as_str())];
        query.extend(status.as_deref().map(|status| ("status", status)));
        query.extend(group.as_deref().map(|group| ("group", group)));
        self.search(&query, options).await
    }

    async fn search(&self, query: &[(&str, &str)], options: CallOptions) -> Result<SimPage, CallError> {
        let request = Request {
            query,
            ..Request::new(&endpoint::SIM_SEARCH, &[])
        };
        let answer = self.client.call(&request, options).await?;
        let page = read_page(&answer.body).map_err(|error| answer.unreadable(&error))?;
        answer.has_unreadable(page.length - page.records.len());
        Ok(page)
    }

    /// The subscriber on a SIM, as Connectivity Management knows it.
    ///
    /// # Errors
    /// What any read may give; 403 or 501 when the account does not have the
    /// API; see [`is_unknown_sim`] for a SIM that it does not know.
    pub async fn subscriber(&self, sim: &SimRef, options: CallOptions) -> Result<SimRecord, CallError> {
        let request = match sim {
            SimRef::Iccid(iccid) => Request::new(&endpoint::SUBSCRIBER_BY_ICCID, &[iccid.as_str()]),
            SimRef::Msisdn(msisdn) => Request::new(&endpoint::SUBSCRIBER_BY_MSISDN, &[msisdn.as_str()]),
        };
        let answer = self.client.call(&request, options).await?;
        let record = read_record(&answer.body).map_err(|error| answer.unreadable(&error))?;
        if record.ids.is(sim) {
            return Ok(record);
        }
        Err(CallError::Unreadable {
            why: "it is about another SIM".into(),
            truncated: false,
            request_id: answer.request_id,
        })
    }
}

/// Whether Connectivity Management does not know the SIM: it says so by title
/// or, as integrators have seen, in the text of a 400.
pub fn is_unknown_sim(failure: &CallError) -> bool {
    let CallError::Refused(refusal) = failure else {
        return false;
    };
    let says = |text: &str| {
        refusal
            .detail
            .as_deref()
            .is_some_and(|detail| detail.contains(text))
    };
    refusal.is("SUBSCRIBER_NOT_FOUND")
        || (refusal.status == 400 && (says("Invalid SIM serial") || says("doesn't belong to customer")))
}

/// Whether the account may not use an optional API.
pub fn is_not_permitted(failure: &CallError) -> bool {
    matches!(failure, CallError::Refused(refusal) if matches!(refusal.status, 403 | 501))
}

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow)]
    sims: Vec<&'a RawValue>,
}

/// One bad element never fails the page.
pub(in crate::transatel) fn read_page(body: &[u8]) -> Result<SimPage, serde_json::Error> {
    let wrapper: Wrapper<'_> = lenient::answer(body)?;
    Ok(SimPage {
        length: wrapper.sims.len(),
        records: wrapper.sims.into_iter().filter_map(found).collect(),
    })
}

/// A record of either API: the names that they share mean the same.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireSim {
    #[serde(deserialize_with = "lenient::id")]
    sim_serial: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    msisdn: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    rate_plan: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    group: Option<String>,
    /// Not documented for a record: the name is that of changes and events.
    #[serde(deserialize_with = "lenient::text")]
    external_reference: Option<String>,
    #[serde(deserialize_with = "lenient::entries")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "lenient::timestamp")]
    activation_date: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::text")]
    last_esim_profile_status: Option<String>,
    #[serde(deserialize_with = "lenient::timestamp")]
    last_seen_date: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::text")]
    last_origin_country: Option<String>,
}

/// A record of Connectivity Management.
pub(in crate::transatel) fn read_record(body: &[u8]) -> Result<SimRecord, serde_json::Error> {
    lenient::record(body).map(record)
}

fn found(element: &RawValue) -> Option<SimRecord> {
    let record = record(lenient::element(element)?);
    (record.ids != SimIds::default()).then_some(record)
}

fn record(wire: WireSim) -> SimRecord {
    let raw_status = wire.status.unwrap_or_default();
    SimRecord {
        ids: SimIds {
            iccid: wire.sim_serial.as_deref().and_then(Iccid::parse),
            msisdn: wire.msisdn.as_deref().and_then(Msisdn::parse_international),
        },
        status: sim_status(&raw_status),
        raw_status,
        plan: wire.rate_plan.unwrap_or_default(),
        group: wire.group.unwrap_or_default(),
        reference: wire.external_reference,
        metadata: wire.metadata,
        activated_at: wire.activation_date,
        last_seen_at: wire.last_seen_date,
        last_country: wire.last_origin_country.as_deref().and_then(country),
        esim_status: wire.last_esim_profile_status.as_deref().and_then(esim_status),
        as_of: SystemTime::now(),
    }
}

/// The provider's words for a SIM's status, in any spelling.
pub fn sim_status(word: &str) -> Option<SimStatus> {
    match lenient::letters(word).as_str() {
        "PREACTIVATED" => Some(SimStatus::Preactivated),
        "ACTIVE" => Some(SimStatus::Active),
        "SUSPENDED" => Some(SimStatus::Suspended),
        // Not our own suspension: only the account manager, or the operator,
        // ends it.
        "OPERATORBARRED" | "BARRED" | "SUSPENDEDBYTHEPROVIDER" | "SUSPENDEDBYOPERATOR" => {
            Some(SimStatus::Barred)
        }
        "TESTMODE" => Some(SimStatus::Test),
        "TARIFFHOLIDAY" | "SLEEPMODE" => Some(SimStatus::OnHold),
        "TERMINATED" => Some(SimStatus::Terminated),
        "LOADED" | "AVAILABLE" => Some(SimStatus::Available),
        _ => None,
    }
}

/// As SIM Search spells it in its records.
fn word(status: SimStatus) -> &'static str {
    match status {
        SimStatus::Preactivated => "Pre-Activated",
        SimStatus::Active => "Active",
        SimStatus::Suspended => "Suspended",
        SimStatus::Barred => "Operator_Barred",
        SimStatus::Test => "TestMode",
        SimStatus::OnHold => "Tariff_Holiday",
        SimStatus::Terminated => "Terminated",
        SimStatus::Available => "Available",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sim_statuses_in_any_spelling() {
        for (words, status) in [
            (
                &["Pre-Activated", "Preactivated", "PREACTIVATED", "pre_activated"][..],
                SimStatus::Preactivated,
            ),
            (&["Active", "ACTIVE"], SimStatus::Active),
            (&["Suspended"], SimStatus::Suspended),
            (
                &[
                    "Operator_Barred",
                    "OPERATOR-BARRED",
                    "Suspended by the provider",
                    "Suspended by operator",
                ],
                SimStatus::Barred,
            ),
            (&["TestMode", "Test mode"], SimStatus::Test),
            (&["Tariff_Holiday", "Sleep mode"], SimStatus::OnHold),
            (&["Terminated"], SimStatus::Terminated),
            (&["Loaded", "Available"], SimStatus::Available),
        ] {
            for word in words {
                assert_eq!(sim_status(word), Some(status), "{word}");
            }
            assert_eq!(sim_status(word(status)), Some(status));
        }
        for word in ["", "Scraped"] {
            assert_eq!(sim_status(word), None, "{word}");
        }
    }

    #[test]
    fn an_unknown_sim_is_recognized_by_title_or_by_the_text_of_a_400() {
        let refused = |status, body: &str| {
            CallError::Refused(crate::transatel::client::error::Refusal::read(
                status,
                body.as_bytes(),
                None,
                None,
            ))
        };
        assert!(is_unknown_sim(&refused(
            404,
            r#"{"title":"SUBSCRIBER_NOT_FOUND"}"#
        )));
        let text =
            r#"{"title":"BAD_REQUEST","detail":"Invalid SIM serial / SIM card doesn't belong to customer"}"#;
        assert!(is_unknown_sim(&refused(400, text)));
        assert!(!is_unknown_sim(&refused(
            400,
            r#"{"title":"BAD_REQUEST","detail":"Unknown member"}"#
        )));
        assert!(!is_unknown_sim(&refused(404, r#"{"title":"NOT_FOUND"}"#)));
    }
}
