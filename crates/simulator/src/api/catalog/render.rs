//! Products as JSON.
//!
//! What depends on the time or on the subscriber is written for each request;
//! the rest, which is most of it, is written once per language and copied.

use std::fmt::Write as _;

use http::header;
use jiff::Timestamp;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    http::request::Call,
    world::{
        catalog::{
            eligibility::{Eligibility, Mode},
            locale::Locale,
            product::{Category, Product},
        },
        clock::iso,
    },
};

/// The language that a request asks for.
pub(crate) fn locale(call: &Call) -> Locale {
    Locale::of(call.header(header::ACCEPT_LANGUAGE).unwrap_or_default())
}

/// What catalog and inventory both say of the product. Written once.
pub(crate) fn written(product: &Product) -> &RawValue {
    product.written.get_or_write(|| summary(product))
}

/// Appends a product: first what changes, then `unchanging`, which [`unchanging`] made.
pub(crate) fn write_product(
    out: &mut String,
    product: &Product,
    unchanging: &str,
    now: Timestamp,
    eligibility: &Eligibility,
    held: bool,
) {
    out.push_str("{\"availability\":{\"available\":");
    out.push_str(if product.availability.at(now) {
        "true"
    } else {
        "false"
    });
    for (name, at) in [
        ("startDate", product.availability.from),
        ("endDate", product.availability.until),
    ] {
        if let Some(at) = at {
            // Writing to a String cannot fail.
            let _ = write!(out, ",\"{name}\":\"{}\"", iso(at));
        }
    }
    out.push_str("},\"canSubscribe\":");
    match eligibility {
        Eligibility::Unasked => out.push_str("{\"allowed\":true}"),
        Eligibility::Allowed(Mode::Add) => out.push_str("{\"allowed\":true,\"mode\":\"add\"}"),
        Eligibility::Allowed(Mode::ScheduledSwitch) => {
            out.push_str("{\"allowed\":true,\"mode\":\"scheduled-switch\"}");
        }
        Eligibility::Refused { key, message } => {
            let _ = write!(
                out,
                "{{\"allowed\":false,\"errorKey\":\"{key}\",\"errorMessage\":{}}}",
                Value::from(*message)
            );
        }
    }
    out.push_str(",\"inventoryActive\":");
    out.push_str(if held { "true" } else { "false" });
    out.push_str(unchanging);
}

/// The members of a product that are the same for everyone, from the first comma to the closing brace.
pub(crate) fn unchanging(product: &Product, has_add_ons: bool, locale: Locale) -> String {
    let mut members = Map::new();
    if let Some(priority) = product.priority {
        members.insert(
            "display".to_owned(),
            json!({ "priority": priority, "shotMessage": label(product, locale) }),
        );
    }
    members.insert("hasSubProducts".to_owned(), json!(has_add_ons));
    members.insert("prices".to_owned(), prices(product));
    members.insert("productDefinition".to_owned(), definition(product, locale));
    if let Some(oddity) = product.oddity {
        oddity.apply(&mut members);
    }
    let object = Value::Object(members).to_string();
    // `{"a":…}` becomes `,"a":…}`.
    format!(",{}", object.strip_prefix('{').unwrap_or(&object))
}

fn prices(product: &Product) -> Value {
    let fee = |cents: i64| json!([[{ "currency": "EUR", "unit": "CENTS", "amount": cents }]]);
    let mut prices = json!({ "subscriptionFee": fee(product.price_cents) });
    if let (Some(renewal), Some(prices)) = (product.renewal_cents, prices.as_object_mut()) {
        prices.insert("renewalFee".to_owned(), fee(renewal));
    }
    prices
}

fn definition(product: &Product, locale: Locale) -> Value {
    let mut definition = match summary(product) {
        Value::Object(definition) => definition,
        _ => Map::new(),
    };
    definition.insert("description".to_owned(), description(product, locale));
    let zone = match locale {
        Locale::English => product.place.english(),
        Locale::French => product.place.french(),
    };
    definition.insert(
        "coverage".to_owned(),
        json!({ "type": product.place.coverage(), "zone": zone }),
    );
    if let Some(months) = product.months_to_first_use() {
        let period =
            json!({ "deferredActivationDuration": months, "deferredActivationDurationUnit": "months" });
        definition.insert("deferredActivationPeriod".to_owned(), period);
    }
    if product.unlimited {
        definition.insert("unlimited".to_owned(), json!(true));
    }
    if product.bestseller {
        definition.insert("bestseller".to_owned(), json!(true));
    }
    if !product.parents.is_empty() {
        definition.insert("parentProductIds".to_owned(), json!(product.parents));
    }
    if !product.networks.is_empty() {
        let networks: Vec<_> = product
            .networks
            .iter()
            .map(|networks| {
                let operators: Vec<_> = networks
                    .operators
                    .iter()
                    .map(|(name, generations)| json!({ "name": name, "networkTypes": generations }))
                    .collect();
                json!({ "country": networks.country.alpha3, "operators": operators })
            })
            .collect();
        definition.insert("networks".to_owned(), json!(networks));
    }
    Value::Object(definition)
}

