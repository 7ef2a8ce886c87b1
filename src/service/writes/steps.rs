//! The steps of an order between which a process may die or be suspended.
//!
//! Nothing happens at them except in tests (`app::Seams`), which stop a gateway
//! at each step and kill it, or hold one back for longer than its lease.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// A step of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is written, nothing is read.
    BeforeReads,
    /// Everything is read, nothing is written.
    BeforeDurable,
    /// `SUBMITTING` is durable, nothing is sent.
    Durable,
    /// The first use was refused for the SIM's status, the order for a SIM in
    /// service is not sent yet.
    BetweenActivations,
    /// The provider has answered or timed out; nothing is recorded of it.
    Answered,
    /// The outcome is durable, the caller does not know it.
    Settled,
    /// An order of unknown outcome is going to be checked.
    BeforeCheck,
    /// The outcome was determined, nothing is recorded of it.
    Checked,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 8] = [
        Self::BeforeReads,
        Self::BeforeDurable,
        Self::Durable,
        Self::BetweenActivations,
        Self::Answered,
        Self::Settled,
        Self::BeforeCheck,
        Self::Checked,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeReads => "before_reads",
            Self::BeforeDurable => "before_durable",
            Self::Durable => "durable",
            Self::BetweenActivations => "between_activations",
            Self::Answered => "answered",
            Self::Settled => "settled",
            Self::BeforeCheck => "before_check",
            Self::Checked => "checked",
        }
    }
}

/// Hooks at the steps: nothing, except in tests. Cheap to clone.
#[derive(Clone, Default)]
pub struct Steps(Option<Arc<Reached>>);

type Reached = dyn Fn(Step) -> BoxFuture<'static, ()> + Send + Sync;

impl Steps {
    /// Waits at each step for the future that this returns.
    pub fn new(reached: impl Fn(Step) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(reached)))
    }

    /// Waits for the hook of a step.
    pub(super) async fn reached(&self, step: Step) {
        if let Some(reached) = &self.0 {
            reached(step).await;
        }
    }
}
