//! Purchases: what is checked before one is sent, how it is sent, and how its
//! outcome is judged.

use std::sync::Arc;

use super::add_on;
use super::prepared::{Before, Change, Choice, Prepared, Ready};
use super::reconcile::done;
use super::steps::Step;
use super::verdict::{Candidates, Judgement, Observation, is_complete, judge};
use super::{Inner, Request, Writes, unavailable};
use crate::domain::failure::Reason;
use crate::domain::product::{Freshness, Product};
use crate::domain::sim::Identifier;
use crate::domain::subscription::Holdings;
use crate::domain::write::{Activation, Line, Purchase, PurchaseTerms};
use crate::domain::{Deadline, Error, Money, Msisdn, Result, Scope, SimIds, SimRecord, SimRef, SimStatus};
use crate::store::{self, Record, Settlement, Slot};
use crate::transatel::api::orders::{OrderAct, Outcome};
use crate::transatel::client::request::CallOptions;

impl Writes {
    /// Checks the price, how the subscription starts, and which ones are on the
    /// SIM already. Before a repeat, also whether an earlier attempt was
    /// carried out after all, judged by what was on the SIM before the first
    /// one.
    pub(super) async fn prepare_purchase(
        &self,
        request: &Request,
        terms: &PurchaseTerms,
        before: Before<'_>,
        deadline: Deadline,
    ) -> Result<Prepared> {
        self.ensure_account()?;
        let (product, freshness) = self.product_at_price(terms).await?;
        add_on::ensure_takes_parent(&product, terms.parent.as_deref())?;
        let msisdn = match self.inner.sims.known(&request.sim).await.msisdn {
            Some(msisdn) => msisdn,
            None => self.number_of_card(&request.sim, deadline).await?,
        };
        let slot = Slot::Product {
            msisdn: msisdn.clone(),
            product_id: terms.product_id.clone(),
        };
        let Some(generation) = self.free_slot(&slot, request, before).await? else {
            return Ok(Prepared::Stale);
        };
        // Before anything is read of the SIM: whatever begins later moves it.
        let purchases = self.purchases_before(request, &msisdn).await?;
        let options = CallOptions::for_order(deadline);
        let (chosen, present) = tokio::join!(
            self.choose(request, terms, deadline),
            self.inner.provider.all_subscriptions(&msisdn, options)
        );
        let (choice, sim) = chosen?;
        let named_by_card = matches!(request.sim, SimRef::Iccid(_));
        if named_by_card && sim.msisdn.as_ref() != Some(&msisdn) {
            // The card has another number than was cached, which is known now.
            return Ok(Prepared::Stale);
        }
        let holdings = present?;
        if holdings.unreadable > 0 {
            // Any of them could later be taken for the purchase.
            tracing::warn!(
                unreadable = holdings.unreadable,
                "subscriptions on the SIM cannot be read: nothing is sent"
            );
            return Err(Error::ProviderProtocol {
                provider: Default::default(),
            });
        }
        if let Some(record) = before.record
            && let Some(settled) = self
                .settle_before_repeat(record, terms, &holdings, &slot, &request.by.scope)
                .await?
        {
            return Ok(Prepared::Settled(Box::new(settled)));
        }
        let enabled = self.inner.provider.can_order_add_ons();
        add_on::ensure_parent(&product, terms.parent.as_deref(), enabled, &holdings)?;
        if let Some(purchases) = &purchases
            && let Some(error) = self
                .in_use(request, before, &holdings, purchases, deadline)
                .await?
        {
            // Perhaps by this request itself, in another call of it.
            return match self.has_moved(request, before.record).await? {
                true => Ok(Prepared::Stale),
                false => Err(error),
            };
        }
        let purchase = Purchase {
            line: Line {
                msisdn,
                iccid: sim.iccid,
            },
            terms: terms.clone(),
            activation_used: Some(choice.first()),
            list_price: product.list_price(&freshness),
            subscription_id: None,
        };
        let baseline = holdings.subscriptions.into_iter().map(|on_sim| on_sim.id);
        Ok(Prepared::Ready(Box::new(Ready {
            change: Change::Purchase(purchase, choice),
            baseline: baseline.collect(),
            generation,
            alone: purchases,
        })))
    }

