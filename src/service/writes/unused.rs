//! `require_unused`: a purchase for a SIM that nothing uses yet.
//!
//! The SIM is read live, and the ledger holds what the provider may not show yet: the
//! purchases in flight, the placed ones, and those that may show late. `begin`
//! compares the purchases for the SIM with those that were read before: of two such
//! orders at once, for whatever products, the second has to read again.

use super::prepared::Before;
use super::{Key, Record, Request, Writes, unavailable};
use crate::domain::sim::Identifier;
use crate::domain::sim_use::SimUse;
use crate::domain::subscription::Holdings;
use crate::domain::write::{State, WriteId};
use crate::domain::{Deadline, Error, Iccid, Msisdn, Result, SimRef};
use crate::service::stock::look::{has_subscription, may_be_of_device};
use crate::store::SimPurchase;
use crate::transatel::client::request::CallOptions;

impl Writes {
    /// The purchases for a SIM that has to be unused; `None` for any other.
    pub(super) async fn purchases_before(
        &self,
        request: &Request,
        msisdn: &Msisdn,
    ) -> Result<Option<Vec<SimPurchase>>> {
        if !request.require_unused {
            return Ok(None);
        }
        let ledger = &self.inner.ledger;
        ledger.sim_purchases(msisdn).await.map(Some).map_err(unavailable)
    }

    /// What uses a SIM that has to be unused, as the error of the order.
    ///
    /// # Errors
    /// `SIM_NOT_RESOLVABLE` without its card, and the provider's errors: nothing is
    /// known of the SIM then.
    pub(super) async fn in_use(
        &self,
        request: &Request,
        before: Before<'_>,
        holdings: &Holdings,
        purchases: &[SimPurchase],
        deadline: Deadline,
    ) -> Result<Option<Error>> {
        if has_subscription(holdings) {
            let (by, order_id) = (SimUse::Subscription, None);
            return Ok(Some(Error::SimInUse { by, order_id }));
        }
        let card = match &request.sim {
            SimRef::Iccid(card) => card.clone(),
            SimRef::Msisdn(_) => self.card_of_number(&request.sim, deadline).await?,
        };
        let own = before.record.map(|record| record.write.id);
        let others = purchases.iter().filter(|purchase| Some(purchase.id) != own);
        if let Some(other) = { others }.find(|purchase| may_use(purchase, &card, holdings)) {
            let (by, order_id) = (SimUse::Order, self.visible(other.id, request).await);
            return Ok(Some(Error::SimInUse { by, order_id }));
        }
        let options = CallOptions::for_order(deadline);
        let profile = match self.inner.provider.esim(&card, false, options).await {
            Ok(profile) => profile,
            // A physical SIM has no profile.
            Err(Error::EsimNotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (by, order_id) = (SimUse::Esim, None);
        Ok(may_be_of_device(&profile).then_some(Error::SimInUse { by, order_id }))
    }

    /// Whether the ledger no longer holds of the request what it did.
    pub(super) async fn has_moved(&self, request: &Request, before: Option<&Record>) -> Result<bool> {
        let now = self.find(Key::Request(request.request_id)).await?;
        let shape = |record: &Record| (record.attempt, record.write.state);
        Ok(now.as_ref().map(shape) != before.map(shape))
    }

    async fn card_of_number(&self, sim: &SimRef, deadline: Deadline) -> Result<Iccid> {
        let record = self.inner.sims.line(sim, deadline).await?;
        let needed = Identifier::Iccid;
        record.ids.iccid.ok_or(Error::SimNotResolvable { needed })
    }

    /// An order's id, if the caller may see the order.
    async fn visible(&self, order: WriteId, request: &Request) -> Option<WriteId> {
        let found = self.find(Key::Write(order)).await.ok().flatten()?;
        let scope = &request.by.scope;
        scope.admits(found.write.caller.as_deref()).then_some(order)
    }
}

/// Whether the SIM may have what was bought: it is not known yet, or it is placed and
/// the provider does not show it, not yet or no longer. What was placed for another
/// card of the number is not on this one.
fn may_use(purchase: &SimPurchase, card: &Iccid, holdings: &Holdings) -> bool {
    if purchase.state != State::Done {
        return purchase.state.is_in_flight() || purchase.is_watched;
    }
    let is_of_another_card = purchase.iccid.as_ref().is_some_and(|own| own != card);
    let subscription = purchase.subscription_id.as_deref();
    let is_shown = subscription.is_some_and(|id| holdings.find(id).is_some());
    !is_of_another_card && !is_shown
}
