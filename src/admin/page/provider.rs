//! The provider on the page: its APIs, the token and the catalog.

use maud::{Markup, html};

use super::facts::{Facts, Provider, Token};
use super::parts::{ago, breaker, chip, share};
use super::times::{age, lasting, moment};

/// Above everything else: all that follows is about no account.
pub(super) fn simulated() -> Markup {
    html! {
        p.notice.look {
            "The provider is simulated (" code { "transatel.provider" } "): nothing is bought, and no SIM is real."
        }
    }
}

pub(super) fn apis(provider: &Provider) -> Markup {
    html! {
        section {
            h2 { "Transatel" }
            table {
                caption { "Failed requests; a refusal is an answer and no failure" }
                thead {
                    tr {
                        th scope="col" { "API" }
                        th scope="col" { "Breaker" }
                        th.number scope="col" { "Last " (lasting(provider.window)) }
                        th.number scope="col" { "Since the start" }
                    }
                }
                tbody {
                    @for api in &provider.apis {
                        tr {
                            td { (api.name.replace('_', " ")) }
                            td { @match api.breaker { Some(state) => (breaker(state)), None => "none" } }
                            td.number { (share(api.recent)) }
                            td.number { (share(api.total)) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn token_and_catalog(facts: &Facts) -> Markup {
    let (token, catalog) = (&facts.provider.token, &facts.catalog);
    html! {
        section {
            h2 { "Token and catalog" }
            dl {
                dt { "Token" } dd { (token_state(token, facts)) }
                @if let Some(granted) = token.granted {
                    dt { "Granted" } dd { (ago(Some(granted), facts.at, "")) }
                }
                dt { "Last failure" }
                dd {
                    @match &token.failed {
                        None => "none since the start",
                        Some(failure) => { (failure.why) ", " (age(failure.at, facts.at)) " ago" }
                    }
                }
                dt { "Catalog" }
                dd {
                    @if catalog.loaded.is_none() { (chip("look", "Not loaded")) }
                    @else { (catalog.products) " products" }
                    @if catalog.dropped > 0 { ", " (catalog.dropped) " not readable" }
                }
                dt { "Loaded" } dd { (ago(catalog.loaded, facts.at, "never")) }
                dt { "Failed loads" } dd { (catalog.failed_loads) " since the start" }
            }
        }
    }
}

fn token_state(token: &Token, facts: &Facts) -> Markup {
    let failing = token.failed.as_ref().filter(|failure| !failure.over);
    html! {
        @match (failing, token.expires) {
            (Some(_), _) => (chip("bad", "Not granted")),
            (None, None) => "none needed yet",
            (None, Some(expires)) if expires <= facts.at => "expired; the next request asks for another",
            (None, Some(expires)) => {
                (chip("good", "Valid")) " for " (lasting(expires.duration_since(facts.at).try_into().unwrap_or_default()))
                " (" (moment(expires)) ")"
            }
        }
    }
}
