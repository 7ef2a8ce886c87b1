//! Operations on SIMs as callers see them.

use std::time::Duration;

use super::{Key, Note, Record, Request, Resolution, Writes};
use crate::domain::change::SimChange;
use crate::domain::write::{Write, WriteId};
use crate::domain::{Deadline, Error, Result, Scope, SimOperation};

impl Writes {
    /// Changes a SIM, or answers the outcome of an earlier call with the same
    /// id.
    ///
    /// Cancel-safe: what was begun is carried out.
    ///
    /// # Errors
    /// Any error means that nothing was changed.
    pub async fn change_sim(&self, request: &Request, deadline: Deadline) -> Result<SimOperation> {
        let write = self.execute(request, deadline).await?;
        let change = write.into_sim_change().ok_or_else(Error::id_of_another)?;
        Ok(self.as_operation(change))
    }

    /// An operation by one of its ids, settled if that happens within `wait`.
    /// Cancel-safe.
    ///
    /// # Errors
    /// `SIM_OPERATION_NOT_FOUND` also beyond the scope; `LEDGER_UNAVAILABLE`.
    pub async fn operation(
        &self,
        key: Key,
        wait: Duration,
        scope: &Scope,
        deadline: Deadline,
    ) -> Result<SimOperation> {
        let record = self.find_operation(key, scope).await?;
        let record = self.settled_within(wait, record, deadline).await?;
        let change = record.and_then(|record| record.write.into_sim_change());
        Ok(self.as_operation(change.ok_or(Error::SimOperationNotFound)?))
    }

    /// Resolves an operation as an operator decides.
    ///
    /// # Errors
    /// `SIM_OPERATION_NOT_FOUND` also beyond the scope; `ORDER_NOT_RESOLVABLE` unless it needs an
    /// operator, or was resolved in the same way before;
    /// `LEDGER_UNAVAILABLE`.
    pub async fn resolve_operation(
        &self,
        id: WriteId,
        resolution: &Resolution,
        scope: &Scope,
        note: Note,
    ) -> Result<SimOperation> {
        let record = self.find_operation(Key::Write(id), scope).await?;
        let standing = record.write.clone().into_sim_change();
        let settled = match self.settle_by_operator(record, resolution, note).await {
            Ok(write) => write.into_sim_change(),
            Err(Error::OrderNotFound) => None,
            Err(Error::OrderNotResolvable { state }) => {
                let change = standing.ok_or(Error::SimOperationNotFound)?;
                let state = self.as_operation(Write { state, ..change }).state;
                return Err(Error::SimOperationNotResolvable { state });
            }
            Err(error) => return Err(error),
        };
        let change = settled.ok_or(Error::SimOperationNotFound)?;
        if *resolution == Resolution::Done {
            self.inner.forget_changed_sim(&change.kind).await;
        }
        Ok(self.as_operation(change))
    }

    async fn find_operation(&self, key: Key, scope: &Scope) -> Result<Record> {
        let record = self.find(key).await?;
        record
            .filter(|record| !record.write.is_order() && scope.admits(record.write.caller.as_deref()))
            .ok_or(Error::SimOperationNotFound)
    }

    fn as_operation(&self, change: Write<SimChange>) -> SimOperation {
        SimOperation::of(change, self.inner.config.give_up_after, self.inner.clock.now())
    }
}
