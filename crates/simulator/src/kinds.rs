//! Words of the control API that decide which members stand beside them.
//!
//! One table each for faults and disturbances: what is accepted, what the help
//! page and the documentation say, and what a refusal names.

use serde_json::{Map, Value};

/// One word.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Names of its members; those that may be missing end in `?`.
    pub(super) members: &'static [&'static str],
    /// What happens.
    pub(super) what: &'static str,
}

impl Kind {
    pub(super) const fn new(
        name: &'static str,
        members: &'static [&'static str],
        what: &'static str,
    ) -> Self {
        Self { name, members, what }
    }

    /// The members without the marks.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().map(|member| member.trim_end_matches('?'))
    }
}

/// Refuses an object whose word in `tag` is unknown, or that has a member which does not go with it.
pub(super) fn check(
    tag: &str,
    kinds: &[Kind],
    common: &[&'static str],
    object: &Map<String, Value>,
) -> Result<(), String> {
    let known = || kinds.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let word = object
        .get(tag)
        .ok_or_else(|| format!("missing field `{tag}`, one of {}", known()))?;
    let kind = kinds
        .iter()
        .find(|kind| word == kind.name)
        .ok_or_else(|| format!("unknown {tag} {word}, expected one of {}", known()))?;
    let allowed: Vec<_> = kind.names().chain(common.iter().copied()).collect();
    match object
        .keys()
        .find(|name| *name != tag && !allowed.contains(&name.as_str()))
    {
        None => Ok(()),
        Some(unknown) if allowed.is_empty() => {
            Err(format!("unknown field `{unknown}`: {tag} {word} has no members"))
        }
        Some(unknown) => Err(format!(
            "unknown field `{unknown}`: the members of {tag} {word} are {}",
            allowed.join(", ")
        )),
    }
}
