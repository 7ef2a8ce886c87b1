//! Control of what the inventory shows, and when.

use uuid::Uuid;

use crate::{
    control::handle::Control,
    world::{
        impossible::Impossible,
        visibility::{Oddity, Showing},
    },
};

impl Control {
    /// Decides how the inventory shows what a SIM's next order places. Called again, it decides over the order
    /// after that.
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn show_next_order(&self, key: &str, showing: Showing) -> Result<(), Impossible> {
        self.on(key, |sim, _| sim.showings.push_back(showing))
    }

    /// Lets the inventory show nothing of a SIM that it does not show by now, until [`Control::show_inventory`].
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn hold_inventory(&self, key: &str) -> Result<(), Impossible> {
        self.on(key, |sim, now| sim.hold_inventory(now))
    }

    /// Lets the inventory show now what is held back or late, and says how many subscriptions that are. What never
    /// shows stays hidden.
    ///
    /// # Errors
    ///
    /// When there is no such SIM.
    pub fn show_inventory(&self, key: &str) -> Result<usize, Impossible> {
        self.on(key, |sim, now| sim.show_inventory(now))
    }

    /// Makes one element of a SIM's inventory odd, or as it should be.
    ///
    /// # Errors
    ///
    /// When there is no such SIM, or it never had this subscription.
    pub fn distort_subscription(
        &self,
        key: &str,
        subscription: Uuid,
        oddity: Option<Oddity>,
    ) -> Result<(), Impossible> {
        self.on(key, |sim, _| {
            let found = sim
                .subscriptions
                .iter_mut()
                .find(|found| found.id == subscription);
            found
                .map(|found| found.oddity = oddity)
                .ok_or(Impossible::UnknownSubscription)
        })?
    }
}
