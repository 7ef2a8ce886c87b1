//! What can be changed of a subscription and of a SIM, and which operations
//! have to be enabled for an account.

use std::collections::BTreeMap;
use std::fmt;

use super::{Iccid, Msisdn, SimStatus};

/// What can be done with a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionAction {
    /// Let it end with its period.
    CancelRenewal,
    /// End it immediately.
    Terminate,
}

/// A change of a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimChange {
    /// The number that the SIM had when the change was requested.
    pub msisdn: Msisdn,
    /// The card.
    pub iccid: Iccid,
    /// The requested change.
    pub terms: SimTerms,
}

/// The content of a request to change a SIM. Two requests with the same id must
/// agree in all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimTerms {
    /// What changes.
    pub action: SimAction,
    /// The SIM's plan; `None` for the configured one.
    pub plan: Option<String>,
}

/// What can be done with a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimAction {
    /// Put into service.
    Activate,
    /// Switch off temporarily.
    Suspend,
    /// Switch on again.
    Reactivate,
    /// End permanently.
    Terminate,
    /// Change its labels.
    Update(Labels),
    /// Move its line to another card.
    Swap {
        /// The other card.
        new_iccid: Iccid,
    },
}

/// What the provider's documents say of an operation and a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicability {
    /// It applies.
    Applies,
    /// It cannot: the SIM is so already, has ended, or can only be put into
    /// service.
    Impossible,
    /// They say nothing: the provider decides.
    Undocumented,
}

impl SimAction {
    /// Whether it applies to a SIM of this status.
    pub fn applies_to(&self, status: SimStatus) -> Applicability {
        use Applicability::{Applies, Impossible, Undocumented};
        use SimStatus::{Active, Available, Barred, OnHold, Preactivated, Suspended, Terminated, Test};
        match (self, status) {
            (Self::Activate, Available | Preactivated)
            | (Self::Suspend, Active)
            | (Self::Reactivate, Suspended)
            | (Self::Terminate, Preactivated | Active | Suspended)
            | (Self::Update(_), Preactivated | Active | Suspended | Test | OnHold | Barred)
            | (Self::Swap { .. }, Active | Suspended) => Applies,
            (Self::Activate | Self::Reactivate, Active | Terminated)
            | (Self::Suspend, Suspended | Terminated | Available)
            | (Self::Reactivate, Available)
            | (Self::Terminate, Terminated | Available) => Impossible,
            (Self::Activate, Suspended | Test | OnHold | Barred)
            | (Self::Suspend, Preactivated | Test | OnHold | Barred)
            | (Self::Reactivate, Preactivated | Test | OnHold | Barred)
            | (Self::Terminate, Test | OnHold | Barred)
            | (Self::Update(_), Available | Terminated)
            | (Self::Swap { .. }, Available | Preactivated | Terminated | Test | OnHold | Barred) => {
                Undocumented
            }
        }
    }

    /// Those that carry nothing but what they do.
    pub const PLAIN: [Self; 4] = [Self::Activate, Self::Suspend, Self::Reactivate, Self::Terminate];

    /// The labels that it changes.
    pub fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Update(labels) => Some(labels),
            _ => None,
        }
    }

    /// The card that it moves the line to.
    pub fn new_iccid(&self) -> Option<&Iccid> {
        match self {
            Self::Swap { new_iccid } => Some(new_iccid),
            _ => None,
        }
    }
}

/// Labels of a SIM; absent ones are not changed, an empty group or reference is
/// cleared. They may describe a person: `Debug` prints none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Group.
    pub group: Option<String>,
    /// The company's own reference.
    pub reference: Option<String>,
    /// Free-form entries; an empty value deletes its key.
    pub metadata: BTreeMap<String, String>,
}

impl Labels {
    /// Those that it clears as a whole, by the names of their fields.
    pub fn cleared(&self) -> impl Iterator<Item = &'static str> {
        [("group", &self.group), ("reference", &self.reference)]
            .into_iter()
            .filter(|(_, label)| label.as_deref() == Some(""))
            .map(|(name, _)| name)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels")
            .field("group", &self.group.is_some())
            .field("reference", &self.reference.is_some())
            .field("metadata", &self.metadata.len())
            .finish()
    }
}

/// Operations that not every account has, by the names of their RPCs. They are
/// off unless enabled; buying is always on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionalOperation {
    /// `CancelRenewal`
    CancelRenewal,
    /// `TerminateSubscription`
    TerminateSubscription,
    /// `ActivateSim`
    ActivateSim,
    /// `SuspendSim`
    SuspendSim,
    /// `ReactivateSim`
    ReactivateSim,
    /// `TerminateSim`
    TerminateSim,
    /// `UpdateSim`
    UpdateSim,
    /// `SwapSim`
    SwapSim,
}

impl OptionalOperation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::CancelRenewal,
        Self::TerminateSubscription,
        Self::ActivateSim,
        Self::SuspendSim,
        Self::ReactivateSim,
        Self::TerminateSim,
        Self::UpdateSim,
        Self::SwapSim,
    ];

    /// The RPC.
    pub fn name(self) -> &'static str {
        match self {
            Self::CancelRenewal => "CancelRenewal",
            Self::TerminateSubscription => "TerminateSubscription",
            Self::ActivateSim => "ActivateSim",
            Self::SuspendSim => "SuspendSim",
            Self::ReactivateSim => "ReactivateSim",
            Self::TerminateSim => "TerminateSim",
            Self::UpdateSim => "UpdateSim",
            Self::SwapSim => "SwapSim",
        }
    }

    /// Whether it changes a SIM rather than a subscription.
    pub fn is_of_sims(self) -> bool {
        !matches!(self, Self::CancelRenewal | Self::TerminateSubscription)
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The operation that has to be enabled for this change of a subscription.
    pub fn of_subscription(action: SubscriptionAction) -> Self {
        match action {
            SubscriptionAction::CancelRenewal => Self::CancelRenewal,
            SubscriptionAction::Terminate => Self::TerminateSubscription,
        }
    }

    /// The operation that has to be enabled for this change of a SIM.
    pub fn of_sim(action: &SimAction) -> Self {
        match action {
            SimAction::Activate => Self::ActivateSim,
            SimAction::Suspend => Self::SuspendSim,
            SimAction::Reactivate => Self::ReactivateSim,
            SimAction::Terminate => Self::TerminateSim,
            SimAction::Update(_) => Self::UpdateSim,
            SimAction::Swap { .. } => Self::SwapSim,
        }
    }
}

/// Longest name of a plan, in characters, as the provider documents it.
pub const LONGEST_PLAN: usize = 50;
/// Longest name of a group, in characters. The provider publishes no limit.
pub const LONGEST_GROUP: usize = 100;
/// Most entries of metadata in one update.
pub const MOST_METADATA: usize = 10;
/// Longest metadata key, in characters.
pub const LONGEST_METADATA_KEY: usize = 50;
/// Longest metadata value, in characters. The provider publishes no limit.
pub const LONGEST_METADATA_VALUE: usize = 255;
