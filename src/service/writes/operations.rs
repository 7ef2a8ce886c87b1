//! Changes of SIMs: asked for, followed and resolved.
//!
//! They are kept and sent as orders are, by one ledger and one submission.
//! What differs: a SIM has one in flight whatever it is, the provider's
//! ordinary answer is that it has begun, and none is ever sent twice.

use super::{Command, Key, Note, Orders, Resolution, Target};
use crate::domain::act::SimChange;
use crate::domain::error::Violation;
use crate::domain::order::{Order, OrderId};
use crate::domain::sim::Identifier;
use crate::domain::{Deadline, Error, Result, SimOperation, sim_operation};
use crate::store::Slot;

impl Orders {
    /// Changes a SIM, or answers what became of an earlier call with the same
    /// id.
    ///
    /// Cancel-safe: what was begun is carried out.
    ///
    /// # Errors
    /// Any error means that nothing was changed.
    pub async fn change_sim(&self, command: &Command, deadline: Deadline) -> Result<SimOperation> {
        let order = self.create(command, deadline).await?;
        self.as_operation(order).ok_or(Error::Internal)
    }

    /// An operation by one of its names.
    ///
    /// # Errors
    /// `SIM_OPERATION_NOT_FOUND`, `LEDGER_UNAVAILABLE`.
    pub async fn operation(&self, key: Key) -> Result<SimOperation> {
        let record = self.find(key).await?;
        record
            .and_then(|record| self.as_operation(record.order))
            .ok_or(Error::SimOperationNotFound)
    }

    /// Takes an operator's word for what became of an operation.
    ///
    /// # Errors
    /// `SIM_OPERATION_NOT_FOUND`; `ORDER_NOT_RESOLVABLE` unless it needs an
    /// operator, or was resolved in the same way before;
    /// `LEDGER_UNAVAILABLE`.
    pub async fn resolve_operation(
        &self,
        id: OrderId,
        resolution: &Resolution,
        note: Note,
    ) -> Result<SimOperation> {
        let record = self.find(Key::Order(id)).await?;
        let record = record
            .filter(|record| record.order.wish.act.on_sim().is_some())
            .ok_or(Error::SimOperationNotFound)?;
        let standing = record.order.clone();
        match self.settle_by_word(record, resolution, note).await {
            Ok(order) => {
                if *resolution == Resolution::Done {
                    self.inner.settled_as_wished(&order).await;
                }
                self.as_operation(order).ok_or(Error::Internal)
            }
            Err(Error::OrderNotFound) => Err(Error::SimOperationNotFound),
            Err(Error::OrderNotResolvable { state }) => {
                let now = self.as_operation(Order { state, ..standing });
                let state = now.map_or(sim_operation::State::Unknown, |now| now.state);
                Err(Error::SimOperationNotResolvable { state })
            }
            Err(error) => Err(error),
        }
    }

    fn as_operation(&self, order: Order) -> Option<SimOperation> {
        SimOperation::of(order, self.inner.config.give_up_after, self.inner.clock.now())
    }

    /// The SIM, once it is known to be the one that is meant.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `SIM_NOT_FOUND`, `SIM_NOT_RESOLVABLE`, and those of
    /// reading.
    pub(super) async fn sim_target(
        &self,
        command: &Command,
        change: &SimChange,
        deadline: Deadline,
    ) -> Result<Target> {
        if change.rate_plan.is_none() && !self.inner.provider.has_rate_plan() {
            return Err(invalid(
                "rate_plan",
                "is required: this gateway has no transatel.rate_plan",
            ));
        }
        let sim = self.inner.sims.subscriber(&command.sim, deadline).await?.ids;
        let missing = |needed| Error::SimNotResolvable { needed };
        let msisdn = sim.msisdn.clone().ok_or(missing(Identifier::Msisdn))?;
        let iccid = sim.iccid.as_ref().ok_or(missing(Identifier::Iccid))?;
        if command.confirmed.as_ref().is_some_and(|card| card != iccid) {
            return Err(invalid("confirm_iccid", "is not the ICCID of this SIM"));
        }
        Ok(Target {
            slot: Slot {
                msisdn,
                product_id: String::new(),
            },
            sim,
        })
    }
}

fn invalid(field: &str, rule: &str) -> Error {
    Error::InvalidRequest(vec![Violation {
        field: field.into(),
        description: rule.into(),
    }])
}
