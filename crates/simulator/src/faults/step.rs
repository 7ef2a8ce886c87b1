//! One step of a fault script.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    faults::fault::{FAULTS, Fault},
    kinds,
};

/// One step of a script: a fault and how often it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Step {
    /// What happens.
    #[serde(flatten)]
    pub fault: Fault,
    /// Whether the request is really carried out before the fault hits its answer.
    pub commit: bool,
    /// How many requests it is for; 1 when not given.
    pub repeat: u32,
    /// Whether it is for every request from now on, whatever `repeat` says.
    pub forever: bool,
}

/// The members of a step beside those of its fault.
#[derive(Deserialize)]
#[serde(default)]
struct Use {
    commit: bool,
    repeat: u32,
    forever: bool,
}

impl Default for Use {
    fn default() -> Self {
        Self {
            commit: false,
            repeat: 1,
            forever: false,
        }
    }
}

impl TryFrom<Map<String, Value>> for Step {
    type Error = String;

    fn try_from(members: Map<String, Value>) -> Result<Self, String> {
        kinds::check("fault", FAULTS, &["commit", "repeat", "forever"], &members)?;
        let members = Value::Object(members);
        let Use {
            commit,
            repeat,
            forever,
        } = Use::deserialize(&members).map_err(|error| error.to_string())?;
        let fault = Fault::deserialize(members).map_err(|error| error.to_string())?;
        Ok(Self {
            fault,
            commit,
            repeat,
            forever,
        })
    }
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

impl Fault {
    /// One step with this fault, before the request is carried out.
    pub fn step(self) -> Step {
        Step::from(self)
    }

    /// One step in which the request is carried out first and the fault hits its answer.
    pub fn after_commit(self) -> Step {
        Step {
            commit: true,
            ..Step::from(self)
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
