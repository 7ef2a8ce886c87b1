//! A provider whose answers are wrong in one place, at every place of every
//! answer that is read: whatever else they say is still shown, and nothing
//! about money is decided by what was not understood.

mod answers;
#[path = "../../tests/it/support/mutation.rs"]
mod mutation;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mutation::{Mutation, mutations};

/// What is understood of an answer, by name.
type Facts = BTreeMap<String, String>;

/// An answer of one of the provider's APIs.
struct Answer {
    name: &'static str,
    sample: String,
    /// What it says; `None` when it is refused as a whole.
    read: fn(&[u8]) -> Option<Facts>,
    /// Places and the facts that depend on them, by the beginnings of their
    /// names; `*` is everything. A place that ends with `$` stands for itself
    /// and for what it is a part of, any other for its parts too. What is not
    /// listed changes nothing.
    dependencies: &'static [(&'static str, &'static [&'static str])],
    /// What must not be concluded.
    judge: fn(&Mutation, &Facts, Option<&Facts>),
    /// What holds for any bytes.
    any: fn(&[u8]),
    at_least: usize,
}

impl Answer {
    /// Whether a fact may change with this place.
    fn depends(&self, fact: &str, at: &str) -> bool {
        let is_part = |part: &str, whole: &str| {
            part.strip_prefix(whole)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // Another document, or none.
        at.is_empty()
            || self.dependencies.iter().any(|(place, facts)| {
                let concerned = match place.strip_suffix('$') {
                    Some(place) => is_part(place, at),
                    None => is_part(place, at) || is_part(at, place),
                };
                concerned && facts.iter().any(|own| *own == "*" || fact.starts_with(own))
            })
    }

    /// What is wrong with how a mutation was read.
    fn lost(&self, mutation: &Mutation, original: &Facts) -> Option<String> {
        let read = (self.read)(&mutation.body);
        (self.judge)(mutation, original, read.as_ref());
        (self.any)(&mutation.body);
        // Then nothing is wrong with it; a list may have an element twice.
        let is_right = match mutation.kind {
            "byte order mark" | "blanks" => true,
            "twice, equal" => !mutation.at.ends_with(|last: char| last.is_ascii_digit()),
            _ => false,
        };
        let is_whole = is_right && (mutation.at.is_empty() || !self.depends("", &mutation.at));
        let empty = Facts::new();
        let said = read.as_ref().unwrap_or(&empty);
        let lost = original.iter().find(|(fact, value)| {
            said.get(*fact) != Some(value) && (is_whole || !self.depends(fact, &mutation.at))
        });
        lost.map(|(fact, value)| {
            let now = said.get(fact);
            format!(
                "{} at {:?}: {fact} was {value} and is {now:?}",
                mutation.kind, mutation.at
            )
        })
    }
}

/// No answer takes longer to read, also in a build without optimizations.
const LONGEST: Duration = Duration::from_secs(2);

#[test]
fn one_wrong_place_hides_nothing_else_and_decides_nothing_about_money() {
    let mut all = 0;
    let mut faults = Vec::new();
    for answer in answers::all() {
        let original = (answer.read)(answer.sample.as_bytes()).unwrap_or_else(|| panic!("{}", answer.name));
        let mutations = mutations(&answer.sample);
        for mutation in &mutations {
            let started = Instant::now();
            let lost = catch_unwind(AssertUnwindSafe(|| answer.lost(mutation, &original)));
            let lost =
                lost.unwrap_or_else(|_| Some(format!("{} at {:?}: see above", mutation.kind, mutation.at)));
            faults.extend(lost.map(|lost| format!("{}: {lost}", answer.name)));
            assert!(
                started.elapsed() < LONGEST,
                "{}: {} at {}",
                answer.name,
                mutation.kind,
                mutation.at
            );
        }
        let count = mutations.len();
        println!("{}: {count}", answer.name);
        assert!(count >= answer.at_least, "{}: only {count}", answer.name);
        all += count;
    }
    assert!(faults.is_empty(), "{} of {all}: {:#?}", faults.len(), &faults);
    assert!(all >= 5_000, "only {all}");
}
