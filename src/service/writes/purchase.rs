//! What is looked at before a bundle is bought: its price, how it is to
//! begin, and what is on the SIM already.

use super::reconcile::placed;
use super::submission::Choice;
use super::verdict::{Candidates, is_complete};
use super::{Command, Orders, Prepared, Prospect, Target, unavailable};
use crate::domain::order::{Activation, Failure, Reason, Wish};
use crate::domain::sim::Identifier;
use crate::domain::subscription::Holdings;
use crate::domain::{Deadline, Error, Money, Msisdn, Result, SimIds, SimRecord, SimRef, SimStatus};
use crate::store::{Record, Settlement, Slot};
use crate::transatel::client::request::CallOptions;

impl Orders {
    /// Where the bundle is to go, once it is known that it may be bought.
    pub(super) async fn purchase_target(&self, command: &Command, deadline: Deadline) -> Result<Target> {
        self.ensure_account()?;
        self.ensure_price(&command.wish).await?;
        let msisdn = match self.inner.sims.known(&command.sim).await.msisdn {
            Some(msisdn) => msisdn,
            None => self.number_of_card(&command.sim, deadline).await?,
        };
        Ok(Target {
            slot: Slot {
                msisdn,
                product_id: command.wish.product_id.clone(),
            },
            sim: SimIds::of(&command.sim),
        })
    }

    /// How the subscription begins, and which ones are not its. Before a
    /// repeat, whether an earlier attempt was carried out after all: judged by
    /// what was on the SIM before the first one.
    pub(super) async fn look_before_purchase(
        &self,
        command: &Command,
        target: &Target,
        again: Option<&Record>,
        deadline: Deadline,
    ) -> Result<Prospect> {
        let options = CallOptions::for_order(deadline);
        let (chosen, present) = tokio::join!(
            self.choose(command, deadline),
            self.inner
                .provider
                .all_subscriptions(&target.slot.msisdn, options)
        );
        let (choice, sim) = chosen?;
        let named_by_card = matches!(command.sim, SimRef::Iccid(_));
        if named_by_card && sim.msisdn.as_ref() != Some(&target.slot.msisdn) {
            return Ok(Prospect::Moved);
        }
        let holdings = present?;
        if holdings.unreadable > 0 {
            // Any of them could later be taken for what was bought.
            tracing::warn!(
                unreadable = holdings.unreadable,
                "subscriptions on the SIM cannot be read: nothing is sent"
            );
            return Err(Error::ProviderProtocol {
                provider: Default::default(),
            });
        }
        if let Some(record) = again
            && let Some(settled) = self.settle_before_repeat(record, &holdings, target).await?
        {
            return Ok(Prospect::Settled(Box::new(settled)));
        }
        let baseline = holdings.subscriptions.into_iter().map(|on_sim| on_sim.id);
        Ok(Prospect::Ready(Prepared {
            sim,
            choice: Some(choice),
            baseline: baseline.collect(),
        }))
    }

    /// Settles an order whose earlier attempt shows now. `None` when nothing
    /// of it does, so that it may be sent again.
    async fn settle_before_repeat(
        &self,
        record: &Record,
        holdings: &Holdings,
        target: &Target,
    ) -> Result<Option<Record>> {
        let inner = &self.inner;
        if !is_complete(record, holdings) {
            // What it lacks now may be what was bought.
            return Err(Error::ProviderUnavailable {
                retry_after: inner.config.reconcile_after,
                provider: Default::default(),
            });
        }
        let claims = inner
            .ledger
            .claims(&target.slot, record.order.id)
            .await
            .map_err(unavailable)?;
        let settlement = match Candidates::of(record, holdings, &claims) {
            Candidates::None => return Ok(None),
            Candidates::One(only) => placed(record, Some(only.id.clone())),
            Candidates::Unclear => Settlement::NeedsOperator(Failure {
                reason: Reason::Ambiguous,
                provider: Default::default(),
            }),
        };
        let settled = inner.write(record, settlement).await.map_err(unavailable)?;
        // Another order is in flight, or has claimed it in this moment.
        settled.map(Some).ok_or(Error::OrderInProgress {
            order_id: record.order.id,
        })
    }

