//! What keeps a SIM from being sold as unused.

/// What keeps a SIM from being unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimUse {
    /// A subscription that has not ended.
    Subscription,
    /// Its eSIM, which was on a device, is bound to one, or has a status that is not known.
    Esim,
    /// A purchase in the ledger: in flight, placed, or one that may show yet.
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
            Self::Esim => "an eSIM that was on a device, is bound to one, or has a status that is not known",
            Self::Order => "another order",
        }
    }
}
