//! The catalog, and whether a SIM may get a product.

use serde_json::json;

use super::{Answer, Facts, Mutation, SAME, fact, is_kept_or_none};
use crate::domain::eligibility::Verdict;
use crate::transatel::api::catalog_wire::{read_eligibility, read_listing};
use crate::transatel::fuzzing;

pub(super) fn catalog() -> Answer {
    let small = |id: &str| {
        json!({
            "productDefinition": { "productId": id, "productCategory": "ONE_OFF", "countryList": ["FRA"] },
            "prices": { "subscriptionFee": [[{ "currency": "EUR", "unit": "CENTS", "amount": 500 }]] },
        })
    };
    let rich = json!({
        "productDefinition": {
            "productId": "MIDDLE", "productCategory": "RECURRING", "unlimited": false,
            "description": { "productLabel": "Europe", "productShortText": "10 GB", "productDetails": "Starts with use" },
            "allowances": {
                "data": [
                    { "resourceName": "DATA", "resourceUnit": "KB", "resourceValue": 1048576,
                      "resourceDuration": 30, "resourceDurationUnit": "days" },
                    { "resourceName": "FAIR", "resourceUnit": "KB", "resourceValue": "2048" },
                ],
                "voice": [{ "resourceName": "VOICE", "resourceUnit": "SECONDS", "resourceValue": 60 }],
            },
            "countryList": ["FRA", "XKS"], "tags": ["DE", "SPECIAL"], "parentProductIds": ["PARENT"],
            "validityPeriod": { "validityDuration": 30, "validityDurationUnit": "days", "maxOccurrences": 12 },
            "deferredActivationPeriod": { "deferredActivationDuration": 6, "deferredActivationDurationUnit": "months" },
            "coverage": { "type": "regional", "zone": "Europe" }, "bestseller": true,
            "networks": [
                { "country": "FRA", "operators": [{ "name": "Orange", "networkTypes": ["4G", "5G"] }] },
                { "country": "DEU", "operators": [{ "name": "Telekom", "networkTypes": ["4G"] }] },
            ],
        },
        "display": { "priority": 3, "shotMessage": "New" },
        "availability": { "available": false, "startDate": "2026-01-01T00:00:00Z", "endDate": "2027-01-01T00:00:00Z" },
        "prices": {
            "subscriptionFee": [[{ "currency": "EUR", "unit": "CENTS", "amount": 1800 }]],
            "renewalFee": [[{ "currency": "EUR", "unit": "CENTS", "amount": 1700 }]],
        },
    });
    Answer {
        name: "catalog",
        sample: json!({ "products": [small("FIRST"), rich, small("LAST")], "total": 3 }).to_string(),
        read: |body| {
            let listing = read_listing(body).ok()?;
            let mut facts = Facts::new();
            let count = listing.products.len() + listing.dropped.len();
            fact(&mut facts, "count", count);
            for product in listing.products {
                let mut own = |name: &str, value: &dyn std::fmt::Debug| {
                    fact(&mut facts, format!("{} {name}", product.id), value);
                };
                own("name", &product.name);
                own("description", &product.description);
                own("category", &product.category);
                own("countries", &product.countries);
                own("tags", &product.tags);
                own("unlimited", &product.unlimited);
                own("validity", &product.validity);
                own("window", &product.activation_window);
                own("periods", &product.max_periods);
                own("price", &product.price);
                own("renewal", &product.renewal_price);
                own("available", &product.available);
                own("from", &product.available_from);
                own("until", &product.available_until);
                own("parents", &product.parent_ids);
                own("coverage", &product.coverage);
                own("bestseller", &product.bestseller);
                own("priority", &product.display_priority);
                for allowance in &product.allowances {
                    own(&format!("allowance {}", allowance.resource), &allowance.grant);
                    own(
                        &format!("validity of {}", allowance.resource),
                        &allowance.validity,
                    );
                }
                for networks in &product.networks {
                    own(&format!("networks {}", networks.country), &networks.operators);
                }
            }
            Some(facts)
        },
        dependencies: &[
            ("/products$", &["*"]),
            ("/products/0$", &["FIRST", "count"]),
            ("/products/1$", &["MIDDLE", "count"]),
            ("/products/2$", &["LAST", "count"]),
            ("/products/0", &["FIRST"]),
            ("/products/2", &["LAST"]),
            ("/products/1/productDefinition/productId", &["MIDDLE"]),
            (
                "/products/1/productDefinition/productCategory",
                &["MIDDLE category"],
            ),
            ("/products/1/productDefinition/unlimited", &["MIDDLE unlimited"]),
            (
                "/products/1/productDefinition/description",
                &["MIDDLE name", "MIDDLE description"],
            ),
            (
                "/products/1/productDefinition/allowances/data/0/resourceDuration",
                &["MIDDLE validity of DATA"],
            ),
            (
                "/products/1/productDefinition/allowances/data/0/resourceDurationUnit",
                &["MIDDLE validity of DATA"],
            ),
            (
                "/products/1/productDefinition/allowances/data/0",
                &["MIDDLE allowance DATA", "MIDDLE validity of DATA"],
            ),
            (
                "/products/1/productDefinition/allowances/data/1",
                &["MIDDLE allowance FAIR", "MIDDLE validity of FAIR"],
            ),
            (
                "/products/1/productDefinition/allowances/voice",
                &["MIDDLE allowance VOICE", "MIDDLE validity of VOICE"],
            ),
            ("/products/1/productDefinition/coverage", &["MIDDLE coverage"]),
            ("/products/1/productDefinition/bestseller", &["MIDDLE bestseller"]),
            ("/products/1/display", &["MIDDLE priority"]),
            ("/products/1/productDefinition/countryList", &["MIDDLE countries"]),
            (
                "/products/1/productDefinition/tags",
                &["MIDDLE tags", "MIDDLE countries"],
            ),
            (
                "/products/1/productDefinition/parentProductIds",
                &["MIDDLE parents"],
            ),
            (
                "/products/1/productDefinition/validityPeriod/validityDuration",
                &["MIDDLE validity"],
            ),
            (
                "/products/1/productDefinition/validityPeriod/validityDurationUnit",
                &["MIDDLE validity"],
            ),
            (
                "/products/1/productDefinition/validityPeriod/maxOccurrences",
                &["MIDDLE periods"],
            ),
            (
                "/products/1/productDefinition/deferredActivationPeriod",
                &["MIDDLE window"],
            ),
            (
                "/products/1/productDefinition/networks/0",
                &["MIDDLE networks FR"],
            ),
            (
                "/products/1/productDefinition/networks/1",
                &["MIDDLE networks DE"],
            ),
            ("/products/1/availability/available", &["MIDDLE available"]),
            ("/products/1/availability/startDate", &["MIDDLE from"]),
            ("/products/1/availability/endDate", &["MIDDLE until"]),
            ("/products/1/prices/subscriptionFee", &["MIDDLE price"]),
            ("/products/1/prices/renewalFee", &["MIDDLE renewal"]),
        ],
        judge: |mutation, was, is| {
            // Another amount is understood; anything else is none.
            let is_another = mutation.at.ends_with("/amount") && ["number", "huge"].contains(&mutation.kind);
            for price in ["FIRST price", "MIDDLE price", "MIDDLE renewal", "LAST price"] {
                assert!(
                    is_another || is_kept_or_none(price, was, is),
                    "{} at {}: {price} is {:?}",
                    mutation.kind,
                    mutation.at,
                    is.and_then(|is| is.get(price))
                );
            }
        },
        any: fuzzing::catalog,
        at_least: 1_500,
    }
}

