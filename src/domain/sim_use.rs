//! What keeps a SIM from being sold as unused.

/// What keeps a SIM from being unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimUse {
    /// A subscription that has not ended.
    Subscription,
    /// Its eSIM, which was on a device or is bound to one.
    Esim,
    /// A purchase in the ledger, in flight or placed.
    Order,
}

impl SimUse {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Subscription, Self::Esim, Self::Order];

    /// Its name in the metadata of an error.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscription => "SUBSCRIPTION",
            Self::Esim => "ESIM",
            Self::Order => "ORDER",
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Subscription => "a subscription that has not ended",
            Self::Esim => "a device that its eSIM was on or is bound to",
            Self::Order => "another order",
        }
    }
}
