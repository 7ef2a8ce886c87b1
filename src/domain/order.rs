//! An order of a bundle: what was wished, what became of it, and which states
//! may follow each other.
//!
//! ```text
//! SUBMITTING ─▶ PLACED | REJECTED | UNKNOWN
//! UNKNOWN    ─▶ PLACED | REJECTED | NOT_PLACED | NEEDS_OPERATOR
//! NOT_PLACED ─▶ PLACED | NEEDS_OPERATOR
//! any        ─▶ PLACED
//! ```
//!
//! `PLACED` is the provider's word, and it counts in every state, however late
//! it comes. `NOT_PLACED` is an opinion: nothing has shown so far. An operator
//! turns `NEEDS_OPERATOR` into `PLACED` or `NOT_PLACED`; a repeat turns
//! `NOT_PLACED` into `SUBMITTING`. Nothing is ever sent from any other state.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::act::Act;
use super::{Money, ProviderDetail, SimIds};

/// Longest reference of a caller, in characters.
pub const LONGEST_REFERENCE: usize = 100;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the hyphenated form, in any letter case.
            pub fn parse(text: &str) -> Option<Self> {
                // 36 characters: the other forms would be other texts for the
                // same id, and callers compare texts.
                (text.len() == 36).then(|| Uuid::try_parse(text).ok().map(Self))?
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Names an order for good: at the provider as `transactionReference`.
    /// Later orders have greater ids.
    OrderId
}

id! {
    /// The caller's name for one wish, however often it is repeated.
    RequestId
}

impl OrderId {
    /// A new one.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for OrderId {
    fn default() -> Self {
        Self::new()
    }
}

/// What a caller wants, apart from the SIM. Two requests with the same id
/// must agree in all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What is to be done.
    pub act: Act,
    /// The provider's product; empty for a change of the SIM itself.
    pub product_id: String,
    /// When the bundle is to begin; `None` leaves it to the gateway.
    pub activation: Option<Activation>,
    /// The caller's own; may be empty.
    pub reference: String,
    /// Nothing dearer is bought.
    pub max_price: Option<Money>,
}

impl Wish {
    /// Something to be done that takes no further words.
    pub fn to(act: Act) -> Self {
        Self {
            act,
            product_id: String::new(),
            activation: None,
            reference: String::new(),
            max_price: None,
        }
    }
}

/// When a bundle begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// When the SIM first uses data; the SIM stays pre-activated until then.
    OnFirstUse,
    /// On a SIM that is in service.
    Immediate,
}

impl Activation {
    /// The only alternative.
    pub fn other(self) -> Self {
        match self {
            Self::OnFirstUse => Self::Immediate,
            Self::Immediate => Self::OnFirstUse,
        }
    }
}

/// An order as callers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The gateway's id.
    pub id: OrderId,
    /// The caller's id.
    pub request_id: RequestId,
    /// The SIM, as resolved; the MSISDN is always there.
    pub sim: SimIds,
    /// What was asked for.
    pub wish: Wish,
    /// Who asked, when that is known.
    pub caller: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The bundle that came of it.
    pub subscription_id: Option<String>,
    /// The provider's reference of the order.
    pub provider_reference: Option<String>,
    /// Why it was refused, or why an operator has to look.
    pub failure: Option<Failure>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When the gateway looks again what became of it, while that is open.
    pub next_check_at: Option<Timestamp>,
}

impl Order {
    /// Whether a repeat sends once more what was found not to have been
    /// carried out. A change of a SIM may fail long after it was accepted, so
    /// that it is sent once for each id.
    pub fn may_be_sent_again(&self) -> bool {
        self.state.may_become(State::Submitting) && self.wish.act.on_sim().is_none()
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is being sent, or was when its process died.
    Submitting,
    /// Bought.
    Placed,
    /// Refused: nothing was bought.
    Rejected,
    /// Sent, and nobody knows yet whether it was bought.
    Unknown,
    /// Sent, and nothing of it has shown for as long as it should take. The
    /// provider's word still changes it.
    NotPlaced,
    /// The gateway cannot find out: a person has to.
    NeedsOperator,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Submitting,
        Self::Placed,
        Self::Rejected,
        Self::Unknown,
        Self::NotPlaced,
        Self::NeedsOperator,
    ];

