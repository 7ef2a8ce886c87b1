//! Whose orders, operations on SIMs, reservations and events a call may see.

use std::collections::BTreeMap;

use super::Caller;

/// What a call may see. What belongs to nobody only [`All`](Self::All) sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// What this caller requested.
    Own(String),
}

impl Scope {
    /// Whether what this caller requested may be seen.
    pub fn admits(&self, caller: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Own(own) => caller == Some(own),
        }
    }

    /// The only caller whose requests may be seen; `None` for all.
    pub fn only(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Own(own) => Some(own),
        }
    }

    /// Narrows a filter by caller. `None` when nothing can fit both.
    pub fn narrow(&self, caller: Option<String>) -> Option<Option<String>> {
        match (self, caller) {
            (Self::All, caller) => Some(caller),
            (Self::Own(own), Some(caller)) if *own != caller => None,
            (Self::Own(own), _) => Some(Some(own.clone())),
        }
    }
}

/// Who makes a request.
#[derive(Clone, Debug, Default)]
pub struct Requester {
    /// The caller, when that is known.
    pub caller: Option<String>,
    /// What it may see.
    pub scope: Scope,
}

/// The scopes of all callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Whether callers see only what they requested, by name.
    pub named: BTreeMap<Caller, bool>,
    /// The same of callers that are not named.
    pub others: bool,
}

impl Scopes {
    /// Whether some caller sees only what it requested.
    pub fn limit_any(&self) -> bool {
        self.others || self.named.values().any(|is_own| *is_own)
    }

    /// What a caller may see. `None` for one without a name that would see only
    /// what it requested.
    pub fn of(&self, caller: Option<&Caller>) -> Option<Scope> {
        let is_own = caller.and_then(|caller| self.named.get(caller));
        match (is_own.unwrap_or(&self.others), caller) {
            (false, _) => Some(Scope::All),
            (true, Some(caller)) => Some(Scope::Own(caller.to_string())),
            (true, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_its_own_scope_or_that_of_the_others() {
        let caller = |name| Caller::parse(name).unwrap();
        let (shop, support) = (caller("shop"), caller("support"));
        let named = BTreeMap::from([(shop.clone(), true), (support.clone(), false)]);
        let own = |name: &str| Some(Scope::Own(name.to_owned()));
        let open = Scopes {
            named: named.clone(),
            others: false,
        };
        let closed = Scopes { named, others: true };
        for (scopes, caller, expected) in [
            (&open, Some(&shop), own("shop")),
            (&open, Some(&support), Some(Scope::All)),
            (&open, Some(&caller("other")), Some(Scope::All)),
            (&open, None, Some(Scope::All)),
            (&closed, Some(&shop), own("shop")),
            (&closed, Some(&support), Some(Scope::All)),
            (&closed, Some(&caller("other")), own("other")),
            (&closed, None, None),
        ] {
            assert_eq!(scopes.of(caller), expected, "{caller:?}");
        }
        assert!(open.limit_any() && closed.limit_any() && !Scopes::default().limit_any());
    }

    #[test]
    fn an_own_scope_sees_nothing_of_others_and_nothing_of_nobody() {
        let own = Scope::Own("shop".to_owned());
        let seen = [Some("shop"), Some("other"), None].map(|caller| own.admits(caller));
        assert_eq!(seen, [true, false, false]);
        let narrowed = |caller: Option<&str>| own.narrow(caller.map(str::to_owned));
        assert_eq!(narrowed(None), Some(Some("shop".to_owned())));
        assert_eq!(narrowed(Some("shop")), Some(Some("shop".to_owned())));
        assert_eq!(narrowed(Some("other")), None);
    }
}
