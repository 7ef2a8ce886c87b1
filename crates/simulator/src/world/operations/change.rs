//! What can be done to a subscriber, and from which status.

use crate::world::stock::status::SimStatus;

/// One operation of Connectivity Management.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Activate,
    Modify,
    Suspend,
    Reactivate,
    Terminate,
    SwapSim,
}

impl Change {
    /// The last part of its URL.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Modify => "modify",
            Self::Suspend => "suspend",
            Self::Reactivate => "reactivate",
            Self::Terminate => "terminate",
            Self::SwapSim => "sim-swap",
        }
    }

    /// The status that the operation leads to, or why there is none.
    pub(crate) fn leads_from(
        self,
        status: SimStatus,
        preactivated_not_ready: bool,
    ) -> Result<SimStatus, String> {
        use SimStatus::{
            Active, Available, Loaded, OperatorBarred, PreActivated, Suspended, TariffHoliday, Terminated,
            TestMode,
        };
        match (self, status) {
            (Self::Activate, PreActivated) if preactivated_not_ready => {
                Err("SIM card is not ready for activation".to_owned())
            }
            (Self::Activate, Loaded) => Err("SIM card is not ready for activation".to_owned()),
            (Self::Activate, Available | PreActivated) | (Self::Reactivate, Suspended) => Ok(Active),
            (Self::Suspend, Active) => Ok(Suspended),
            (
                Self::Terminate,
                PreActivated | TestMode | Active | Suspended | TariffHoliday | OperatorBarred,
            ) => Ok(Terminated),
            (Self::Modify, PreActivated | TestMode | Active | Suspended | TariffHoliday | OperatorBarred)
            | (Self::SwapSim, Active | Suspended) => Ok(status),
            (
                Self::Activate
                | Self::Modify
                | Self::Suspend
                | Self::Reactivate
                | Self::Terminate
                | Self::SwapSim,
                _,
            ) => Err(format!(
                "The operation is not possible for a subscriber that is {}",
                status.as_str()
            )),
        }
    }
}

/// Whether a SIM can take the place of another: in stock, or ready for its first use.
pub(crate) fn can_replace(status: SimStatus) -> bool {
    matches!(status, SimStatus::Available | SimStatus::PreActivated)
}
