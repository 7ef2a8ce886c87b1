//! Finds the numbers of many cards in a few searches, before each is asked for by
//! itself.
//!
//! That SIM Search takes several values for one filter is inferred from
//! Transatel's other APIs, and not proven. So nothing depends on it: an answer
//! counts only for the cards that were asked for, and what it does not name is
//! looked for alone. A search that names none of its cards is the last one of its batch.
//! After one that fails or takes too long there is none for a while: orders by card need
//! the same API.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Sims;
use crate::domain::{Deadline, Iccid, SimRef};
use crate::transatel::client::error::CallError;
use crate::transatel::client::request::CallOptions;

/// Cards in one search: about 2 KB of its address.
const AT_ONCE: usize = 100;
/// How long a batch waits for its searches.
const WITHIN: Duration = Duration::from_secs(5);
/// No search for many cards for so long after one that failed.
const REST: Duration = Duration::from_secs(600);

impl Sims {
    /// Caches the numbers of those that are named by a card, as far as the search
    /// gives them. Cancel-safe.
    pub(in crate::service) async fn find_numbers(&self, sims: &[SimRef], deadline: Deadline) {
        let mut unknown: Vec<&Iccid> = Vec::new();
        let mut seen = HashSet::new();
        for sim in sims {
            if let SimRef::Iccid(card) = sim
                && seen.insert(card)
                && self.cache.peek(sim).await.is_none()
            {
                unknown.push(card);
            }
        }
        if unknown.len() < 2 || !self.may_search_many() {
            return;
        }
        let searches = async {
            for cards in unknown.chunks(AT_ONCE) {
                if self.search_many(cards, deadline).await? == 0 {
                    break;
                }
            }
            Ok::<_, CallError>(())
        };
        let has_failed = match tokio::time::timeout(WITHIN, searches).await {
            // The caller's time was up, which says nothing of the search.
            Ok(Ok(()) | Err(CallError::NoTimeLeft | CallError::Timeout { by_deadline: true })) => false,
            Ok(Err(_)) | Err(_) => true,
        };
        if has_failed {
            self.rest_until(Instant::now() + REST);
        }
    }

    /// How many of the cards the search has named.
    async fn search_many(&self, cards: &[&Iccid], deadline: Deadline) -> Result<usize, CallError> {
        let options = CallOptions::until(deadline);
        let page = self.provider.search_cards(cards, options).await?;
        let mut found = 0;
        for record in &page.records {
            if record
                .ids
                .iccid
                .as_ref()
                .is_some_and(|card| cards.contains(&card))
            {
                found += 1;
                self.note(record).await;
            }
        }
        Ok(found)
    }

    fn may_search_many(&self) -> bool {
        let rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        rests_until.is_none_or(|until| until <= Instant::now())
    }

    fn rest_until(&self, until: Instant) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}
