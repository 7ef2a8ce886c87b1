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
