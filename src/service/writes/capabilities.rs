//! What the settings enable, as a caller can read it.

use std::sync::Arc;

use super::Writes;
use crate::domain::change::OptionalOperation;
use crate::domain::limits::Limits;

/// What a caller may do besides calling methods.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Buys add-ons.
    pub add_ons: bool,
    /// What its orders must not exceed.
    pub limits: Option<Arc<Limits>>,
}

impl Writes {
    /// Those of a caller.
    pub fn capabilities(&self, caller: Option<&str>) -> Capabilities {
        Capabilities {
            add_ons: self.inner.provider.can_order_add_ons(),
            limits: self.inner.limits.of(caller),
        }
    }

    /// Whether the settings enable a method of the Provisioning service.
    pub fn is_method_enabled(&self, method: &str) -> bool {
        let provider = &self.inner.provider;
        match OptionalOperation::named(method) {
            Some(operation) => {
                provider.is_enabled(operation) && (operation.is_of_sims() || provider.can_order())
            }
            None => method != "CreateOrder" || provider.can_order(),
        }
    }
}
