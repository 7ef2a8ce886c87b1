//! Control of connectivity transactions.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::{
    control::handle::Control,
    world::{
        impossible::Impossible,
        operations::{progress, transactions::Transaction},
        settings::operations::Outcome,
        stock::ids::SimNumber,
    },
};

/// A connectivity transaction as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionView {
    /// The provider's id.
    pub transaction_id: Uuid,
    /// The ICCID that the provider names with it: of a swap, the new one.
    pub iccid: String,
    /// The last part of its URL, such as `suspend`.
    pub operation: &'static str,
    /// `PENDING`, `DONE` or `ERROR`. `PENDING` too when it was rejected.
    pub status: &'static str,
}

impl TransactionView {
    fn of(transaction: &Transaction) -> Self {
        Self {
            transaction_id: transaction.id,
            iccid: transaction.iccid.clone(),
            operation: transaction.change.word(),
            status: transaction.status(),
        }
    }
}

impl Control {
    /// Decides what becomes of a SIM's next operation that is accepted, and after what time it ends; without a
    /// time, after the usual one. Called again, it decides over the one after that.
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn decide_operation(
        &self,
        key: &str,
        outcome: Outcome,
        delay: Option<Duration>,
    ) -> Result<(), Impossible> {
        let delay = delay.unwrap_or(self.settings().operations.delay);
        self.on(key, |sim, _| sim.outcomes.push_back((outcome, delay)))
    }

    /// Every connectivity transaction, oldest first; of one SIM when it is named.
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn transactions(&self, key: Option<&str>) -> Result<Vec<TransactionView>, Impossible> {
        let number: Option<SimNumber> = key.map(|key| self.on(key, |sim, _| sim.number)).transpose()?;
        let provider = &self.provider;
        provider.catch_up();
        let all = provider.transactions.list();
        Ok(all
            .iter()
            .filter(|transaction| number.is_none_or(|number| number == transaction.sim))
            .map(TransactionView::of)
            .collect())
    }

    /// Ends a transaction now that is pending: well, if the operation is still possible, or badly.
    ///
    /// # Errors
    ///
    /// When there is no such transaction, or it has ended.
    pub fn end_transaction(&self, id: Uuid, well: bool) -> Result<(), Impossible> {
        let provider = &self.provider;
        provider.catch_up();
        if progress::end(provider, id, provider.clock.now(), well) {
            Ok(())
        } else {
            Err(Impossible::UnknownTransaction)
        }
    }
}
