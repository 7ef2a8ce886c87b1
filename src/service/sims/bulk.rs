//! Finds the numbers of many cards in a few searches, before each is asked for by
//! itself.
//!
//! That SIM Search takes several values for one filter is inferred from
//! Transatel's other APIs, and not proven. So nothing depends on it: an answer
//! counts only for the cards that were asked for, and what it does not name is
//! looked for alone. A search that is refused, or that names none of its cards, is
//! the last one.

use std::collections::HashSet;

use super::Sims;
use crate::domain::{Deadline, Iccid, SimRef};
use crate::transatel::client::request::CallOptions;

/// Cards in one search: about 2 KB of its address.
const AT_ONCE: usize = 100;

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
        if unknown.len() < 2 {
            return;
        }
        for cards in unknown.chunks(AT_ONCE) {
            let options = CallOptions::until(deadline);
            let Ok(page) = self.provider.search_cards(cards, options).await else {
                return;
            };
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
            if found == 0 {
                return;
            }
        }
    }
}
