//! One step of a fault script.

use serde::{Deserialize, Serialize};

use super::Fault;

/// One step of a script: a fault and how often it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
    /// Whether the request is really carried out before the fault hits its answer.
    #[serde(default)]
    pub commit: bool,
    /// How many requests it is for; 1 when not given.
    #[serde(default = "once")]
    pub repeat: u32,
    /// Whether it is for every request from now on, whatever `repeat` says.
    #[serde(default)]
    pub forever: bool,
}

fn once() -> u32 {
    1
}

impl From<Fault> for Step {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            commit: false,
            repeat: 1,
            forever: false,
        }
    }
}

impl Step {
    /// The same step for this many requests.
    pub fn times(self, repeat: u32) -> Self {
        Self { repeat, ..self }
    }

    /// The same step for every request, until faults are cleared.
    pub fn forever(self) -> Self {
        Self {
            forever: true,
            ..self
        }
    }
}
