//! Facts → HTML. Pure, and escaped by construction: `maud` escapes whatever is put
//! between the tags, and only the style is put in as it is.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::facts::{Calls, Facts, Kind, Ledger, Open, Stored};
use super::parts::{ago, chip};
use super::provider;
use super::times::{age, clock, lasting, moment};
use super::verdict::{Level, Verdict, Verdicts, judge, sentence};

/// The only style of the page; its hash is in the policy that comes with it.
pub const STYLE: &str = include_str!("style.css");

/// The page asks for itself again this often.
const REFRESH_SECONDS: u32 = 30;

/// How a command is run in the gateway's container.
const IN_CONTAINER: &str = "kubectl exec deployment/NAME -- /transatel-gateway";
const SETTINGS: &str = "--config /etc/transatel-gateway/config/gateway.toml";

/// The whole page.
pub fn page(facts: &Facts) -> String {
    let Verdicts { us, them, money } = judge(facts);
    let title = format!(
        "Us: {}. Them: {}. Money: {}.",
        us.level.word(),
        them.level.word(),
        money.level.word()
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { (title) " transatel-gateway" @if facts.provider.simulated { ", simulated" } }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "transatel-gateway" }
                    p { (facts.process.version) " · up " (lasting(facts.process.uptime)) " · " (moment(facts.at)) }
                }
                @if facts.provider.simulated { (provider::simulated()) }
                main {
                    div.verdicts {
                        (verdict("Is it us?", &us))
                        (verdict("Is it them?", &them))
                        (verdict("Is money stuck?", &money))
                    }
                    @if let Ok(stored) = &facts.stored { (needs_operator(stored, facts.at)) }
                    (provider::apis(&facts.provider))
                    div.columns {
                        (orders(facts))
                        (provider::token_and_catalog(facts))
                        (ledger(&facts.ledger, facts.at))
                        (events(facts))
                    }
                    (calls(&facts.calls, facts.at))
                    (process(facts))
                }
                footer {
                    "This replica only, except for what the ledger holds. Read-only; asks again every "
                    (REFRESH_SECONDS) " s."
                }
            }
        }
    };
    page.into_string()
}

fn class(level: Level) -> &'static str {
    match level {
        Level::No => "good",
        Level::Perhaps => "look",
        Level::NotKnown => "open",
        Level::Yes => "bad",
    }
}

fn verdict(question: &str, verdict: &Verdict) -> Markup {
    let class = class(verdict.level);
    html! {
        section.verdict.{ "is-" (class) } {
            h2 { (question) " " (chip(class, verdict.level.word())) }
            ul { @for reason in &verdict.reasons { li { (reason) } } }
        }
    }
}

fn since(open: &Open, now: Timestamp) -> String {
    open.since
        .map_or_else(|| "not known".into(), |since| format!("for {}", age(since, now)))
}

/// What a write does, and the command that shows it.
fn kind(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Purchase => ("purchase", "orders"),
        Kind::Subscription => ("change of a subscription", "orders"),
        Kind::Sim => ("change of a SIM", "operations"),
        Kind::Other => ("not readable", "orders"),
    }
}

/// States as callers know them.
fn state(state: &str) -> String {
    state.to_uppercase()
}

/// What an operator has to settle, with the commands for it.
fn needs_operator(stored: &Stored, now: Timestamp) -> Markup {
    if stored.needs_operator.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Needs an operator" }
            @for open in &stored.needs_operator {
                @let (what, command) = kind(open.kind);
                p { (what) " " @if let Some(id) = &open.id { code { (id) } " " } (since(open, now)) }
                @if let Some(id) = &open.id {
                    code.command { (IN_CONTAINER) " " (command) " show " (id) " " (SETTINGS) }
                }
            }
            @if stored.needs_operator.iter().any(|open| open.id.is_none()) {
                p.soft { "The ids are not shown here. They are listed by:" }
                code.command { (IN_CONTAINER) " orders list --needs-operator " (SETTINGS) }
                code.command { (IN_CONTAINER) " operations list --needs-operator " (SETTINGS) }
            }
        }
    }
}

fn orders(facts: &Facts) -> Markup {
    html! {
        section {
            h2 { "Orders and operations" }
            @match &facts.stored {
                Err(problem) => p { (chip("open", "Not known")) " " (sentence(problem)) },
                Ok(stored) => {
                    (counts(stored))
                    @if stored.unsettled.is_empty() {
                        p.soft { "None is waiting for its outcome." }
                    } @else {
                        (unsettled(&stored.unsettled, facts.at))
                    }
                }
            }
        }
    }
}

