//! The steps of an order between which a process may die. Tests stop a real
//! gateway at each of them and kill it; in a build without the simulator
//! nothing is left of this.

/// A moment in the life of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is written, nothing is read.
    BeforeReads,
    /// Everything is read, nothing is written.
    BeforeDurable,
    /// `SUBMITTING` is durable, nothing is sent.
    Durable,
    /// The first activation was refused, the other one is not sent yet.
    BetweenActivations,
    /// The provider has answered, or has not in time; nothing is written of
    /// it.
    Answered,
    /// The outcome is durable, the caller does not know it.
    Settled,
    /// An order of unknown outcome is going to be looked for.
    BeforeCheck,
    /// What became of it was found out, nothing is written of it.
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

    /// Its name in `GATEWAY_STOP_AT`.
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

/// Stops here for good when the process was told to.
#[cfg(feature = "sandbox")]
pub(super) async fn reached(step: Step) {
    use std::sync::LazyLock;

    static STOP_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("GATEWAY_STOP_AT").ok());
    if STOP_AT.as_deref() == Some(step.name()) {
        tracing::warn!(step = step.name(), "stopped at a step, as GATEWAY_STOP_AT asks");
        std::future::pending::<()>().await;
    }
}

/// Nothing.
#[cfg(not(feature = "sandbox"))]
pub(super) async fn reached(_step: Step) {}
