//! Validation: what an order would get now, without one.
//!
//! Guarantees that nothing is added to the ledger and nothing is sent that
//! changes anything. What is checked before an order is sent is checked by the
//! same code; what the provider checks is read from it. No read shows whether
//! the account covers the price, and everything may have changed when the order
//! comes.

use super::prepared::{Before, Change, Choice, Prepared};
use super::purchase::fitting;
use super::request::ensure_visible;
use super::time_left::ensure_time;
use super::{Key, Record, Request, Writes, outcome};
use crate::domain::eligibility::Verdict;
use crate::domain::error::LedgerState;
use crate::domain::failure::Reason;
use crate::domain::write::{Activation, Order, OrderKind, Purchase, Write};
use crate::domain::{Deadline, Error, Result};
use crate::transatel::api::orders::not_eligible;
use crate::transatel::client::request::CallOptions;

/// The result of validating a request.
#[derive(Debug)]
pub enum Validated {
    /// The request id belongs to this order already.
    Known(Box<Order>),
    /// This would be sent.
    Valid(Box<OrderKind>),
}

impl Writes {
    /// What [`create_order`](Self::create_order) would answer now, as far as
    /// reads show it. Cancel-safe.
    ///
    /// # Errors
    /// Those of [`create_order`](Self::create_order).
    pub async fn validate_order(&self, request: &Request, deadline: Deadline) -> Result<Validated> {
        self.ensure_enabled(&request.terms)?;
        loop {
            if let Some(record) = self.find(Key::Request(request.request_id)).await? {
                ensure_visible(&record, request)?;
                let read = self.inner.held(&record);
                let known = self.known_order(record, request, deadline).await;
                return known.map_err(|error| error.after_ledger(read));
            }
            match self.validate_new(request, deadline).await {
                Ok(Some(validated)) => return Ok(validated),
                // What was read has changed: everything has to be read again.
                Ok(None) => ensure_time(deadline)?,
                Err(error) => return Err(error.after_ledger(LedgerState::Nothing)),
            }
        }
    }

    /// The order of a request id that is known, in its current state.
    async fn known_order(&self, record: Record, request: &Request, deadline: Deadline) -> Result<Validated> {
        self.ensure_same(&record, request).await?;
        let record = self.confirmed(record, deadline).await?;
        known(outcome(record.write)?)
    }

    /// `None` when what was read has changed meanwhile.
    async fn validate_new(&self, request: &Request, deadline: Deadline) -> Result<Option<Validated>> {
        let ready = match self.prepare(request, Before::default(), deadline).await? {
            Prepared::Ready(ready) => ready,
            Prepared::Settled(record) => return known(outcome(record.write)?).map(Some),
            Prepared::Stale => return Ok(None),
        };
        if let Change::Purchase(purchase, choice) = &ready.change {
            self.ensure_acceptable(request, purchase, *choice, deadline)
                .await?;
        }
        let kind = ready
            .change
            .kind()
            .into_order()
            .ok_or_else(Error::id_of_another)?;
        Ok(Some(Validated::Valid(Box::new(kind))))
    }

    /// The provider would accept the purchase, by what it says about the SIM.
    ///
    /// # Errors
    /// `OrderNotAcceptable`; `SIM_NOT_FOUND`, and the provider's errors.
    async fn ensure_acceptable(
        &self,
        request: &Request,
        purchase: &Purchase,
        choice: Choice,
        deadline: Deadline,
    ) -> Result<()> {
        let (line, product_id) = (&purchase.line, &purchase.terms.product_id);
        let options = CallOptions::for_order(deadline);
        let product_ids = std::slice::from_ref(product_id);
        let (fits, eligibilities) = tokio::join!(
            self.activation_fits(request, choice, deadline),
            self.inner
                .provider
                .eligibility(&line.msisdn, product_ids, options)
        );
        if !fits {
            let failure = Reason::SimStatusNotEligible.into();
            return Err(Error::OrderNotAcceptable { failure });
        }
        for eligibility in eligibilities? {
            match eligibility.verdict {
                Verdict::Eligible { .. } => {}
                Verdict::NotEligible { code, .. } => {
                    let failure = not_eligible(&code);
                    return Err(Error::OrderNotAcceptable { failure });
                }
            }
        }
        Ok(())
    }

    /// Whether the SIM's status allows the activation, as far as it is known.
    /// The eligibility does not say: a first use that the caller chose is
    /// refused for a SIM in service, which can get the product otherwise.
    async fn activation_fits(&self, request: &Request, choice: Choice, deadline: Deadline) -> bool {
        match choice {
            Choice::Gateway(_) | Choice::Caller(Activation::Immediate) => true,
            Choice::Caller(Activation::OnFirstUse) => {
                let sims = &self.inner.sims;
                let status = match sims.record_for_order(&request.sim, deadline).await {
                    Ok(record) => record.status,
                    Err(_) => None,
                };
                fitting(status) == Activation::OnFirstUse
            }
        }
    }
}

fn known(write: Write) -> Result<Validated> {
    let order = write.into_order().ok_or_else(Error::id_of_another)?;
    Ok(Validated::Known(Box::new(order)))
}