fn counts(stored: &Stored) -> Markup {
    html! {
        @if stored.counts.is_empty() { p.soft { "The ledger is empty." } } @else {
            table {
                thead { tr { th scope="col" { "What" } th scope="col" { "State" } th.number scope="col" { "Number" } } }
                tbody {
                    @for count in &stored.counts {
                        tr {
                            td { (kind(count.kind).0) }
                            td { (state(&count.state)) }
                            td.number { (count.number) }
                        }
                    }
                }
            }
        }
    }
}

fn unsettled(open: &[Open], now: Timestamp) -> Markup {
    html! {
        table.stack {
            caption { "Oldest that are not settled" }
            tbody {
                @for open in open {
                    tr {
                        td { @match &open.id { Some(id) => code { (id) }, None => (kind(open.kind).0) } }
                        td { (state(&open.state)) }
                        td.number { (since(open, now)) }
                    }
                }
            }
        }
    }
}

fn ledger(ledger: &Ledger, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Ledger" }
            dl {
                dt { "State" }
                dd {
                    @if ledger.connections.is_none() { (chip("open", "Not open")) }
                    @else if ledger.failing.is_empty() { (chip("good", "Works")) }
                    @for failing in &ledger.failing {
                        p {
                            (chip("bad", "Fails")) " " (failing.access) ", " (failing.why) ", for " (lasting(failing.since))
                        }
                    }
                }
                dt { "Last read" } dd { (ago(ledger.read_at, now, "none yet")) }
                dt { "Last write" } dd { (ago(ledger.written_at, now, "none yet")) }
                dt { "Connections" }
                dd {
                    @match ledger.connections {
                        None => "none",
                        Some(connections) => {
                            (connections.used) " used, " (connections.idle) " idle, " (connections.max) " at most, "
                            (connections.waiting) " waiting"
                        }
                    }
                }
            }
        }
    }
}

fn events(facts: &Facts) -> Markup {
    let stored = facts.stored.as_ref().ok();
    html! {
        section {
            h2 { "Events" }
            dl {
                dt { "Followers" } dd { (facts.events.followers) }
                dt { "Last number" }
                dd { @match stored { Some(stored) => (stored.last_event), None => "not known" } }
                dt { "Last from Transatel" }
                dd {
                    @match stored {
                        Some(stored) => (ago(stored.last_received, facts.at, "none yet")),
                        None => "not known",
                    }
                }
                dt { "Orders without an event" }
                dd {
                    @match facts.events.orders_without_event { Some(orders) => (orders), None => "not known" }
                }
                dt { "Posts since the start" } dd { (posts(&facts.events.received)) }
            }
        }
    }
}

/// What came to the webhook, by what became of it.
fn posts(received: &[(String, u64)]) -> String {
    let some = received.iter().filter(|(_, number)| *number > 0);
    let list: Vec<_> = some
        .map(|(outcome, number)| format!("{number} {}", outcome.replace('_', " ")))
        .collect();
    if list.is_empty() {
        "none".into()
    } else {
        list.join(", ")
    }
}

fn calls(calls: &Calls, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Failed calls" }
            @if calls.failed.is_empty() {
                p.soft { "None in the last " (lasting(calls.window)) "." }
            } @else {
                table.stack {
                    caption { "By reason, in the last " (lasting(calls.window)) }
                    tbody {
                        @for reason in &calls.failed {
                            tr {
                                td { (reason.name) }
                                td { @if reason.ours { (chip("look", "Our fault")) } }
                                td.number { (reason.calls) }
                            }
                        }
                    }
                }
            }
            @if !calls.last.is_empty() {
                table.stack {
                    caption { "The last " (calls.last.len()) }
                    tbody {
                        @for call in &calls.last {
                            tr {
                                td { (clock(call.at)) " (" (age(call.at, now)) ")" }
                                td { (call.method.trim_start_matches("connectivity.v1.")) }
                                td { (call.reason) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn process(facts: &Facts) -> Markup {
    let process = &facts.process;
    html! {
        section {
            h2 { "Process" }
            dl {
                dt { "Version" } dd { (process.version) }
                dt { "Revision" } dd { code { (process.revision) } }
                dt { "Started" } dd { (lasting(process.uptime)) " ago" }
                dt { "Readiness" }
                dd {
                    @match &facts.not_ready {
                        None => (chip("good", "Ready")),
                        Some(reason) => { (chip("bad", "Not ready")) " " (reason) }
                    }
                }
                @if let Some(expires) = process.certificate_expires {
                    dt { "Certificate" }
                    dd {
                        @if process.certificate_unusable { (chip("look", "Files unusable")) " " }
                        "expires " (moment(expires))
                    }
                }
            }
        }
    }
}