    /// The account has a name to order in.
    pub(super) fn ensure_account(&self) -> Result<()> {
        if self.inner.provider.can_order() {
            return Ok(());
        }
        Err(Error::OperationNotEnabled {
            provider: Default::default(),
        })
    }

    /// How the bundle begins, whether that was the caller's choice, and what
    /// is known of the SIM.
    ///
    /// # Errors
    /// Of a card, when the provider does not say which number it has now: a
    /// pair that is known from before may lead to somebody else's line.
    async fn choose(&self, command: &Command, deadline: Deadline) -> Result<(Choice, SimIds)> {
        let sims = &self.inner.sims;
        let callers = command.wish.activation.map(Choice::Callers);
        let record = match (&command.sim, callers) {
            (SimRef::Iccid(_), _) => Ok(self.line_of_card(&command.sim, deadline).await?),
            (SimRef::Msisdn(_), Some(choice)) => return Ok((choice, sims.known(&command.sim).await)),
            (SimRef::Msisdn(_), None) => sims.record_for_order(&command.sim, deadline).await,
        };
        Ok(match record {
            Ok(record) => {
                let activation = match record.status {
                    Some(SimStatus::Preactivated) | None => Activation::OnFirstUse,
                    Some(_) => Activation::Immediate,
                };
                (callers.unwrap_or(Choice::Ours(activation)), record.ids)
            }
            // The order's answer will show: the wrong choice is refused
            // without harm, while `subscribe` may put a SIM into service.
            Err(_) => {
                let sim = sims.known(&command.sim).await;
                (Choice::Ours(Activation::OnFirstUse), sim)
            }
        })
    }

    async fn number_of_card(&self, card: &SimRef, deadline: Deadline) -> Result<Msisdn> {
        let record = self.line_of_card(card, deadline).await?;
        let needed = Identifier::Msisdn;
        record.ids.msisdn.ok_or(Error::SimNotResolvable { needed })
    }

    /// The card that was named, with the number that it has now. The number of
    /// a terminated SIM is given to another one in time, so that it is none.
    ///
    /// # Errors
    /// `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and the provider's errors.
    pub(super) async fn line_of_card(&self, card: &SimRef, deadline: Deadline) -> Result<SimRecord> {
        let record = self.inner.sims.line(card, deadline).await?;
        if record.status == Some(SimStatus::Terminated) {
            let needed = Identifier::Msisdn;
            return Err(Error::SimNotResolvable { needed });
        }
        Ok(record)
    }

    /// The product exists, and costs no more than the caller allows by a
    /// catalog that is not stale.
    async fn ensure_price(&self, wish: &Wish) -> Result<()> {
        let Some(most) = wish.max_price else {
            return self
                .inner
                .catalog
                .product(None, &wish.product_id)
                .await
                .map(|_| ());
        };
        let price = self.inner.catalog.price(&wish.product_id).await?;
        compare(price, most)
    }
}

fn compare(price: Option<Money>, most: Money) -> Result<()> {
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
    fn a_price_is_compared_only_with_its_like() {
        let money = |code: &str, cents| Money::from_cents(Currency::parse(code).unwrap(), cents);
        let most = money("EUR", 1000);
        assert_eq!(compare(Some(money("EUR", 1000)), most), Ok(()));
        assert_eq!(compare(Some(money("EUR", 0)), most), Ok(()));
        let price = money("EUR", 1001);
        assert_eq!(
            compare(Some(price), most),
            Err(Error::PriceAboveMaximum { price })
        );
        let price = Some(money("USD", 1));
        assert_eq!(compare(price, most), Err(Error::PriceNotComparable { price }));
        assert_eq!(
            compare(None, most),
            Err(Error::PriceNotComparable { price: None })
        );
    }
}