fn verdicts(body: &[u8], ids: &[&str]) -> Option<Facts> {
    let mut facts = Facts::new();
    for (id, verdict) in read_eligibility(body, ids).ok()? {
        match verdict {
            Verdict::Eligible { mode } => {
                fact(&mut facts, format!("{id} allowed"), true);
                fact(&mut facts, format!("{id} mode"), mode);
            }
            Verdict::NotEligible { code, message } => {
                fact(&mut facts, format!("{id} allowed"), false);
                fact(&mut facts, format!("{id} code"), code);
                fact(&mut facts, format!("{id} message"), message);
            }
        }
    }
    Some(facts)
}

/// A product is allowed only by what says so in words that are understood.
fn allowed_is_understood(mutation: &Mutation, is: Option<&Facts>) {
    let allows = |id: &str| {
        let allowed = is.and_then(|is| is.get(&format!("{id} allowed")));
        allowed.is_some_and(|allowed| allowed == "true")
    };
    let is_said = matches!(mutation.kind, "true" | "as text" | "other case");
    if SAME.contains(&mutation.kind) {
        return;
    }
    if mutation.at.ends_with("/allowed") {
        let own = if mutation.at.contains("/products/1") {
            "NO"
        } else {
            "YES"
        };
        assert!(!allows(own) || is_said, "{} at {}", mutation.kind, mutation.at);
    }
    if mutation.at.ends_with("/productId") {
        let is_left_out = matches!(mutation.kind, "drop" | "null") && !mutation.at.contains("/products/");
        let own = if mutation.at.contains("/products/1") {
            "NO"
        } else {
            "YES"
        };
        assert!(
            !allows(own) || is_left_out,
            "{} at {}",
            mutation.kind,
            mutation.at
        );
    }
    assert!(
        !allows("NO") || mutation.at.ends_with("/allowed"),
        "{} at {}",
        mutation.kind,
        mutation.at
    );
}

pub(super) fn eligibility() -> Answer {
    Answer {
        name: "eligibility",
        sample: json!({ "products": [
            { "productDefinition": { "productId": "YES" }, "canSubscribe": { "allowed": true, "mode": "add" } },
            { "productDefinition": { "productId": "NO" },
              "canSubscribe": { "allowed": false, "errorKey": "KEY", "errorMessage": "no" } },
        ] })
        .to_string(),
        read: |body| verdicts(body, &["YES", "NO"]),
        dependencies: &[
            ("/products$", &["*"]),
            ("/products/0$", &["YES"]),
            ("/products/1$", &["NO"]),
            ("/products/0/productDefinition", &["YES"]),
            ("/products/0/canSubscribe/allowed", &["YES"]),
            ("/products/0/canSubscribe/mode", &["YES mode"]),
            ("/products/1/productDefinition", &["NO"]),
            ("/products/1/canSubscribe/allowed", &["NO"]),
            ("/products/1/canSubscribe/errorKey", &["NO code"]),
            ("/products/1/canSubscribe/errorMessage", &["NO message"]),
        ],
        judge: |mutation, _, is| allowed_is_understood(mutation, is),
        any: fuzzing::catalog,
        at_least: 250,
    }
}

pub(super) fn eligibility_of_one() -> Answer {
    Answer {
        name: "eligibility of one",
        sample: json!({ "productDefinition": { "productId": "YES" }, "canSubscribe": { "allowed": true, "mode": "add" } })
            .to_string(),
        read: |body| verdicts(body, &["YES"]),
        dependencies: &[
            ("/productDefinition", &["*"]),
            ("/canSubscribe/allowed", &["*"]),
            ("/canSubscribe/mode", &["YES mode"]),
        ],
        judge: |mutation, _, is| allowed_is_understood(mutation, is),
        any: fuzzing::catalog,
        at_least: 100,
    }
}
