//! When and how the inventory shows a subscription.
//!
//! Only what an order placed can be late; what the stock has, what is granted
//! and what comes with a first attach shows at once. The inventory alone is
//! late: balances, events and the control API tell the truth at once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{duration_text, world::clock::after};

/// When the inventory shows what an order placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// So long after the order, by the simulator's clock.
    After(#[serde(with = "duration_text")] Duration),
    /// When the inventory of its SIM is shown by a control call.
    Held,
    /// Never.
    Never,
}

/// What is wrong with an element of the inventory on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// `subscriptionId` is missing.
    NoId,
    /// `subscriptionId` is `null`.
    NullId,
    /// `subscriptionId` is a number.
    NumberId,
    /// `subscriptionId` is an object.
    ObjectId,
    /// The element is a text, not an object.
    NoObject,
}

impl Oddity {
    /// The element with this wrong in it.
    pub(crate) fn distort(self, mut element: Value) -> Value {
        const ID: &str = "subscriptionId";
        let Some(members) = element.as_object_mut() else {
            return element;
        };
        match self {
            Self::NoId => {
                members.remove(ID);
            }
            Self::NullId => {
                members.insert(ID.to_owned(), Value::Null);
            }
            Self::NumberId => {
                let digits = members.get(ID).and_then(Value::as_str).map_or(0, number);
                members.insert(ID.to_owned(), json!(digits));
            }
            Self::ObjectId => {
                let id = members.remove(ID);
                members.insert(ID.to_owned(), json!({ "value": id }));
            }
            Self::NoObject => return json!("unavailable"),
        }
        element
    }
}

/// A number that is the same for the same id, and that a float can hold.
fn number(id: &str) -> u64 {
    let digits = uuid::Uuid::try_parse(id).map_or(0, |id| id.as_u64_pair().1);
    digits & ((1 << 53) - 1)
}

/// How the inventory shows what one order places, in place of the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Showing {
    /// When it shows; as the settings say when missing.
    pub visibility: Option<Visibility>,
    /// What is wrong with it; as the settings say when missing.
    pub oddity: Option<Oddity>,
}

impl Showing {
    /// It shows so long after the order.
    pub fn after(lag: Duration) -> Self {
        Self::from(Visibility::After(lag))
    }

    /// It shows when the inventory of its SIM is shown by a control call.
    pub fn held() -> Self {
        Self::from(Visibility::Held)
    }

    /// It never shows.
    pub fn never() -> Self {
        Self::from(Visibility::Never)
    }

    /// The same with something wrong in it.
    #[must_use]
    pub fn with(self, oddity: Oddity) -> Self {
        Self {
            oddity: Some(oddity),
            ..self
        }
    }
}

impl From<Visibility> for Showing {
    fn from(visibility: Visibility) -> Self {
        Self {
            visibility: Some(visibility),
            oddity: None,
        }
    }
}

/// How the inventory shows what orders place from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventorySettings {
    /// How long after its order a subscription shows, by the simulator's clock.
    #[serde(with = "duration_text")]
    pub lag: Duration,
    /// What is wrong with the elements of new subscriptions.
    pub oddity: Option<Oddity>,
}

/// Whether the inventory shows a subscription by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    #[default]
    Always,
    From(Timestamp),
    OnRelease,
    Never,
}

impl Shown {
    /// Of a subscription that an order places at `now`.
    pub(crate) fn of_order(visibility: Visibility, now: Timestamp) -> Self {
        match visibility {
            Visibility::After(lag) if lag.is_zero() => Self::Always,
            Visibility::After(lag) => Self::From(after(now, lag)),
            Visibility::Held => Self::OnRelease,
            Visibility::Never => Self::Never,
        }
    }

    pub(crate) fn by(self, now: Timestamp) -> bool {
        match self {
            Self::Always => true,
            Self::From(at) => at <= now,
            Self::OnRelease | Self::Never => false,
        }
    }

    /// Holds back what would show by itself later.
    pub(crate) fn hold(&mut self, now: Timestamp) {
        if matches!(self, Self::From(at) if *at > now) {
            *self = Self::OnRelease;
        }
    }

    /// Shows what is late or held back, and says whether it was. What never shows stays hidden.
    pub(crate) fn release(&mut self, now: Timestamp) -> bool {
        let hidden = !self.by(now) && *self != Self::Never;
        if hidden {
            *self = Self::Always;
        }
        hidden
    }
}
