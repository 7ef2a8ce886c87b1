//! The account's SIMs.

/// The status of a SIM, spelt as the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimStatus {
    /// Delivered, not usable yet.
    Loaded,
    /// In stock.
    Available,
    /// Ready for its first network attach.
    PreActivated,
    /// In a test period.
    TestMode,
    /// In use.
    Active,
    /// Suspended by us.
    Suspended,
    /// In sleep mode.
    TariffHoliday,
    /// Barred by the provider.
    OperatorBarred,
    /// Ended for good.
    Terminated,
}

impl SimStatus {
    /// Whether some order type is accepted in this status.
    pub(super) fn takes_orders(self) -> bool {
        matches!(self, Self::PreActivated | Self::Active)
    }
}

#[derive(Debug)]
pub(super) struct Stock {
    seed: u64,
    sims: u32,
}

impl Stock {
    pub(super) fn new(seed: u64, sims: u32) -> Self {
        Self { seed, sims }
    }

    pub(super) fn status_by_msisdn(&self, msisdn: &str) -> Option<SimStatus> {
        let number: u32 = msisdn
            .strip_prefix("88247")
            .filter(|rest| rest.len() == 10)?
            .parse()
            .ok()?;
        if number == 0 || number > self.sims {
            return None;
        }
        let spread = (u64::from(number) ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
        Some(match (number, spread % 8) {
            (1, _) => SimStatus::PreActivated,
            (2, _) => SimStatus::Active,
            (_, 0..=3) => SimStatus::PreActivated,
            (_, 4..=6) => SimStatus::Active,
            _ => SimStatus::Suspended,
        })
    }
}
