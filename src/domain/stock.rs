//! The stock: SIMs that were delivered to the company and are sold one by one.
//!
//! Each belongs to one pool and is in one state. A SIM leaves the available
//! ones only by a reservation, which belongs to one request of a caller.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::pool::Pool;
use super::write::{RequestId, WriteId};
use super::{Iccid, Msisdn, SimIds};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in the store and in metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    };
}

named! {
    /// The state of a SIM in the stock.
    StockState {
        /// It can be reserved.
        Available = "available",
        /// A caller's request has it.
        Reserved = "reserved",
        /// An order was sent for it and was not refused.
        Sold = "sold",
        /// It is not sold: see [`SetAside`].
        SetAside = "set_aside",
    }
}

named! {
    /// Why a SIM is not sold.
    SetAside {
        /// An operator took it out.
        Withdrawn = "withdrawn",
        /// The provider does not know it.
        SimNotFound = "sim_not_found",
        /// Its MSISDN cannot be found.
        NoMsisdn = "no_msisdn",
        /// The SIM was in service.
        NotPreactivated = "not_preactivated",
        /// It has no eSIM profile: it is physical, or unknown.
        NoEsim = "no_esim",
        /// Its eSIM cannot be installed: it is not released, or has no code.
        NotInstallable = "not_installable",
        /// Its eSIM is bound to a device, or was on one.
        OnDevice = "on_device",
        /// A subscription is on it.
        HasSubscription = "has_subscription",
        /// The provider refused an order for it because of the SIM.
        OrderRefused = "order_refused",
    }
}

named! {
    /// The state of a reservation.
    ReservationState {
        /// The SIM is reserved until the time is over.
        Held = "held",
        /// An order was sent for the SIM.
        Sold = "sold",
        /// The caller has given it back.
        Released = "released",
        /// Its time was over.
        Expired = "expired",
        /// The provider refused the order because of the SIM, or for any other
        /// reason.
        Refused = "refused",
    }
}

/// A SIM in the stock. Its card is always known.
#[derive(Clone, Debug, PartialEq)]
pub struct StockSim {
    /// The card, and the number where it is known.
    pub ids: SimIds,
    /// Where it belongs.
    pub pool: Pool,
    /// Its state.
    pub state: StockState,
    /// Why it is set aside.
    pub set_aside: Option<SetAside>,
    /// The request that has it.
    pub request_id: Option<RequestId>,
    /// When it was added to the stock.
    pub delivered_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// A SIM that is one request's.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// The caller's id of the request.
    pub request_id: RequestId,
    /// The pool that the SIM is from.
    pub pool: Pool,
    /// The SIM, the latest if there were several. Its card is always known.
    pub sim: SimIds,
    /// Its state.
    pub state: ReservationState,
    /// It was made to buy at once.
    pub for_sale: bool,
    /// The caller's own reference.
    pub reference: String,
    /// Who requested it, when that is known.
    pub caller: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the SIM was found to be unused; `None` until then.
    pub looked_at: Option<Timestamp>,
    /// Until when the SIM is reserved, while it is held.
    pub expires_at: Timestamp,
    /// The order that was sent for it.
    pub order_id: Option<WriteId>,
}

/// How many SIMs of a pool are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockCount {
    /// The pool.
    pub pool: Pool,
    /// The state.
    pub state: StockState,
    /// Why, for those that are set aside.
    pub set_aside: Option<SetAside>,
    /// How many.
    pub sims: u64,
}

/// The SIMs of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStock {
    /// The pool.
    pub pool: Pool,
    /// Why SIMs are set aside, and how many for each reason.
    pub set_aside: Vec<(SetAside, u64)>,
    in_state: BTreeMap<StockState, u64>,
}

impl PoolStock {
    /// Each pool of which there are counts, by name.
    pub fn each(counts: &[StockCount]) -> Vec<Self> {
        let mut pools: BTreeMap<&Pool, Self> = BTreeMap::new();
        for count in counts {
            let stock = pools.entry(&count.pool).or_insert_with(|| Self {
                pool: count.pool.clone(),
                set_aside: Vec::new(),
                in_state: BTreeMap::new(),
            });
            *stock.in_state.entry(count.state).or_default() += count.sims;
            stock
                .set_aside
                .extend(count.set_aside.map(|reason| (reason, count.sims)));
        }
        pools.into_values().collect()
    }

    /// How many are in a state.
    pub fn in_state(&self, state: StockState) -> u64 {
        self.in_state.get(&state).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn delivered(&self) -> u64 {
        self.in_state.values().sum()
    }
}

/// A SIM that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its card.
    pub iccid: Iccid,
    /// Its number, where the delivery names it.
    pub msisdn: Option<Msisdn>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for state in StockState::ALL {
            assert_eq!(StockState::named(state.name()), Some(*state));
        }
        for reason in SetAside::ALL {
            assert_eq!(SetAside::named(reason.name()), Some(*reason));
        }
        for state in ReservationState::ALL {
            assert_eq!(ReservationState::named(state.name()), Some(*state));
        }
    }
}
