//! Whether a SIM may get a product.

/// How an eligible product would be added to the SIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In addition to what the SIM has.
    Add,
    /// Replacing the current recurring product, at its next renewal.
    ScheduledSwitch,
}

/// What the provider says about one product on one SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An order would be accepted now.
    Eligible {
        /// How; `None` when the provider does not say.
        mode: Option<Mode>,
    },
    /// An order would be refused.
    NotEligible {
        /// The provider's code, or `PRODUCT_NOT_FOUND`. May be empty.
        code: String,
        /// The provider's text. May be empty.
        message: String,
    },
}

/// Reason code of a product that the provider does not offer to the SIM.
pub const PRODUCT_NOT_FOUND: &str = "PRODUCT_NOT_FOUND";

/// The verdict on one requested product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// As requested.
    pub product_id: String,
    /// What the provider says.
    pub verdict: Verdict,
}
