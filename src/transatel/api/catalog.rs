//! OCS Catalog: the products on sale, and whether a SIM may get them.
//!
//! Provider's document: "OCS Catalog". The whole catalog is one answer
//! without pages, over a thousand products, some of them malformed; each
//! product is therefore read on its own, and one that cannot be read is
//! dropped with its id and a reason while the others stay.

use std::collections::HashMap;

pub use super::catalog_wire::Dropped;
use super::catalog_wire::{Listing, read_eligibility, read_listing};
use crate::domain::eligibility::{Eligibility, PRODUCT_NOT_FOUND, Verdict};
use crate::domain::{Error, Language, Msisdn};
use crate::transatel::Transatel;
use crate::transatel::client::endpoint;
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::{CallOptions, Request};

impl Transatel {
    /// The whole catalog in one language, including products that are not on
    /// sale at present. Bounded only by its own timeout, not by a caller's
    /// deadline.
    ///
    /// # Errors
    /// When there is no answer, or it cannot be read as a whole.
    pub async fn products(&self, language: &Language) -> Result<Listing, CallError> {
        let request = Request {
            query: &[("availabilityStatus", "ALL")],
            language: Some(language.as_str()),
            ..Request::new(&endpoint::CATALOG, &[&self.account.cos])
        };
        let options = CallOptions {
            attempt: Some(self.account.catalog_timeout),
            ..CallOptions::detached()
        };
        let answer = self.client.call(&request, options).await?;
        // Tens of milliseconds of CPU: not on a worker that answers calls.
        let reading = tokio::task::spawn_blocking(move || {
            read_listing(&answer.body).map_err(|error| answer.unreadable(&error))
        });
        reading.await.unwrap_or_else(|_| {
            Err(CallError::Unreadable {
                why: "reading was ended".into(),
                truncated: false,
                request_id: None,
            })
        })
    }

    /// Which of these products the subscriber may get now, in their order.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND` for an unknown subscriber, and what any read may give.
    pub async fn eligibility(
        &self,
        msisdn: &Msisdn,
        product_ids: &[String],
        options: CallOptions,
    ) -> Result<Vec<Eligibility>, Error> {
        // Ids are separated by commas in the path, so none can contain one.
        let valid: Vec<&str> = product_ids
            .iter()
            .map(String::as_str)
            .filter(|id| !id.contains(','))
            .collect();
        let mut verdicts = match valid.as_slice() {
            [] => HashMap::new(),
            ids => self.verdicts(msisdn, ids, options).await?,
        };
        let unknown = || Verdict::NotEligible {
            code: PRODUCT_NOT_FOUND.into(),
            message: String::new(),
        };
        Ok(product_ids
            .iter()
            .map(|id| Eligibility {
                product_id: id.clone(),
                verdict: verdicts.remove(id).unwrap_or_else(unknown),
            })
            .collect())
    }

    async fn verdicts(
        &self,
        msisdn: &Msisdn,
        ids: &[&str],
        options: CallOptions,
    ) -> Result<HashMap<String, Verdict>, Error> {
        match self.ask_eligibility(msisdn, ids, options.clone()).await {
            Ok(verdicts) => Ok(verdicts),
            // One unknown id may fail the whole list, so each is asked for alone.
            Err(failure) if failure.is_refused_as(PRODUCT_NOT_FOUND) => {
                let mut verdicts = HashMap::new();
                if ids.len() > 1 {
                    for id in ids {
                        match self
                            .ask_eligibility(msisdn, std::slice::from_ref(id), options.clone())
                            .await
                        {
                            Ok(one) => verdicts.extend(one),
                            Err(failure) if failure.is_refused_as(PRODUCT_NOT_FOUND) => {}
                            Err(failure) => return Err(failure.into_error(Need::Required)),
                        }
                    }
                }
                Ok(verdicts)
            }
            Err(failure) => Err(failure.into_error(Need::Required)),
        }
    }

    async fn ask_eligibility(
        &self,
        msisdn: &Msisdn,
        ids: &[&str],
        options: CallOptions,
    ) -> Result<HashMap<String, Verdict>, CallError> {
        let ids_in_path = ids.join(",");
        let request = Request {
            query: &[("msisdn", msisdn.as_str())],
            ..Request::new(&endpoint::ELIGIBILITY, &[&self.account.cos, &ids_in_path])
        };
        let answer = self.client.call(&request, options).await?;
        read_eligibility(&answer.body, ids).map_err(|error| answer.unreadable(&error))
    }
}
