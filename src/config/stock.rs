//! `[stock]`: SIMs that are reserved and sold one by one.

use std::time::Duration;

use super::reader::{Reader, SECOND};

/// SIMs that are reserved and sold one by one.
#[derive(Clone, Copy, Debug)]
pub struct Stock {
    /// For how long a SIM is reserved when the request does not say.
    pub reserve_for: Duration,
}

impl Stock {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            reserve_for: reader.duration("stock.reserve_for", SECOND),
        }
    }
}