/// What catalog and inventory both say of a product.
pub(crate) fn summary(product: &Product) -> Value {
    let mut validity = json!({
        "validityDuration": product.validity.count(),
        "validityDurationUnit": product.validity.unit(),
    });
    if let (Some(periods), Some(validity)) = (product.max_periods, validity.as_object_mut()) {
        validity.insert("maxOccurrences".to_owned(), json!(periods));
    }
    json!({
        "productId": product.id,
        "productCategory": product.category.as_str(),
        "tags": product.tags().collect::<Vec<_>>(),
        "countryList": product.countries.iter().map(|country| country.alpha3).collect::<Vec<_>>(),
        "validityPeriod": validity,
        "allowances": { "data": [{
            "resourceName": product.resource_name(),
            "resourceUnit": "KB",
            "resourceValue": product.data_kb,
            "resourceDuration": product.validity.count(),
            "resourceDurationUnit": product.validity.unit(),
        }] },
    })
}

fn label(product: &Product, locale: Locale) -> String {
    match locale {
        Locale::English => product.place.english().to_uppercase(),
        Locale::French => product.place.french().to_uppercase(),
    }
}

fn description(product: &Product, locale: Locale) -> Value {
    let count = product.validity.count();
    let gigabytes = product.data_kb / crate::world::catalog::product::KB_PER_GB;
    let euros = format!("{}.{:02}", product.price_cents / 100, product.price_cents % 100);
    let volume = match (product.unlimited, locale) {
        (true, Locale::English) => "unlimited".to_owned(),
        (true, Locale::French) => "illimité".to_owned(),
        (false, Locale::English) => format!("{gigabytes}GB"),
        (false, Locale::French) => format!("{gigabytes} Go"),
    };
    let (kind, period, details, price) = match locale {
        Locale::English => (
            match product.category {
                Category::OneOff => "One-off data plan",
                Category::Recurring => "Monthly data plan",
                Category::AddOn => "Data add-on",
            },
            format!("{count} {}(s)", product.validity.unit().trim_end_matches('s')),
            format!(
                "Starts with the first use in {}. Data only.",
                product.place.english()
            ),
            format!("EUR {euros}"),
        ),
        Locale::French => (
            match product.category {
                Category::OneOff => "Forfait data ponctuel",
                Category::Recurring => "Forfait data mensuel",
                Category::AddOn => "Complément data",
            },
            match product.validity {
                crate::world::catalog::product::Validity::Days(_) => format!("{count} jour(s)"),
                crate::world::catalog::product::Validity::Months(_) => format!("{count} mois"),
            },
            format!(
                "Débute à la première utilisation : {}. Données seulement.",
                product.place.french()
            ),
            format!("{} EUR", euros.replace('.', ",")),
        ),
    };
    let place = match locale {
        Locale::English => product.place.english(),
        Locale::French => product.place.french(),
    };
    json!({
        "productLabel": label(product, locale),
        "productShortText": format!("{kind} {place} {volume} {period}"),
        "productDetails": details,
        "productAllowances": volume,
        "productPrice": price,
        "productValidityPeriod": period,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_language_with_the_highest_weight_is_taken() {
        for (header, expected) in [
            ("", Locale::English),
            ("fr", Locale::French),
            ("fr-FR", Locale::French),
            ("en_US", Locale::English),
            ("de, fr;q=0.5, en;q=0.8", Locale::English),
            ("en;q=0.1, fr-CA", Locale::French),
            ("xx", Locale::English),
        ] {
            let request = http::Request::builder()
                .header("accept-language", header)
                .body(())
                .unwrap();
            let call = Call::new(request.into_parts().0, None, Bytes::new());
            assert_eq!(locale(&call), expected, "{header:?}");
        }
    }
}
