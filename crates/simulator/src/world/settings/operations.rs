//! How connectivity operations go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration_text;

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ends well: `asyncStatus` becomes `DONE`, and only then the SIM changes.
    #[default]
    Finish,
    /// It ends badly: `asyncStatus` becomes `ERROR`, and nothing changes.
    Fail,
    /// It has failed from the first: `syncStatus` is `ERROR` while `asyncStatus` stays `PENDING`.
    Reject,
    /// It stays pending until a control call ends it.
    Hang,
}

/// How connectivity operations go for this account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationSettings {
    /// Whether operations are configured on the account; without, they answer 501 `NOT_IMPLEMENTED`.
    pub configured: bool,
    /// How long a transaction is pending.
    #[serde(with = "duration_text")]
    pub delay: Duration,
    /// What becomes of transactions that begin from now on, when no control call says otherwise.
    pub outcome: Outcome,
    /// Whether an accepted operation is answered 202. The provider's overview names 201 and 202.
    pub answers_accepted: bool,
    /// The member of the answer that says `PENDING`. `transactionStatus` is documented; one integrator reads `status`.
    pub status_member: String,
    /// Whether `ratePlan` must be given. All but one integrator send it.
    pub rate_plan_required: bool,
    /// Whether SIM Search shows a SIM's `externalReference` and `metadata`, and connectivity the first. Documented is
    /// only the metadata of connectivity.
    pub labels_shown: bool,
    /// Whether a Pre-Activated SIM is refused as not ready when it shall be activated, as one integrator has seen.
    pub preactivated_not_ready: bool,
}

impl Default for OperationSettings {
    fn default() -> Self {
        Self {
            configured: true,
            delay: Duration::from_secs(1),
            outcome: Outcome::Finish,
            answers_accepted: false,
            status_member: "transactionStatus".to_owned(),
            rate_plan_required: true,
            labels_shown: true,
            preactivated_not_ready: false,
        }
    }
}

/// What a control call has decided over the next operation of a SIM: its outcome, and after what time.
pub(crate) type Decided = (Outcome, Duration);
