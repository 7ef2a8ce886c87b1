//! Why a control call cannot do what it is asked.

use crate::world::stock::status::{ProfileStatus, SimStatus};

/// Why a call of the control API could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// No SIM of the stock has this number, MSISDN or ICCID.
    #[error("the stock has no such SIM")]
    UnknownSim,
    /// The SIM has no such subscription, or it has ended already.
    #[error("the SIM has no such live subscription")]
    UnknownSubscription,
    /// The simulator knows no such country.
    #[error("unknown country")]
    UnknownCountry,
    /// The catalog has no such product.
    #[error("unknown product")]
    UnknownProduct,
    /// The SIM's status does not allow it.
    #[error("the SIM is {}", .0.as_str())]
    Status(SimStatus),
    /// The eSIM profile's status does not allow it.
    #[error("the eSIM profile is {}", .0.as_str())]
    Profile(ProfileStatus),
    /// The SIM is a physical one.
    #[error("the SIM has no eSIM profile")]
    Physical,
    /// The SIM has never been in a network.
    #[error("the SIM has never attached")]
    NeverAttached,
    /// There is no such transaction, or it has ended already.
    #[error("no such pending transaction")]
    UnknownTransaction,
    /// Events cannot be sent to this address.
    #[error("the receiver must be a plain HTTP URL")]
    Receiver,
}
