//! The subscriptions of a SIM.

use serde_json::json;

use super::{Answer, Facts, fact, is_another_text};
use crate::domain::subscription::totals;
use crate::transatel::api::inventory;
use crate::transatel::fuzzing;

pub(super) fn subscriptions() -> Answer {
    let small = |id: &str| json!({ "subscriptionId": id, "status": "active", "productDefinition": { "productId": "P" } });
    let rich = json!({
        "subscriptionId": "MIDDLE", "status": "active",
        "subscriptionDate": "2026-11-01T10:00:00Z", "activationDate": "2026-11-02T10:00:00Z",
        "expirationDate": "2026-12-02T10:00:00Z", "renewalDate": "2026-12-02T10:00:00Z",
        "productDefinition": {
            "productId": "PRODUCT", "productCategory": "ONE_OFF", "tags": ["DE"], "countryList": ["FRA"],
            "allowances": { "data": [{ "resourceName": "GRANTED", "resourceUnit": "KB", "resourceValue": 4096 }] },
        },
        "balances": {
            "data": [
                { "resourceName": "DATA", "resourceLabel": "Data", "resourceUnit": "KB", "resourceValue": 1024,
                  "resourceStartValue": 2048, "resourceStartDate": "2026-11-02T10:00:00Z",
                  "resourceEndDate": "2026-12-02T10:00:00Z" },
                { "resourceName": "GRANTED", "resourceUnit": "KB", "resourceValue": "512" },
            ],
            "sms": [{ "resourceName": "SMS", "resourceUnit": "SMS", "resourceValue": 9, "resourceStartValue": 10 }],
        },
    });
    Answer {
        name: "subscriptions",
        sample: json!({ "productSubscriptions": [small("FIRST"), rich, small("LAST")], "count": 3 })
            .to_string(),
        read: |body| {
            let holdings = inventory::read(body).ok()?;
            let mut facts = Facts::new();
            fact(
                &mut facts,
                "count",
                holdings.subscriptions.len() + holdings.unreadable,
            );
            let balances = holdings.subscriptions.iter().flat_map(|one| &one.balances);
            for total in totals(balances) {
                fact(&mut facts, format!("total {}", total.resource), total.level);
            }
            for one in holdings.subscriptions {
                let mut own = |name: &str, value: &dyn std::fmt::Debug| {
                    fact(&mut facts, format!("{} {name}", one.id), value);
                };
                own("product", &one.product_id);
                own("category", &one.category);
                own("status", &one.status);
                own("word", &one.raw_status);
                own("ordered", &one.ordered_at);
                own("activated", &one.activated_at);
                own("end", &one.end);
                own("countries", &one.countries);
                own("infrastructure", &one.infrastructure);
                for balance in &one.balances {
                    own(&format!("balance {} level", balance.resource), &balance.level);
                    own(&format!("balance {} label", balance.resource), &balance.label);
                    own(
                        &format!("balance {} start", balance.resource),
                        &balance.period_start,
                    );
                    own(&format!("balance {} end", balance.resource), &balance.period_end);
                }
            }
            Some(facts)
        },
        dependencies: &[
            ("/productSubscriptions$", &["*"]),
            ("/productSubscriptions/0$", &["FIRST", "count"]),
            ("/productSubscriptions/1$", &["MIDDLE", "total", "count"]),
            ("/productSubscriptions/2$", &["LAST", "count"]),
            ("/productSubscriptions/0", &["FIRST"]),
            ("/productSubscriptions/2", &["LAST"]),
            ("/productSubscriptions/1/subscriptionId", &["MIDDLE", "total"]),
            // Whether it has started decides what its dates mean.
            (
                "/productSubscriptions/1/status",
                &["MIDDLE status", "MIDDLE word", "MIDDLE activated", "MIDDLE end"],
            ),
            ("/productSubscriptions/1/subscriptionDate", &["MIDDLE ordered"]),
            (
                "/productSubscriptions/1/activationDate",
                &["MIDDLE activated", "MIDDLE end"],
            ),
            ("/productSubscriptions/1/expirationDate", &["MIDDLE end"]),
            (
                "/productSubscriptions/1/productDefinition/productId",
                &["MIDDLE product", "MIDDLE infrastructure"],
            ),
            (
                "/productSubscriptions/1/productDefinition/productCategory",
                &["MIDDLE category"],
            ),
            (
                "/productSubscriptions/1/productDefinition/tags",
                &["MIDDLE countries", "MIDDLE infrastructure"],
            ),
            (
                "/productSubscriptions/1/productDefinition/countryList",
                &["MIDDLE countries"],
            ),
            // What a row started with, where it does not say.
            (
                "/productSubscriptions/1/productDefinition/allowances",
                &["MIDDLE balance GRANTED level", "total GRANTED"],
            ),
            (
                "/productSubscriptions/1/balances/data/0",
                &["MIDDLE balance DATA", "total DATA"],
            ),
            (
                "/productSubscriptions/1/balances/data/1",
                &["MIDDLE balance GRANTED", "total GRANTED"],
            ),
            (
                "/productSubscriptions/1/balances/sms",
                &["MIDDLE balance SMS", "total SMS"],
            ),
        ],
        judge: |mutation, was, is| {
            // An order is not bought, and not taken for not bought, by the name
            // of another product.
            let is_another = mutation.at.ends_with("/productId") && is_another_text(mutation.kind);
            let product = is.and_then(|is| is.get("MIDDLE product"));
            let is_kept = product.is_none_or(|is| is == "\"\"" || Some(is) == was.get("MIDDLE product"));
            assert!(
                is_kept || is_another,
                "{} at {}: {product:?}",
                mutation.kind,
                mutation.at
            );
        },
        any: fuzzing::inventory,
        at_least: 900,
    }
}
