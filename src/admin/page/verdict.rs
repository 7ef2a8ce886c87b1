//! The three questions of a night, answered from the facts: is it us, is it them,
//! is money stuck. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::facts::{Api, Breaker, Facts, NotRead, Requests};
use super::times::{age, lasting};

/// An order that has been checked for longer than this is worth a look.
const LONG: Duration = Duration::from_secs(15 * 60);

/// So many requests have to fail before their share says anything.
const FEW: u64 = 3;

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub level: Level,
    /// Why; never empty.
    pub reasons: Vec<String>,
}

/// An answer, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is wrong.
    No,
    /// Something deserves a look.
    Perhaps,
    /// It cannot be said.
    NotKnown,
    /// Something is wrong.
    Yes,
}

impl Level {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "No",
            Self::Perhaps => "Perhaps",
            Self::NotKnown => "Not known",
            Self::Yes => "Yes",
        }
    }
}

/// All three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// The gateway, its ledger or its credentials.
    pub us: Verdict,
    /// The provider.
    pub them: Verdict,
    /// Orders without an outcome.
    pub money: Verdict,
}

/// Judges the facts.
pub fn judge(facts: &Facts) -> Verdicts {
    Verdicts {
        us: us(facts),
        them: them(facts),
        money: money(facts),
    }
}

/// What has been found so far.
#[derive(Default)]
struct Findings(Vec<(Level, String)>);

impl Findings {
    fn add(&mut self, level: Level, reason: impl Into<String>) {
        self.0.push((level, reason.into()));
    }

    /// The worst first.
    fn verdict(mut self, otherwise: &str) -> Verdict {
        self.0.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        let level = self.0.first().map_or(Level::No, |(level, _)| *level);
        if self.0.is_empty() {
            self.add(Level::No, otherwise);
        }
        let reasons = self.0.into_iter().map(|(_, reason)| reason).collect();
        Verdict { level, reasons }
    }
}

/// The provider refuses the credentials: they are ours.
fn is_refusal(why: &str) -> bool {
    why.len() == 3 && why.starts_with('4') && why != "429"
}

fn us(facts: &Facts) -> Verdict {
    let mut found = Findings::default();
    if let Some(reason) = &facts.not_ready {
        found.add(Level::Yes, format!("Not ready: {reason}."));
    }
    for failing in &facts.ledger.failing {
        found.add(
            Level::Yes,
            format!(
                "The ledger fails ({}, {}) for {}: {} failures.",
                failing.access,
                failing.why,
                lasting(failing.since),
                failing.failures
            ),
        );
    }
    match &facts.stored {
        Ok(_) | Err(NotRead::NotOpen) => {}
        Err(problem) => found.add(Level::Yes, sentence(problem)),
    }
    if let Some(failure) = &facts.provider.token.failed
        && !failure.over
        && is_refusal(&failure.why)
    {
        found.add(
            Level::Yes,
            format!("Transatel refuses our credentials ({}): no token.", failure.why),
        );
    }
    if facts.process.certificate_unusable {
        found.add(Level::Perhaps, "The certificate files cannot be used.");
    }
    let ours: Vec<String> = facts
        .calls
        .failed
        .iter()
        .filter(|reason| reason.ours)
        .map(|reason| format!("{} {}", reason.calls, reason.name))
        .collect();
    if !ours.is_empty() {
        let window = lasting(facts.calls.window);
        let list = ours.join(", ");
        found.add(
            Level::Perhaps,
            format!("Calls failed by our fault in the last {window}: {list}."),
        );
    }
    found.verdict("Ready, and no call failed by our fault lately.")
}

fn them(facts: &Facts) -> Verdict {
    let mut found = Findings::default();
    let window = lasting(facts.provider.window);
    for api in &facts.provider.apis {
        let name = &api.name;
        match api.breaker {
            Some(Breaker::Open) => found.add(
                Level::Yes,
                format!("The breaker of \"{name}\" is open: nothing is sent there."),
            ),
            Some(Breaker::HalfOpen) => found.add(
                Level::Perhaps,
                format!("The breaker of \"{name}\" is half open: a few requests are sent, to try."),
            ),
            Some(Breaker::Closed) | None => {}
        }
        let Requests { sent, failed } = api.recent;
        if failed >= FEW && failed * 20 >= sent {
            let level = if failed * 2 >= sent {
                Level::Yes
            } else {
                Level::Perhaps
            };
            found.add(
                level,
                format!("\"{name}\" failed {failed} of {sent} requests in the last {window}."),
            );
        }
    }
    if let Some(failure) = &facts.provider.token.failed
        && !failure.over
        && !is_refusal(&failure.why)
    {
        found.add(
            Level::Yes,
            format!("Transatel grants no token ({}).", failure.why),
        );
    }
    let any = |requests: fn(&Api) -> Requests| facts.provider.apis.iter().any(|api| requests(api).sent > 0);
    if any(|api| api.recent) {
        found.verdict("Transatel answers, and no breaker is open.")
    } else if any(|api| api.total) {
        found.verdict(&format!(
            "Nothing was sent in the last {window}, and no breaker is open."
        ))
    } else {
        found.add(Level::NotKnown, "Nothing has been sent to Transatel yet.");
        found.verdict("")
    }
}

fn money(facts: &Facts) -> Verdict {
    let mut found = Findings::default();
    if facts.calls.without_funds > 0 {
        let window = lasting(facts.calls.window);
        found.add(
            Level::Yes,
            format!(
                "The account is empty: {} refused in the last {window}.",
                facts.calls.without_funds
            ),
        );
    }
    match &facts.stored {
        Err(problem) => found.add(Level::NotKnown, sentence(problem)),
        Ok(stored) => {
            let number = |state: &str| -> u64 {
                let counts = stored.counts.iter().filter(|count| count.state == state);
                counts.map(|count| count.number).sum()
            };
            match number("needs_operator") {
                0 => {}
                1 => found.add(Level::Yes, "1 needs an operator."),
                several => found.add(Level::Yes, format!("{several} need an operator.")),
            }
            let open = number("unknown") + number("submitting");
            let oldest = stored.unsettled.first().and_then(|oldest| oldest.since);
            if let Some(oldest) = oldest.filter(|oldest| is_long_ago(*oldest, facts.at)) {
                let age = age(oldest, facts.at);
                found.add(
                    Level::Perhaps,
                    format!("{open} not settled, the oldest for {age}; the gateway checks by itself."),
                );
            }
        }
    }
    if let Some(orders) = facts.events.orders_without_event.filter(|orders| *orders > 0) {
        found.add(
            Level::Perhaps,
            format!("{orders} placed without an event of Transatel in time."),
        );
    }
    found.verdict("Nothing needs an operator, and nothing has been open for long.")
}

fn is_long_ago(then: Timestamp, now: Timestamp) -> bool {
    now.duration_since(then) > LONG.try_into().unwrap_or_default()
}

/// Why it is not known what the ledger holds.
pub fn sentence(problem: &NotRead) -> String {
    match problem {
        NotRead::NotOpen => "The ledger is not open yet.".into(),
        NotRead::NoAnswer(within) => format!("The ledger did not answer within {}.", lasting(*within)),
        NotRead::Failed(why) => format!("The ledger cannot be read ({why})."),
    }
}
