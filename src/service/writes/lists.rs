//! Pages of orders and of operations on SIMs, from the ledger.

use super::{Filter, OperationFilter, Writes, unavailable};
use crate::domain::write::{Order, Write, WriteId};
use crate::domain::{Result, Scope, SimOperation, SimRef};

impl Writes {
    /// Orders, newest first, at most `limit`, beginning after one of them. Those
    /// of a SIM are found by the number that it has now.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`, and those of finding a SIM's MSISDN.
    pub async fn list(
        &self,
        sim: Option<&SimRef>,
        filter: &Filter,
        scope: &Scope,
        after: Option<WriteId>,
        limit: u32,
    ) -> Result<Vec<Order>> {
        let msisdn = match sim {
            None => None,
            Some(sim) => Some(self.inner.sims.msisdn(sim).await?),
        };
        let Some(caller) = scope.narrow(filter.caller.clone()) else {
            return Ok(Vec::new());
        };
        let filter = Filter {
            msisdn,
            caller,
            ..filter.clone()
        };
        let page = self.inner.ledger.page(&filter, after, i64::from(limit)).await;
        let writes = page.map_err(unavailable)?.into_iter();
        Ok(writes.filter_map(Write::into_order).collect())
    }

    /// Operations on SIMs, newest first, at most `limit`, beginning after one of
    /// them.
    ///
    /// # Errors
    /// `LEDGER_UNAVAILABLE`.
    pub async fn list_operations(
        &self,
        filter: &OperationFilter,
        scope: &Scope,
        after: Option<WriteId>,
        limit: u32,
    ) -> Result<Vec<SimOperation>> {
        let inner = &self.inner;
        // One moment for the filter and the answer: they agree on every state.
        let now = inner.clock.now();
        let give_up_after = inner.config.give_up_after;
        let filter = OperationFilter {
            given_up_since: now - give_up_after,
            caller: scope.only().map(str::to_owned),
            ..filter.clone()
        };
        let page = inner
            .ledger
            .page_of_operations(&filter, after, i64::from(limit))
            .await;
        let changes = page
            .map_err(unavailable)?
            .into_iter()
            .filter_map(Write::into_sim_change);
        Ok(changes
            .map(|change| SimOperation::of(change, give_up_after, now))
            .collect())
    }
}
