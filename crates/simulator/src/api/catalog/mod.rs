//! OCS Catalog: filters in, JSON out.
//!
//! A list answer is put together for each request from parts that are written
//! once per language.

pub(crate) mod render;

use std::collections::HashSet;

use http::StatusCode;
use jiff::Timestamp;

use crate::{
    http::{problem::Problem, reply::Reply, request::Call},
    world::{
        catalog::{
            Entry, eligibility,
            eligibility::{Eligibility, Standing},
            locale::Locale,
            product::{Category, Product},
        },
        provider::Provider,
    },
};

/// What a list request asks for.
#[derive(Debug, Default)]
struct Filter {
    categories: Vec<Category>,
    child_of: Option<String>,
    tags: Vec<String>,
    include_unavailable: bool,
    /// Ids, when the path names some.
    ids: Option<HashSet<String>>,
}

impl Filter {
    fn of(call: &Call) -> Result<Self, Problem> {
        let categories = call
            .all("categories")
            .map(|text| {
                // One value per parameter: a comma list is no category either.
                Category::parse(text)
                    .ok_or_else(|| Problem::bad_request(format!("'categories' cannot be '{text}'")))
            })
            .collect::<Result<_, _>>()?;
        let include_unavailable = match call.one("availabilityStatus")? {
            None | Some("AVAILABLE") => false,
            Some("ALL") => true,
            Some(other) => {
                let detail = format!("'availabilityStatus' cannot be '{other}'");
                return Err(Problem::bad_request(detail));
            }
        };
        Ok(Self {
            categories,
            child_of: call.one("childOf")?.map(str::to_owned),
            tags: call.all("tags").map(str::to_owned).collect(),
            include_unavailable,
            ids: None,
        })
    }

    fn admits(&self, product: &Product, now: Timestamp) -> bool {
        let hidden = product
            .oddity
            .is_some_and(crate::world::catalog::oddities::Oddity::hides_category);
        let category_fits =
            self.categories.is_empty() || (!hidden && self.categories.contains(&product.category));
        category_fits
            && (self.include_unavailable || product.availability.at(now))
            && self
                .child_of
                .as_ref()
                .is_none_or(|parent| product.parents.contains(parent))
            && self
                .tags
                .iter()
                .all(|wanted| product.tags().any(|tag| tag == wanted))
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&product.id))
    }

    /// Whether everything is wanted: only then do elements show that are no products.
    fn is_open(&self) -> bool {
        self.categories.is_empty() && self.child_of.is_none() && self.tags.is_empty() && self.ids.is_none()
    }
}

/// `GET /cos/{cosRef}/products`.
pub(crate) fn list_products(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_cos(provider, call)?;
    let filter = Filter::of(call)?;
    let (body, _) = write_list(provider, call, &filter)?;
    Ok(Reply::rendered(body))
}

/// `GET /cos/{cosRef}/products/{productId[,productId…]}`.
pub(crate) fn get_products(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_cos(provider, call)?;
    let ids = call.argument(1).split(',').map(str::to_owned).collect();
    let filter = Filter {
        ids: Some(ids),
        ..Filter::of(call)?
    };
    let (body, count) = write_list(provider, call, &filter)?;
    if count == 0 {
        Err(Problem::product_not_found())
    } else {
        Ok(Reply::rendered(body))
    }
}

/// The whole answer and how many products are in it.
fn write_list(provider: &Provider, call: &Call, filter: &Filter) -> Result<(String, usize), Problem> {
    let subscriber = subscriber(provider, call)?;
    let locale = render::locale(call);
    let now = provider.clock.now();
    // Room for all products, which is what is usually asked for.
    let expected = if filter.ids.is_some() {
        2 * 1024
    } else {
        provider.catalog.len() * 1400
    };
    let mut out = String::with_capacity(expected);
    out.push_str("{\"cos\":");
    out.push_str(&serde_json::Value::from(provider.identity.cos.as_str()).to_string());
    out.push_str(",\"currentLocale\":\"");
    out.push_str(locale.tag());
    out.push_str("\",\"links\":[],\"products\":[");
    let mut count = 0;
    provider.catalog.each(|entry| {
        let before = out.len();
        if count > 0 {
            out.push(',');
        }
        if write_entry(&mut out, entry, filter, locale, now, subscriber.as_ref()) {
            count += 1;
        } else {
            out.truncate(before);
        }
    });
    out.push_str("]}");
    Ok((out, count))
}

/// Appends an entry if the filter admits it.
fn write_entry(
    out: &mut String,
    entry: &Entry,
    filter: &Filter,
    locale: Locale,
    now: Timestamp,
    subscriber: Option<&Standing>,
) -> bool {
    match entry {
        Entry::Raw(text) => {
            out.push_str(text);
            filter.is_open()
        }
        Entry::Product {
            product,
            has_add_ons,
            unchanging,
        } => {
            if !filter.admits(product, now) {
                return false;
            }
            let eligibility = subscriber.map_or(Eligibility::Unasked, |status| {
                eligibility::of(product, status, now)
            });
            let write = || render::unchanging(product, *has_add_ons, locale).into();
            let Some(unchanging) = unchanging.get(locale.index()).map(|cell| cell.get_or_init(write)) else {
                return false;
            };
            let held = subscriber.is_some_and(|sim| sim.holds(&product.id));
            render::write_product(out, product, unchanging, now, &eligibility, held);
            true
        }
    }
}

/// The SIM that `msisdn` names.
fn subscriber(provider: &Provider, call: &Call) -> Result<Option<Standing>, Problem> {
    let standing = |msisdn| {
        provider
            .with_subscriber(msisdn, |sim, _| sim.standing())
            .ok_or_else(Problem::subscriber_not_found)
    };
    call.msisdn()?.map(standing).transpose()
}

/// `GET /cos/{cosRef}/options`: the offer has none, so the object is empty.
pub(crate) fn list_options(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_cos(provider, call)?;
    let body = serde_json::json!({ "cos": provider.identity.cos, "options": {} });
    Ok(Reply::json(StatusCode::OK, &body))
}

/// `GET /cos/{cosRef}/options/{option}`.
pub(crate) fn get_option(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    require_cos(provider, call)?;
    match call.argument(1) {
        "dataSafeguard" | "overspendSafeguard" | "paymentSafeguard" => Err(Problem::option_not_found()),
        _ => Err(Problem::not_found()),
    }
}

/// A COS of another account looks like a missing permission, not like a missing COS.
fn require_cos(provider: &Provider, call: &Call) -> Result<(), Problem> {
    if call.argument(0) != provider.identity.cos {
        return Err(Problem::insufficient_permission(
            "This account may not use this COS",
        ));
    }
    if !provider.settings.load().catalog_published {
        return Err(Problem::catalog_not_found());
    }
    Ok(())
}
