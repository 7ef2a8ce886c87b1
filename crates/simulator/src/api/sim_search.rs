//! SIM Search: the stock by page.
//!
//! A search by ICCID or MSISDN looks at one SIM; any other goes through all.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    http::{problem::Problem, reply::Reply, request::Call},
    world::{
        clock::{after, iso},
        provider::Provider,
        stock::{
            ids::SimNumber,
            sim::{Listing, Sim},
            status::SimStatus,
        },
    },
};

const LARGEST_PAGE: usize = 10_000;
const USUAL_PAGE: usize = 50;

/// A filter on one member: `eq:value` or `in:a+b`.
#[derive(Debug, Default)]
struct Wanted(Option<Vec<String>>);

impl Wanted {
    fn of(call: &Call, name: &str) -> Result<Self, Problem> {
        let Some(text) = call.one(name)? else {
            return Ok(Self(None));
        };
        let values = match text.split_once(':') {
            Some(("eq", value)) => vec![value.to_owned()],
            // The separator is a plus sign, which decodes to a space unless the client escaped it.
            Some(("in", values)) => values.split(['+', ' ']).map(str::to_owned).collect(),
            _ => {
                return Err(Problem::bad_request(format!(
                    "'{name}' needs an operator, such as eq:"
                )));
            }
        };
        if values
            .iter()
            .any(|value| value.is_empty() || value.contains(char::is_whitespace))
        {
            return Err(Problem::bad_request(format!(
                "'{name}' has an empty or malformed value"
            )));
        }
        Ok(Self(Some(values)))
    }

    fn admits(&self, value: Option<&str>) -> bool {
        self.0
            .as_ref()
            .is_none_or(|wanted| value.is_some_and(|value| wanted.iter().any(|w| w == value)))
    }
}

#[derive(Debug)]
struct Search {
    serial: Wanted,
    msisdn: Wanted,
    status: Wanted,
    group: Wanted,
    account: Wanted,
    page: usize,
    size: usize,
}

impl Search {
    fn of(call: &Call) -> Result<Self, Problem> {
        let number = |name: &str, usual: usize, most: usize| match call.one(name)? {
            None => Ok(usual),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| Problem::bad_request(format!("'{name}' must be from 1 to {most}"))),
        };
        let mut msisdn = Wanted::of(call, "msisdn")?;
        // Records show a plus sign; a filter may have it or not.
        for value in msisdn.0.iter_mut().flatten() {
            if let Some(digits) = value.strip_prefix('+') {
                *value = digits.to_owned();
            }
        }
        Ok(Self {
            serial: Wanted::of(call, "simSerial")?,
            msisdn,
            status: Wanted::of(call, "status")?,
            group: Wanted::of(call, "group")?,
            account: Wanted::of(call, "mvnoRef")?,
            page: number("page", 1, usize::MAX)?,
            size: number("size", USUAL_PAGE, LARGEST_PAGE)?,
        })
    }

    /// The SIMs that can be meant.
    fn candidates(&self, provider: &Provider) -> Vec<SimNumber> {
        let stock = &provider.stock;
        let by = |wanted: &Wanted, find: &dyn Fn(&str) -> Option<SimNumber>| {
            let values = wanted.0.as_ref()?;
            let mut numbers: Vec<_> = values.iter().filter_map(|value| find(value)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            Some(numbers)
        };
        by(&self.serial, &|serial| stock.by_iccid(serial))
            .or_else(|| by(&self.msisdn, &|msisdn| stock.by_msisdn(msisdn)))
            .unwrap_or_else(|| stock.numbers().collect())
    }

    fn admits(&self, provider: &Provider, sim: &Sim, status: SimStatus) -> bool {
        self.serial.admits(Some(&sim.iccid()))
            && self.msisdn.admits(Some(&sim.number.msisdn()))
            && self.status.admits(Some(status.as_str()))
            && self.group.admits(sim.group.as_deref())
            && self.account.admits(Some(&provider.identity.mvno_ref))
    }
}

/// `GET /sim-search/api/sim/search`.
pub(crate) fn search_sims(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let search = Search::of(call)?;
    let lag = provider.settings.load().search_lag;
    let begin = search.size.saturating_mul(search.page - 1);
    let end = begin.saturating_add(search.size);
    let mut found = 0_usize;
    let mut sims = Vec::new();
    for number in search.candidates(provider) {
        provider.with_sim(number, |sim, now| {
            let status = known_status(sim, lag, now);
            if search.admits(provider, sim, status) {
                if (begin..end).contains(&found) {
                    sims.push(render(provider, sim, status));
                }
                found += 1;
            }
        });
    }
    let body = json!({ "sims": sims, "totalPages": found.div_ceil(search.size) });
    Ok(Reply::json(StatusCode::OK, &body))
}

/// The status that the search index has by now.
fn known_status(sim: &Sim, lag: std::time::Duration, now: Timestamp) -> SimStatus {
    if after(sim.status_since, lag) <= now {
        sim.status
    } else {
        sim.status_before
    }
}

fn render(provider: &Provider, sim: &Sim, status: SimStatus) -> Value {
    let mut record = json!({ "simSerial": sim.iccid() });
    if sim.listing == Listing::SerialOnly {
        return record;
    }
    let Some(members) = record.as_object_mut() else {
        return record;
    };
    let mut insert = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let word = match sim.listing {
        Listing::Shouted => status.as_str().replace(['-', '_'], "").to_uppercase(),
        Listing::Usual | Listing::SerialOnly => status.as_str().to_owned(),
    };
    insert("msisdn", json!(format!("+{}", sim.number.msisdn())));
    insert("status", json!(word));
    insert("mvnoRef", json!(provider.identity.mvno_ref));
    insert("ratePlan", json!(provider.identity.rate_plan));
    if let Some(group) = &sim.group {
        insert("group", json!(group));
    }
    if provider.settings.load().operations.labels_shown {
        if let Some(reference) = &sim.external_reference {
            insert("externalReference", json!(reference));
        }
        insert("metadata", json!(sim.metadata));
    }
    if let Some(at) = sim.activated_at {
        insert("activationDate", json!(iso(at)));
    }
    if let Some(profile) = &sim.profile {
        insert("lastEsimProfileStatus", json!(profile.status.as_str()));
        insert("lastEsimProfileDate", json!(iso(profile.changed_at)));
    }
    if let Some((at, country)) = sim.last_seen {
        insert("lastSeenDate", json!(iso(at)));
        insert("lastOriginCountry", json!(country.alpha3));
    }
    record
}
