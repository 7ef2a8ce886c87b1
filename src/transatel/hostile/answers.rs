//! The answers, what they say, and what depends on what.

mod catalog;
mod events;
mod inventory;
mod orders;
mod sims;

use serde_json::json;

use super::{Answer, Facts, Mutation};
use crate::transatel::client::token::Granted;
use crate::transatel::{fuzzing, lenient};

const ICCID: &str = "8988247000000000019";
const REFERENCE: &str = "0190b3a4-0000-7000-8000-000000000001";

/// Edits after which a value is the same.
const SAME: [&str; 3] = ["twice, equal", "byte order mark", "blanks"];

pub(super) fn all() -> [Answer; 15] {
    [
        token(),
        catalog::catalog(),
        catalog::eligibility(),
        catalog::eligibility_of_one(),
        inventory::subscriptions(),
        sims::search(),
        sims::subscriber(),
        sims::esim(),
        orders::order(),
        orders::accepted(),
        orders::transaction(),
        orders::refusal_of_today(),
        orders::refusal_of_old(),
        events::event_of_a_subscription(),
        events::event_of_a_sim(),
    ]
}

fn fact(facts: &mut Facts, name: impl Into<String>, value: impl std::fmt::Debug) {
    facts.insert(name.into(), format!("{value:?}"));
}

fn anything(_: &Mutation, _: &Facts, _: Option<&Facts>) {}

/// Whether a fact is as it was, or absent.
fn is_kept_or_none(name: &str, was: &Facts, is: Option<&Facts>) -> bool {
    let is = is.and_then(|is| is.get(name));
    is.is_none_or(|is| is == "None" || Some(is) == was.get(name))
}

fn token() -> Answer {
    Answer {
        name: "token",
        sample: json!({
            "access_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "token_type": "bearer",
            "expires_in": 3600, "scope": "ocs catalog", "jti": "b5f0",
        })
        .to_string(),
        read: |body| {
            let loaded = lenient::record::<Granted>(body).ok()?.token()?;
            let mut facts = Facts::new();
            fact(&mut facts, "token", loaded.value.authorization().as_bytes());
            fact(&mut facts, "lifetime", loaded.value.grant().lifetime);
            fact(&mut facts, "scopes", &loaded.value.grant().scopes);
            Some(facts)
        },
        dependencies: &[
            ("/access_token", &["*"]),
            ("/expires_in", &["lifetime"]),
            ("/scope", &["scopes"]),
        ],
        judge: |mutation, _, is| {
            let is_empty = ["empty", "blank"].contains(&mutation.kind) && mutation.at == "/access_token";
            assert!(!(is_empty && is.is_some()), "an empty token is used");
        },
        any: fuzzing::token,
        at_least: 100,
    }
}

/// Edits that put another text, which is understood, in place of a text.
fn is_another_text(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "unknown word"
            | "other case"
            | "very long"
            | "negative"
            | "blank"
            | "byte order mark inside"
            | "trailing NUL inside"
            | "trailing line"
    )
}
