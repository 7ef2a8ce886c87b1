//! Every transaction that has begun, and how it stands.

use std::{collections::HashMap, sync::Mutex};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    lock::lock,
    world::{
        operations::{change::Change, request::Request},
        stock::ids::SimNumber,
    },
};

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Pending,
    /// Refused at once, without saying so in the 201.
    Rejected,
    Done(Timestamp),
    Failed(Timestamp),
}

/// One operation on its way.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) id: Uuid,
    /// Counts up from 1.
    pub(crate) number: u64,
    pub(crate) sim: SimNumber,
    /// The SIM whose card takes the place of the other's.
    pub(crate) replacement: Option<SimNumber>,
    /// The ICCID that answers name: of a swap, the new one.
    pub(crate) iccid: String,
    pub(crate) change: Change,
    pub(crate) request: Request,
    pub(crate) begun: Timestamp,
    pub(crate) stage: Stage,
}

impl Transaction {
    /// `PENDING`, `DONE` or `ERROR`, as `asyncStatus` says it.
    pub(crate) fn status(&self) -> &'static str {
        match self.stage {
            Stage::Pending | Stage::Rejected => "PENDING",
            Stage::Done(_) => "DONE",
            Stage::Failed(_) => "ERROR",
        }
    }
}

/// All transactions since the start.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    by_id: Mutex<HashMap<Uuid, Transaction>>,
}

impl Transactions {
    /// Keeps a transaction, which gets its number here.
    pub(crate) fn add(&self, transaction: Transaction) {
        let mut by_id = lock(&self.by_id);
        let number = u64::try_from(by_id.len()).unwrap_or(u64::MAX).saturating_add(1);
        by_id.insert(
            transaction.id,
            Transaction {
                number,
                ..transaction
            },
        );
    }

    pub(crate) fn find(&self, id: Uuid) -> Option<Transaction> {
        lock(&self.by_id).get(&id).cloned()
    }

    pub(crate) fn set_stage(&self, id: Uuid, stage: Stage) {
        if let Some(transaction) = lock(&self.by_id).get_mut(&id) {
            transaction.stage = stage;
        }
    }

    /// All of them, oldest first.
    pub(crate) fn list(&self) -> Vec<Transaction> {
        let mut all: Vec<_> = lock(&self.by_id).values().cloned().collect();
        all.sort_unstable_by_key(|transaction| transaction.number);
        all
    }
}
