//! The words for the state of a SIM and of its eSIM profile.

use serde::{Deserialize, Serialize};

/// The status of a SIM, spelt as the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SimStatus {
    /// Delivered, not usable yet.
    Loaded,
    /// In stock.
    Available,
    /// Ready for its first network attach.
    #[serde(rename = "Pre-Activated")]
    PreActivated,
    /// In a test period.
    TestMode,
    /// In use.
    Active,
    /// Suspended by us.
    Suspended,
    /// In sleep mode.
    #[serde(rename = "Tariff_Holiday")]
    TariffHoliday,
    /// Barred by the provider.
    #[serde(rename = "Operator_Barred")]
    OperatorBarred,
    /// Ended for good.
    Terminated,
}

impl SimStatus {
    /// The provider's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "Loaded",
            Self::Available => "Available",
            Self::PreActivated => "Pre-Activated",
            Self::TestMode => "TestMode",
            Self::Active => "Active",
            Self::Suspended => "Suspended",
            Self::TariffHoliday => "Tariff_Holiday",
            Self::OperatorBarred => "Operator_Barred",
            Self::Terminated => "Terminated",
        }
    }

    /// Whether some order type is accepted in this status.
    pub(crate) fn takes_orders(self) -> bool {
        matches!(self, Self::PreActivated | Self::Active)
    }
}

/// The status of an eSIM profile, spelt as the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileStatus {
    /// In the SM-DP+'s stock.
    Available,
    /// Set aside.
    Allocated,
    /// Can be downloaded with its activation code.
    Released,
    /// On its way to a device.
    Downloaded,
    /// On a device.
    Installed,
    /// In use on a device.
    Enabled,
    /// Switched off on a device.
    Disabled,
    /// Removed from its device.
    Deleted,
}

impl ProfileStatus {
    /// The provider's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Allocated => "allocated",
            Self::Released => "released",
            Self::Downloaded => "downloaded",
            Self::Installed => "installed",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }

    /// The way of a profile from the SM-DP+ to use on a device.
    pub(crate) const WAY: [Self; 6] = [
        Self::Available,
        Self::Allocated,
        Self::Released,
        Self::Downloaded,
        Self::Installed,
        Self::Enabled,
    ];
}