    /// Settles an order whose earlier attempt shows now. `None` when nothing of
    /// it shows, so that it may be sent again.
    async fn settle_before_repeat(
        &self,
        record: &Record,
        terms: &PurchaseTerms,
        holdings: &Holdings,
        slot: &Slot,
        scope: &Scope,
    ) -> Result<Option<Record>> {
        let inner = &self.inner;
        if !is_complete(record, holdings) {
            // What is missing now may be what was bought.
            return Err(Error::ProviderUnavailable {
                retry_after: inner.config.reconcile_after,
                provider: Default::default(),
            });
        }
        let claims = inner
            .ledger
            .claims(slot, record.write.id)
            .await
            .map_err(unavailable)?;
        let settlement = match Candidates::of(record, &terms.product_id, holdings, &claims) {
            Candidates::None => return Ok(None),
            Candidates::One(only) => done(record, Some(only.id.clone())),
            Candidates::Unclear => Settlement::NeedsOperator(Reason::Ambiguous.into()),
        };
        let settled = inner
            .settle_record(record, settlement)
            .await
            .map_err(unavailable)?;
        // Another order is in flight, or has just claimed it.
        match settled {
            Some(settled) => Ok(Some(settled)),
            None => {
                let status = inner.ledger.slot_status(slot).await.map_err(unavailable)?;
                let other = status.in_flight.filter(|other| *other != record.write.id);
                Err(match other {
                    Some(other) => inner.busy(slot, other, scope).await,
                    None => inner.changed_meanwhile(&record.write),
                })
            }
        }
    }

    /// The account has a reference to order with.
    pub(super) fn ensure_account(&self) -> Result<()> {
        if self.inner.provider.can_order() {
            return Ok(());
        }
        Err(Error::OperationNotEnabled {
            provider: Default::default(),
        })
    }

    /// How the subscription starts, whether that was the caller's choice, and
    /// the SIM's record.
    ///
    /// # Errors
    /// Of a card, when the provider does not say which number it has now: a
    /// cached pair may lead to another customer's number.
    async fn choose(
        &self,
        request: &Request,
        terms: &PurchaseTerms,
        deadline: Deadline,
    ) -> Result<(Choice, SimIds)> {
        let sims = &self.inner.sims;
        // A SIM of the stock was never in service, or another one is taken: no
        // second way is tried.
        let unused = terms.from_stock.as_ref().map(|_| Activation::OnFirstUse);
        let callers = terms.activation.or(unused).map(Choice::Caller);
        let record = match (&request.sim, callers) {
            (SimRef::Iccid(_), _) => Ok(self.line_of_card(&request.sim, deadline).await?),
            (SimRef::Msisdn(_), Some(choice)) => return Ok((choice, sims.known(&request.sim).await)),
            (SimRef::Msisdn(_), None) => sims.record_for_order(&request.sim, deadline).await,
        };
        Ok(match record {
            Ok(record) => (
                callers.unwrap_or(Choice::Gateway(fitting(record.status))),
                record.ids,
            ),
            // The order's answer will show: the first use is refused without
            // harm on a SIM in service.
            Err(_) => {
                let sim = sims.known(&request.sim).await;
                (Choice::Gateway(Activation::OnFirstUse), sim)
            }
        })
    }

    async fn number_of_card(&self, card: &SimRef, deadline: Deadline) -> Result<Msisdn> {
        let record = self.line_of_card(card, deadline).await?;
        let needed = Identifier::Msisdn;
        record.ids.msisdn.ok_or(Error::SimNotResolvable { needed })
    }

    /// The named card with its current number. The number of a terminated SIM
    /// is assigned to another one in time, so it has none.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub(super) async fn line_of_card(&self, card: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        let record = self.inner.sims.line(card, deadline).await?;
        if record.has_ended() {
            let needed = Identifier::Msisdn;
            return Err(Error::SimNotResolvable { needed });
        }
        Ok(record)
    }

    /// The product, and the age of the catalog that it is from; its price, in a
    /// catalog that is not stale, is at most what the caller allows.
    async fn product_at_price(&self, terms: &PurchaseTerms) -> Result<(Arc<Product>, Freshness)> {
        let catalog = &self.inner.catalog;
        let Some(most) = terms.max_price else {
            let (entry, freshness) = catalog.product(None, &terms.product_id).await?;
            return Ok((entry.product, freshness));
        };
        let (product, freshness) = catalog.fresh_product(&terms.product_id).await?;
        ensure_at_most(product.price, most)?;
        Ok((product, freshness))
    }
}

