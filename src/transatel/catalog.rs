//! OCS Catalog: the products on sale, and whether a SIM may get them.
//!
//! Provider's document: "OCS Catalog". The whole catalog is one answer
//! without pages, over a thousand products, in which odd ones occur; each
//! product is therefore read on its own, and one that makes no sense is
//! dropped with its id and a reason while the others stay.

use std::collections::HashMap;

use http::Method;

use super::Transatel;
use super::call::{Kind, Patience};
use super::catalog_wire::{read_eligibility, read_listing};
use super::error::{Failure, Need};
use super::transport::{Api, Request};
use crate::domain::eligibility::{Eligibility, PRODUCT_NOT_FOUND, Verdict};
use crate::domain::{Error, Language, Msisdn, Product};

/// What one answer of the catalog held.
#[derive(Debug, Default)]
pub struct Listing {
    /// The products that could be read, in the provider's order.
    pub products: Vec<Product>,
    /// The others.
    pub dropped: Vec<Dropped>,
}

/// A product that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dropped {
    /// Its id, or its place in the list when it has none.
    pub id: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

const PRODUCTS: &str = "/ocs/catalog/api/cos/{cosRef}/products";
const PRODUCT: &str = "/ocs/catalog/api/cos/{cosRef}/products/{productId}";

impl Transatel {
    /// The whole catalog in one language, products that are not sold at
    /// present included. Detached work: bound only by its own timeout.
    ///
    /// # Errors
    /// When the answer as a whole cannot be had or read.
    pub async fn products(&self, language: &Language) -> Result<Listing, Failure> {
        let request = Request {
            api: Api::Catalog,
            method: Method::GET,
            template: PRODUCTS,
            path: &["ocs", "catalog", "api", "cos", &self.account.cos, "products"],
            query: &[("availabilityStatus", "ALL")],
            language: Some(language.as_str()),
            body: None,
        };
        let patience = Patience {
            attempt: Some(self.account.catalog_timeout),
            ..Patience::detached()
        };
        let answer = self.caller.call(Kind::Read, &request, patience).await?;
        // Tens of milliseconds of pure computing: not on a worker that
        // answers calls.
        let reading = tokio::task::spawn_blocking(move || {
            read_listing(&answer.body).map_err(|error| answer.unreadable(&error))
        });
        reading.await.unwrap_or_else(|_| {
            Err(Failure::Unreadable {
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
        patience: Patience,
    ) -> Result<Vec<Eligibility>, Error> {
        // The provider separates ids by commas, so none of its own has one.
        let askable: Vec<&str> = product_ids
            .iter()
            .map(String::as_str)
            .filter(|id| !id.contains(','))
            .collect();
        let mut verdicts = match askable.as_slice() {
            [] => HashMap::new(),
            ids => self.verdicts(msisdn, ids, patience).await?,
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
        patience: Patience,
    ) -> Result<HashMap<String, Verdict>, Error> {
        match self.ask_eligibility(msisdn, ids, patience.clone()).await {
            Ok(verdicts) => Ok(verdicts),
            // One unknown id may fail the whole list, so each is asked alone.
            Err(failure) if failure.is_refused_as(PRODUCT_NOT_FOUND) => {
                let mut verdicts = HashMap::new();
                if ids.len() > 1 {
                    for id in ids {
                        match self
                            .ask_eligibility(msisdn, std::slice::from_ref(id), patience.clone())
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
        patience: Patience,
    ) -> Result<HashMap<String, Verdict>, Failure> {
        let request = Request {
            api: Api::Catalog,
            method: Method::GET,
            template: PRODUCT,
            path: &[
                "ocs",
                "catalog",
                "api",
                "cos",
                &self.account.cos,
                "products",
                &ids.join(","),
            ],
            query: &[("msisdn", msisdn.as_str())],
            language: None,
            body: None,
        };
        let answer = self.caller.call(Kind::Read, &request, patience).await?;
        read_eligibility(&answer.body, ids).map_err(|error| answer.unreadable(&error))
    }
}
