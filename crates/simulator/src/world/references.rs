//! Which subscriptions were ordered under which `transactionReference`.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Mutex,
};

use uuid::Uuid;

use crate::{lock::lock, world::stock::ids::SimNumber};

/// Subscriptions by `transactionReference`, in the order in which they were accepted.
type ByReference = HashMap<String, Vec<(SimNumber, Uuid)>>;

/// Which subscriptions were ordered under which `transactionReference`. In parts, so that orders do not queue here.
#[derive(Debug, Default)]
pub(crate) struct References {
    parts: [Mutex<ByReference>; 16],
    hasher: RandomState,
}

impl References {
    fn part(&self, reference: &str) -> Option<&Mutex<ByReference>> {
        let position = self.hasher.hash_one(reference) % self.parts.len() as u64;
        usize::try_from(position)
            .ok()
            .and_then(|position| self.parts.get(position))
    }

    pub(crate) fn add(&self, reference: &str, number: SimNumber, subscription: Uuid) {
        if let Some(part) = self.part(reference) {
            lock(part)
                .entry(reference.to_owned())
                .or_default()
                .push((number, subscription));
        }
    }

    /// Every subscription that was ordered under this reference, in the order in which they were accepted.
    pub(crate) fn find(&self, reference: &str) -> Vec<(SimNumber, Uuid)> {
        self.part(reference)
            .and_then(|part| lock(part).get(reference).cloned())
            .unwrap_or_default()
    }
}