impl Inner {
    /// Sends a purchase; how is durable before. When the gateway chose the first use and the provider
    /// definitely refuses that for the SIM's status, the SIM is in service
    /// already, and the purchase is sent again for such a SIM. Never the other
    /// way round: to put a pre-activated SIM into service is charged and cannot
    /// be undone, so that it is not tried after a refusal of any kind.
    pub(super) async fn send_purchase(
        &self,
        record: &Record,
        purchase: &Purchase,
        choice: Choice,
        options: CallOptions,
    ) -> Outcome {
        let outcome = self
            .order(record, purchase, choice.first(), options.clone())
            .await;
        match (choice, &outcome) {
            (Choice::Gateway(Activation::OnFirstUse), Outcome::Refused(failure))
                if failure.reason == Reason::SimStatusNotEligible =>
            {
                self.steps.reached(Step::BetweenActivations).await;
                let (id, attempt) = (record.write.id, record.attempt);
                let second = Activation::Immediate;
                let recorded = self.ledger.set_activation_used(id, attempt, second).await;
                if let Err(error) = recorded {
                    // Nothing was bought so far.
                    return Outcome::NotSent(unavailable(error));
                }
                self.order(record, purchase, second, options).await
            }
            _ => outcome,
        }
    }

    async fn order(
        &self,
        record: &Record,
        purchase: &Purchase,
        activation: Activation,
        options: CallOptions,
    ) -> Outcome {
        if let Err(error) = self.ensure_unconfirmed(record).await {
            return Outcome::NotSent(error);
        }
        let (msisdn, product_id) = (&purchase.line.msisdn, &purchase.terms.product_id);
        let action = OrderAct::Buy(activation, purchase.terms.parent.as_deref());
        self.provider
            .order(record.write.id, msisdn, product_id, action, options)
            .await
    }

    /// Judges a purchase by what is on the SIM now.
    pub(super) async fn judge_purchase(
        &self,
        record: &Record,
        purchase: &Purchase,
        observation: Observation,
        options: CallOptions,
    ) -> store::Result<Judgement> {
        let holdings = self
            .provider
            .all_subscriptions(&purchase.line.msisdn, options)
            .await;
        let slot = Slot::of(&record.write.kind);
        let claims = self.ledger.claims(&slot, record.write.id).await?;
        Ok(judge(
            record,
            purchase,
            holdings.as_ref().ok(),
            &claims,
            observation,
        ))
    }
}

/// The activation that fits a SIM of this status. Only a SIM that is known to
/// have been in service is ordered for immediately.
pub(super) fn fitting(status: Option<SimStatus>) -> Activation {
    match status {
        Some(SimStatus::Preactivated | SimStatus::Available) | None => Activation::OnFirstUse,
        Some(
            SimStatus::Active
            | SimStatus::Suspended
            | SimStatus::Barred
            | SimStatus::Test
            | SimStatus::OnHold
            | SimStatus::Terminated,
        ) => Activation::Immediate,
    }
}

fn ensure_at_most(price: Option<Money>, most: Money) -> Result<()> {
    let Some(known) = price else {
        return Err(Error::PriceNotComparable { price });
    };
    match known.compare(&most) {
        None => Err(Error::PriceNotComparable { price }),
        Some(std::cmp::Ordering::Greater) => Err(Error::PriceAboveMaximum { price: known }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    #[test]
    fn prices_compare_only_in_one_currency() {
        let money = |code: &str, cents| Money::from_cents(Currency::parse(code).unwrap(), cents);
        let most = money("EUR", 1000);
        assert_eq!(ensure_at_most(Some(money("EUR", 1000)), most), Ok(()));
        assert_eq!(ensure_at_most(Some(money("EUR", 0)), most), Ok(()));
        let price = money("EUR", 1001);
        assert_eq!(
            ensure_at_most(Some(price), most),
            Err(Error::PriceAboveMaximum { price })
        );
        let price = Some(money("USD", 1));
        assert_eq!(
            ensure_at_most(price, most),
            Err(Error::PriceNotComparable { price })
        );
        assert_eq!(
            ensure_at_most(None, most),
            Err(Error::PriceNotComparable { price: None })
        );
    }
}
