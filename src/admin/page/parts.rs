//! What several parts of the page are made of.

use jiff::Timestamp;
use maud::{Markup, html};

use super::facts::{Breaker, Requests};
use super::times::{age, clock};

/// A state in a word, and in a colour.
pub(super) fn chip(class: &str, word: &str) -> Markup {
    html! { span.chip.(class) { (word) } }
}

/// A moment and how long ago it was.
pub(super) fn ago(at: Option<Timestamp>, now: Timestamp, otherwise: &str) -> String {
    at.map_or_else(
        || otherwise.to_owned(),
        |at| format!("{} ago ({})", age(at, now), clock(at)),
    )
}

/// The state of a breaker.
pub(super) fn breaker(breaker: Breaker) -> Markup {
    match breaker {
        Breaker::Closed => chip("good", "Closed"),
        Breaker::HalfOpen => chip("look", "Half open"),
        Breaker::Open => chip("bad", "Open"),
    }
}

/// How many failed of how many.
pub(super) fn share(requests: Requests) -> String {
    let Requests { sent, failed } = requests;
    match (failed * 100).checked_div(sent) {
        None => "none".into(),
        Some(_) if failed == 0 => format!("0 of {sent}"),
        Some(percent) => format!("{failed} of {sent} ({percent}\u{a0}%)"),
    }
}
