//! Why a write was refused, or needs an operator.

use super::ProviderDetail;

/// Why a write was refused, or what an operator has to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For programs.
    pub reason: Reason,
    /// What the provider said.
    pub provider: ProviderDetail,
}

impl From<Reason> for Failure {
    /// Of the gateway's own: the provider said nothing about it.
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            provider: ProviderDetail::default(),
        }
    }
}

impl Failure {
    /// For people; holds no identifier of a SIM.
    pub fn message(&self) -> String {
        let code = self.provider.code.as_deref();
        let because = code.map_or_else(String::new, |code| format!(" ({code})"));
        format!("{}{because}", self.reason.text())
    }
}

/// Why the provider refuses a write, or why its outcome cannot be determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It does not know the SIM.
    SimNotFound,
    /// It does not know the product.
    ProductNotFound,
    /// The SIM's status does not allow it.
    SimStatusNotEligible,
    /// The product may not be put on this SIM.
    ProductNotEligible,
    /// The account has too little credit.
    InsufficientFunds,
    /// The account does not have the operation.
    OperationNotEnabled,
    /// It is busy with another operation on the SIM.
    InProgress,
    /// The gateway's credentials do not suffice.
    CredentialsRejected,
    /// It does not understand what we sent.
    Protocol,
    /// Anything else.
    Rejected,
    /// Not a refusal: more than one subscription may have come of it, or what
    /// it changed cannot be seen.
    Ambiguous,
    /// Not a refusal: the inventory or the SIM could not be read for too long.
    Unreadable,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::SimNotFound,
        Self::ProductNotFound,
        Self::SimStatusNotEligible,
        Self::ProductNotEligible,
        Self::InsufficientFunds,
        Self::OperationNotEnabled,
        Self::InProgress,
        Self::CredentialsRejected,
        Self::Protocol,
        Self::Rejected,
        Self::Ambiguous,
        Self::Unreadable,
    ];

    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimNotFound => "sim_not_found",
            Self::ProductNotFound => "product_not_found",
            Self::SimStatusNotEligible => "sim_status_not_eligible",
            Self::ProductNotEligible => "product_not_eligible",
            Self::InsufficientFunds => "insufficient_funds",
            Self::OperationNotEnabled => "operation_not_enabled",
            Self::InProgress => "in_progress",
            Self::CredentialsRejected => "credentials_rejected",
            Self::Protocol => "protocol",
            Self::Rejected => "rejected",
            Self::Ambiguous => "ambiguous",
            Self::Unreadable => "unreadable",
        }
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Whether the provider refused the write.
    pub fn is_refusal(self) -> bool {
        !matches!(self, Self::Ambiguous | Self::Unreadable)
    }

    fn text(self) -> &'static str {
        match self {
            Self::SimNotFound => "the provider does not know the SIM",
            Self::ProductNotFound => "the provider has no such product for the SIM",
            Self::SimStatusNotEligible => "the SIM's status does not allow it",
            Self::ProductNotEligible => "the product may not be put on this SIM",
            Self::InsufficientFunds => "the company's account at the provider does not cover the price",
            Self::OperationNotEnabled => "the account does not have the operation",
            Self::InProgress => "the provider is busy with the SIM",
            Self::CredentialsRejected => "the provider does not let the gateway's credentials do this",
            Self::Protocol => "the provider did not understand the request",
            Self::Rejected => "the provider refused it",
            Self::Ambiguous => "its outcome cannot be determined",
            Self::Unreadable => "its outcome could not be read for too long",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.name()), Some(reason));
        }
    }
}
