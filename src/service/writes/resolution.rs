//! An operator's word for what the gateway cannot find out. It counts only
//! where the gateway has given up, and once.

use super::{Key, Note, Orders, unavailable};
use crate::domain::error::Violation;
use crate::domain::order::{Order, OrderId, State};
use crate::domain::{Error, Result};
use crate::store::{Record, Settled, Settlement};

/// What an operator found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This bundle came of it, or it was done with this bundle.
    Placed(String),
    /// It was done, and is about no bundle.
    Done,
    /// Nothing came of it.
    NotPlaced,
}

impl Orders {
    /// Takes an operator's word for what became of an order.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND`; `ORDER_NOT_RESOLVABLE` unless it needs an operator,
    /// or was resolved in the same way before; `INVALID_REQUEST` when the
    /// bundle belongs to another order; `LEDGER_UNAVAILABLE`.
    pub async fn resolve(&self, id: OrderId, resolution: &Resolution, note: Note) -> Result<Order> {
        // An event may have told what an operator need not find out.
        let record = self.find_order(Key::Order(id)).await?;
        let record = self.inner.confirm(record).await.map_err(unavailable)?;
        let resolution = match (record.order.wish.act.on_subscription(), resolution) {
            // The bundle has an order of its own, the one that bought it.
            (Some(bundle), Resolution::Placed(named)) if bundle == named => &Resolution::Done,
            (Some(_), Resolution::Placed(_)) => {
                return Err(wrong_bundle("has to be the bundle that the order is about"));
            }
            _ => resolution,
        };
        self.settle_by_word(record, resolution, note).await
    }

    /// Writes it down, with why.
    pub(super) async fn settle_by_word(
        &self,
        record: Record,
        resolution: &Resolution,
        note: Note,
    ) -> Result<Order> {
        if record.order.state != State::NeedsOperator {
            return already(&record.order, resolution);
        }
        let placed = |subscription_id| Settlement::Placed {
            subscription_id,
            provider_reference: record.order.provider_reference.clone(),
            next_check_at: None,
        };
        let settlement = match resolution {
            Resolution::Placed(subscription_id) => placed(Some(subscription_id.clone())),
            Resolution::Done => placed(None),
            Resolution::NotPlaced => Settlement::NotPlaced { next_check_at: None },
        };
        let now = self.inner.ledger.now().await.map_err(unavailable)?;
        let settled = self
            .inner
            .ledger
            .settle(record.order.id, record.attempt, settlement, Some(note), now)
            .await
            .map_err(unavailable)?;
        match settled {
            Settled::Yes(record) => {
                self.inner.report(&record.order);
                Ok(record.order)
            }
            Settled::No(record) => already(&record.order, resolution),
            Settled::Gone => Err(Error::OrderNotFound),
            Settled::Claimed => Err(wrong_bundle("belongs to another order of this SIM")),
        }
    }
}

fn wrong_bundle(rule: &str) -> Error {
    Error::InvalidRequest(vec![Violation {
        field: "subscription_id".into(),
        description: rule.into(),
    }])
}

/// A resolution that was made before is no error, but no other one counts.
fn already(order: &Order, resolution: &Resolution) -> Result<Order> {
    let same = match resolution {
        Resolution::Placed(id) => order.state == State::Placed && order.subscription_id.as_ref() == Some(id),
        Resolution::Done => order.state == State::Placed,
        Resolution::NotPlaced => order.state == State::NotPlaced,
    };
    if same {
        Ok(order.clone())
    } else {
        Err(Error::OrderNotResolvable { state: order.state })
    }
}
