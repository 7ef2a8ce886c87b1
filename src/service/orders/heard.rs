//! What events say about orders. An event is the provider's word: it settles
//! an order whose outcome is not known, when it leaves no doubt, and makes it
//! looked for at once otherwise.

use jiff::Timestamp;

use super::reconcile::placed;
use super::{Inner, Key, Orders, Record, State};
use crate::domain::act::Act;
use crate::domain::event::Event;
use crate::domain::order::OrderId;
use crate::store;

impl Orders {
    /// Takes note of an event. `false` when the order is on its way, so that
    /// only later can be said what the event means for it.
    pub async fn heard(&self, event: &Event) -> bool {
        match self.inner.heard(event).await {
            Ok(done) => done,
            Err(error) => {
                // The schedule finds out.
                tracing::warn!(%error, "what an event says of an order could not be written down");
                true
            }
        }
    }
}

impl Inner {
    async fn heard(&self, event: &Event) -> Result<bool, store::Error> {
        if let Some(transaction) = &event.transaction_id {
            self.look_now(transaction).await?;
        }
        match event.order_id {
            Some(id) => self.heard_of(id, event).await,
            None => Ok(true),
        }
    }

    async fn heard_of(&self, id: OrderId, event: &Event) -> Result<bool, store::Error> {
        let Some(record) = self.ledger.find(Key::Order(id)).await? else {
            return Ok(true);
        };
        match record.order.state {
            State::Submitting => return Ok(false),
            State::Unknown | State::Placed => match bundle(&record, event) {
                Some(subscription_id) if record.order.subscription_id.is_none() => {
                    let settlement = placed(&record, Some(subscription_id.to_owned()));
                    self.settle_checked(&record, settlement).await?;
                }
                Some(_) => {}
                None => self.look_now(&id.to_string()).await?,
            },
            State::NeedsOperator => {
                tracing::warn!(order_id = %id, "an event speaks of an order that needs an operator");
            }
            State::NotPlaced => {
                tracing::error!(order_id = %id, "an event speaks of an order that was taken for not placed");
            }
            State::Rejected => {
                tracing::error!(order_id = %id, "an event speaks of an order that was refused");
            }
        }
        Ok(true)
    }

    async fn look_now(&self, name: &str) -> Result<(), store::Error> {
        if self.ledger.hurry(name, Timestamp::now()).await? > 0 {
            self.hurry.notify_one();
        }
        Ok(())
    }
}

/// The bundle that came of this attempt at the order, if the event leaves no
/// doubt: of the order's SIM and product, and not there before.
fn bundle<'a>(record: &Record, event: &'a Event) -> Option<&'a str> {
    let order = &record.order;
    let subscription_id = event.subscription_id.as_ref()?;
    let fits = order.wish.act == Act::Buy
        && event.event_type().is_about_a_bundle()
        && event
            .product_id
            .as_ref()
            .is_none_or(|id| *id == order.wish.product_id)
        && event.sim.msisdn.is_some()
        && event.sim.msisdn == order.sim.msisdn
        && !record.baseline.contains(subscription_id);
    fits.then_some(subscription_id)
}
