//! What products cost the company, by a list of its own.

use std::collections::HashMap;

use super::Money;

/// Costs by product. Nothing in it is charged or limited: it is only shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList(HashMap<String, Money>);

impl PriceList {
    /// Of these products.
    pub fn new(costs: HashMap<String, Money>) -> Self {
        Self(costs)
    }

    /// What one of a product costs; `None` when the list does not have it.
    pub fn cost_of(&self, product_id: &str) -> Option<Money> {
        self.0.get(product_id).copied()
    }

    /// How many products it has.
    pub fn products(&self) -> usize {
        self.0.len()
    }
}