    /// Its name in the ledger and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitting => "submitting",
            Self::Placed => "placed",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::NotPlaced => "not_placed",
            Self::NeedsOperator => "needs_operator",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether another order for the same SIM and product has to wait.
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Submitting | Self::Unknown | Self::NeedsOperator)
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Submitting, Self::Rejected | Self::Unknown)
                | (
                    Self::Unknown,
                    // A definite refusal may come after somebody else took
                    // the order over.
                    Self::Rejected | Self::NotPlaced | Self::NeedsOperator
                )
                | (Self::NotPlaced, Self::NeedsOperator | Self::Submitting)
                | (Self::NeedsOperator, Self::NotPlaced)
        ) || next == Self::Placed && self != Self::Placed
    }
}

/// Why an order was refused, or what an operator has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For programs.
    pub reason: Reason,
    /// The provider's words.
    pub provider: ProviderDetail,
}

impl Failure {
    /// For people; holds no identifier of a SIM.
    pub fn message(&self) -> String {
        let code = self.provider.code.as_deref();
        let because = code.map_or_else(String::new, |code| format!(" ({code})"));
        format!("{}{because}", self.reason.text())
    }
}

/// Why the provider refuses an order.
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
    /// The account is empty.
    InsufficientFunds,
    /// The account does not have the operation.
    OperationNotEnabled,
    /// It is busy with the same SIM.
    InProgress,
    /// Our credentials do not suffice.
    CredentialsRejected,
    /// It does not understand what we sent.
    Protocol,
    /// Anything else.
    Rejected,
    /// Not a refusal: more than one bundle, or none that can be told apart,
    /// may be this order's; or what it changed cannot be seen.
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

    fn text(self) -> &'static str {
        match self {
            Self::SimNotFound => "the provider knows no such SIM",
            Self::ProductNotFound => "the provider has no such product for the SIM",
            Self::SimStatusNotEligible => "the SIM's status does not allow it",
            Self::ProductNotEligible => "the product may not be put on this SIM",
            Self::InsufficientFunds => "the company's account at the provider does not cover the price",
            Self::OperationNotEnabled => "the account does not have the operation",
            Self::InProgress => "the provider is busy with the SIM",
            Self::CredentialsRejected => "the provider does not let the gateway's credentials do this",
            Self::Protocol => "the provider did not understand the request",
            Self::Rejected => "the provider refused it",
            Self::Ambiguous => "it cannot be told what came of it",
            Self::Unreadable => "what came of it could not be read for too long",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drawn_transitions_exist() {
        use State::*;
        let drawn = [
            (Submitting, Placed),
            (Submitting, Rejected),
            (Submitting, Unknown),
            (Unknown, Placed),
            (Unknown, Rejected),
            (Unknown, NotPlaced),
            (Unknown, NeedsOperator),
            (NotPlaced, Placed),
            (NotPlaced, NeedsOperator),
            (NotPlaced, Submitting),
            (NeedsOperator, Placed),
            (NeedsOperator, NotPlaced),
            (Rejected, Placed),
        ];
        for from in State::ALL {
            for to in State::ALL {
                assert_eq!(
                    from.may_become(to),
                    drawn.contains(&(from, to)),
                    "{from:?} {to:?}"
                );
            }
        }
    }

    #[test]
    fn names_lead_back() {
        for state in State::ALL {
            assert_eq!(State::named(state.name()), Some(state));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.name()), Some(reason));
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let text = "8C6F3B2E-6a0f-4d1e-9d3f-0c8d6f1a2b3c";
        let id = RequestId::parse(text).unwrap();
        assert_eq!(id.to_string(), text.to_lowercase());
        for text in [
            "",
            "8c6f3b2e6a0f4d1e9d3f0c8d6f1a2b3c",
            "{8c6f3b2e-6a0f-4d1e-9d3f-0c8d6f1a2b3c}",
            "x",
        ] {
            assert!(RequestId::parse(text).is_none(), "{text}");
        }
    }
}
