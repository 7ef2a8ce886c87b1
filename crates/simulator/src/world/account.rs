//! The account's prepaid balance, from which orders are paid.

use std::sync::atomic::{AtomicI64, Ordering};

/// Enough for any test that is not about an empty account: ten million euros.
const INITIAL_CENTS: i64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Account {
    cents: AtomicI64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            cents: AtomicI64::new(INITIAL_CENTS),
        }
    }
}

impl Account {
    pub(crate) fn balance(&self) -> i64 {
        self.cents.load(Ordering::Relaxed)
    }

    pub(crate) fn set_balance(&self, cents: i64) {
        self.cents.store(cents, Ordering::Relaxed);
    }

    /// Takes the price off the balance, or takes nothing and says `false` when there is not enough.
    pub(crate) fn pay(&self, cents: i64) -> bool {
        let take = |balance: i64| balance.checked_sub(cents).filter(|rest| *rest >= 0);
        self.cents
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cent_can_be_spent_and_no_more() {
        let account = Account::default();
        account.set_balance(500);
        assert!(account.pay(300));
        assert!(!account.pay(201));
        assert!(account.pay(200));
        assert_eq!(account.balance(), 0);
        assert!(account.pay(0));
    }
}
