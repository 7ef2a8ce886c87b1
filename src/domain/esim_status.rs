//! The status of an eSIM profile.

/// The provider's eight states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EsimStatus {
    /// Created, in stock.
    Available,
    /// Reserved.
    Allocated,
    /// Can be downloaded.
    Released,
    /// Downloaded to a device.
    Downloaded,
    /// Installed on a device.
    Installed,
    /// Switched on.
    Enabled,
    /// Switched off.
    Disabled,
    /// Deleted from its device.
    Deleted,
}

impl EsimStatus {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Available,
        Self::Allocated,
        Self::Released,
        Self::Downloaded,
        Self::Installed,
        Self::Enabled,
        Self::Disabled,
        Self::Deleted,
    ];

    /// Its name in the log of events.
    pub fn name(self) -> &'static str {
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
}
