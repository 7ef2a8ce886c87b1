use serde_json::json;

use std::time::Duration;

use super::*;
use crate::domain::Money;
use crate::domain::money::Currency;
use crate::domain::product::{
    Allowance, Amount, Category, Coverage, Grant, Operator, Scope, Validity, ValidityUnit,
};

fn listing(products: &Value) -> Listing {
    read_listing(json!({ "cos": "X", "products": products }).to_string().as_bytes()).unwrap()
}

/// Reads one product made of a definition and prices.
fn read(definition: Value, prices: Value) -> Product {
    let mut definition = definition;
    definition["productId"] = json!("P");
    let mut listing = listing(&json!([{ "productDefinition": definition, "prices": prices }]));
    assert_eq!(listing.dropped, []);
    listing.products.remove(0)
}

fn euro(cents: i64) -> Option<Money> {
    Some(Money::from_cents(Currency::parse("EUR").unwrap(), cents))
}

#[test]
fn prices_in_every_shape() {
    let cents = json!({"currency": "EUR", "unit": "CENTS", "amount": 1234});
    let with = |key: &str, value: Value| {
        let mut price = cents.clone();
        price[key] = value;
        price
    };
    for (fee, expected) in [
        (json!([[cents]]), euro(1234)),
        (json!([cents]), euro(1234)),
        (cents.clone(), euro(1234)),
        (json!([[with("amount", json!("1234"))]]), euro(1234)),
        (json!([[with("amount", json!(1234.0))]]), euro(1234)),
        (json!([[with("unit", json!("cent"))]]), euro(1234)),
        (json!([[with("amount", json!(0))]]), euro(0)),
        (json!([[with("unit", json!("MILLIS"))]]), None),
        (json!([[with("unit", json!("MILLIS")), cents]]), None),
        (json!([[with("amount", json!(12.5))]]), None),
        (json!([[with("amount", json!(-1))]]), None),
        (json!([[with("currency", json!("EURO"))]]), None),
        (json!([[with("currency", Value::Null)]]), None),
        (json!([[]]), None),
        (json!([]), None),
        (Value::Null, None),
        (json!("12.34"), None),
    ] {
        let product = read(json!({}), json!({ "subscriptionFee": fee }));
        assert_eq!(product.price, expected, "{fee}");
    }
    let renewed = read(json!({}), json!({ "renewalFee": [[cents]] }));
    assert_eq!((renewed.price, renewed.renewal_price), (None, euro(1234)));
}

#[test]
fn texts_in_every_shape() {
    for (description, name, long) in [
        (
            json!({"productLabel": "L", "productShortText": "S", "productDetails": "D"}),
            "L",
            "D",
        ),
        (json!({"productLabel": "L", "productShortText": "S"}), "L", "S"),
        (json!({"productShortText": "S"}), "S", "S"),
        (json!({"productDetails": "D"}), "P", "D"),
        (json!({"productLabel": "  ", "productDetails": null}), "P", ""),
        (json!("plain"), "plain", "plain"),
        (json!(""), "P", ""),
        (Value::Null, "P", ""),
        (json!(7), "P", ""),
    ] {
        let product = read(json!({ "description": description }), json!({}));
        assert_eq!(
            (product.name.as_str(), product.description.as_str()),
            (name, long),
            "{description}"
        );
    }
}

#[test]
fn allowances_in_every_unit() {
    let allowance =
        |value: Value, unit: &str| json!({"resourceName": "R", "resourceUnit": unit, "resourceValue": value});
    for (value, unit, expected) in [
        (json!(1_048_576), "KB", Grant::Limited(Amount::DataBytes(1 << 30))),
        (json!("3145728"), "kb", Grant::Limited(Amount::DataBytes(3 << 30))),
        (json!(1024.0), "KB", Grant::Limited(Amount::DataBytes(1 << 20))),
        (
            json!(90),
            "SECOND",
            Grant::Limited(Amount::Voice(Duration::from_secs(90))),
        ),
        (json!(25), "SMS", Grant::Limited(Amount::Messages(25))),
        (json!(7), "TOKENS", Grant::Limited(Amount::Units(7))),
        (json!(-1), "KB", Grant::Unlimited),
        (json!("-1"), "SMS", Grant::Unlimited),
        (json!(-2), "KB", Grant::Unknown),
        (json!(i64::MAX), "KB", Grant::Unknown),
        (json!(1.5), "KB", Grant::Unknown),
        (Value::Null, "KB", Grant::Unknown),
    ] {
        let product = read(
            json!({"allowances": {"data": [allowance(value.clone(), unit)]}}),
            json!({}),
        );
        assert_eq!(
            product.allowances,
            [Allowance {
                resource: "R".into(),
                grant: expected,
                fair_use: false,
                validity: None,
            }],
            "{value} {unit}"
        );
    }
    let several = read(
        json!({"allowances": {"data": [allowance(json!(1), "KB"), 7, {}], "voice": [allowance(json!(2), "SECOND")], "x": 1}}),
        json!({}),
    );
    assert_eq!(several.allowances.len(), 2);
    assert_eq!(read(json!({"allowances": []}), json!({})).allowances, []);
}

#[test]
fn an_unlimited_product_has_a_fair_use_volume() {
    let allowance = |name: &str, unit: &str, value: i64| json!({"resourceName": name, "resourceUnit": unit, "resourceValue": value});
    for (definition, unlimited, fair_use) in [
        (
            json!({"unlimited": true, "allowances": {"data": [allowance("DATA_BUNDLE_FUP", "KB", 5)]}}),
            true,
            true,
        ),
        // Each alone says it.
        (
            json!({"allowances": {"data": [allowance("data_bundle_fup", "KB", 5)]}}),
            true,
            true,
        ),
        (
            json!({"unlimited": true, "allowances": {"data": [allowance("DATA_BUNDLE", "KB", 5)]}}),
            true,
            true,
        ),
        (
            json!({"allowances": {"data": [allowance("DATA_BUNDLE", "KB", -1)]}}),
            true,
            false,
        ),
        // Not of data.
        (
            json!({"unlimited": true, "allowances": {"voice": [allowance("VOICE", "SECOND", 5)]}}),
            true,
            false,
        ),
        (
            json!({"allowances": {"sms": [allowance("SMS", "SMS", -1)]}}),
            false,
            false,
        ),
        (
            json!({"unlimited": false, "allowances": {"data": [allowance("DATA_BUNDLE", "KB", 5)]}}),
            false,
            false,
        ),
    ] {
        let product = read(definition.clone(), json!({}));
        assert_eq!(
            (product.unlimited, product.allowances[0].fair_use),
            (unlimited, fair_use),
            "{definition}"
        );
    }
}

#[test]
fn countries_come_from_the_list_and_from_two_letter_tags() {
    let product = read(
        json!({"countryList": ["FRA", "GBR", "ZZZ", "XKX", "FRA", 7], "tags": ["DE", "FR", "ZZ", "xk", "STACK", "5G"]}),
        json!({}),
    );
    let codes: Vec<String> = product.countries.iter().map(Country::to_string).collect();
    assert_eq!(codes, ["DE", "FR", "GB", "XK"]);
    assert_eq!(product.tags, ["ZZ", "STACK", "5G"]);
}

#[test]
fn provider_words_in_any_spelling() {
    for (word, expected) in [
        ("One-off", Some(Category::OneOff)),
        ("ONE_OFF", Some(Category::OneOff)),
        ("recurring", Some(Category::Recurring)),
        ("Add-on", Some(Category::AddOn)),
        ("Mystery", None),
    ] {
        assert_eq!(
            read(json!({"productCategory": word}), json!({})).category,
            expected,
            "{word}"
        );
    }
    for (count, unit, expected) in [
        (json!(30), "days", Some((30, ValidityUnit::Days))),
        (json!("7"), "Day", Some((7, ValidityUnit::Days))),
        (json!(6.0), "MONTHS", Some((6, ValidityUnit::Months))),
        (json!(0), "days", None),
        (json!(-3), "days", None),
        (json!(3), "fortnights", None),
        (Value::Null, "days", None),
    ] {
        let period = json!({"validityDuration": count, "validityDurationUnit": unit});
        let validity = read(json!({ "validityPeriod": period }), json!({})).validity;
        assert_eq!(
            validity.map(|validity| (validity.count, validity.unit)),
            expected,
            "{count} {unit}"
        );
    }
    let waiting = json!({"deferredActivationDuration": 6, "deferredActivationDurationUnit": "months"});
    let product = read(json!({ "deferredActivationPeriod": waiting }), json!({}));
    assert_eq!(
        product.activation_window,
        Some(Validity {
            count: 6,
            unit: ValidityUnit::Months
        })
    );
}

#[test]
fn the_area_of_a_product_in_any_spelling() {
    let area = |scope, raw_scope: &str, zone: &str| {
        Some(Coverage {
            scope,
            raw_scope: raw_scope.into(),
            zone: zone.into(),
        })
    };
    for (coverage, expected) in [
        (
            json!({"type": "local", "zone": "France"}),
            area(Some(Scope::Local), "local", "France"),
        ),
        (
            json!({"type": "Regional", "zone": " Europe "}),
            area(Some(Scope::Regional), "Regional", "Europe"),
        ),
        (json!({"type": "global"}), area(Some(Scope::Global), "global", "")),
        (
            json!({"type": "orbital", "zone": 5, "more": {}}),
            area(None, "orbital", ""),
        ),
        (json!({"zone": "Asia"}), area(None, "", "Asia")),
        (json!({"type": null, "zone": ""}), None),
        (json!({}), None),
        (json!("local"), None),
        (json!([{"type": "local"}]), None),
        (Value::Null, None),
    ] {
        let product = read(json!({ "coverage": coverage }), json!({}));
        assert_eq!(product.coverage, expected, "{coverage}");
    }
}

#[test]
fn marks_for_display_in_every_shape() {
    for (mark, expected) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!({}), false),
        (Value::Null, false),
    ] {
        let product = read(json!({ "bestseller": mark }), json!({}));
        assert_eq!(product.bestseller, expected, "{mark}");
    }
    for (display, expected) in [
        (json!({"priority": 1, "shotMessage": "New"}), Some(1)),
        (json!({"priority": "3"}), Some(3)),
        (json!({"priority": 2.0}), Some(2)),
        (json!({"priority": 0}), Some(0)),
        (json!({"priority": -4}), Some(-4)),
        (json!({"priority": 3_000_000_000_i64}), None),
        (json!({"priority": "first"}), None),
        (json!({}), None),
        (json!(7), None),
        (Value::Null, None),
    ] {
        let product = json!([{"productDefinition": {"productId": "P"}, "display": display}]);
        let product = listing(&product).products.remove(0);
        assert_eq!(product.display_priority, expected, "{display}");
    }
}

#[test]
fn an_allowance_says_how_long_it_can_be_used() {
    for (count, unit, expected) in [
        (json!(30), json!("days"), Some((30, ValidityUnit::Days))),
        (json!("1"), json!("MONTH"), Some((1, ValidityUnit::Months))),
        (json!(0), json!("days"), None),
        (json!(30), json!("weeks"), None),
        (json!(30), Value::Null, None),
        (Value::Null, json!("days"), None),
    ] {
        let allowance = json!({"resourceName": "R", "resourceUnit": "KB", "resourceValue": 1,
            "resourceDuration": count, "resourceDurationUnit": unit});
        let product = read(json!({"allowances": {"data": [allowance]}}), json!({}));
        let validity = product.allowances[0].validity;
        assert_eq!(
            validity.map(|validity| (validity.count, validity.unit)),
            expected,
            "{count} {unit}"
        );
    }
}

#[test]
fn availability_is_read_and_assumed_when_nothing_is_said() {
    let available = |availability: Value| {
        let product = json!([{"productDefinition": {"productId": "P"}, "availability": availability}]);
        let product = listing(&product).products.remove(0);
        (
            product.available,
            product.available_from.is_some(),
            product.available_until.is_some(),
        )
    };
    let dates = json!({"available": false, "startDate": "2026-01-01T00:00:00Z", "endDate": "2026-06-01T02:00:00+02:00"});
    assert_eq!(available(dates), (false, true, true));
    assert_eq!(
        available(json!({"available": "true", "startDate": "soon"})),
        (true, false, false)
    );
    assert_eq!(available(Value::Null), (true, false, false));
}

#[test]
fn a_broken_product_is_dropped_with_its_reason_and_the_others_stay() {
    let good = json!({"productDefinition": {"productId": "GOOD", "countryList": null, "tags": 3, "networks": [{"country": "FRA", "operators": [{"name": "Orange", "networkTypes": ["4G", 5]}, {}]}, 8]}});
    let long = "L".repeat(101);
    let listing = listing(&json!([
        7, null, "text", {}, {"productDefinition": null}, {"productDefinition": {"productId": ""}},
        {"productDefinition": {"productId": 12}}, {"productDefinition": {"productId": long}}, good, good
    ]));
    assert_eq!(listing.products.len(), 1);
    let networks = &listing.products[0].networks;
    assert_eq!(networks.len(), 1);
    assert_eq!(
        networks[0].operators,
        [Operator {
            name: "Orange".into(),
            technologies: vec!["4G".into()]
        }]
    );
    let reasons: Vec<(&str, &str)> = listing
        .dropped
        .iter()
        .map(|dropped| (dropped.id.as_str(), dropped.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            ("#0", "not an object"),
            ("#1", "not an object"),
            ("#2", "not an object"),
            ("#3", "no productId"),
            ("#4", "no productId"),
            ("#5", "no productId"),
            ("#6", "no productId"),
            ("#7", "productId longer than 100 characters"),
            ("GOOD", "productId occurs twice"),
        ]
    );
}

#[test]
fn an_answer_without_a_list_is_not_understood() {
    for body in [
        "",
        "{}",
        "[]",
        "<html>",
        r#"{"products":null}"#,
        r#"{"products":{}}"#,
        r#"{"products":[{}"#,
    ] {
        assert!(read_listing(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn verdicts_from_the_wrapper_and_from_a_bare_product() {
    let verdict = |can_subscribe: Value| json!({"productDefinition": {"productId": "A"}, "canSubscribe": can_subscribe});
    let read = |body: Value| {
        read_eligibility(body.to_string().as_bytes(), &["A"])
            .unwrap()
            .remove("A")
    };
    let refused = json!({"allowed": false, "errorKey": "K", "errorMessage": "M"});
    let not_eligible = |code: &str, message: &str| {
        Some(Verdict::NotEligible {
            code: code.into(),
            message: message.into(),
        })
    };
    for (can_subscribe, expected) in [
        (
            json!({"allowed": true, "mode": "add"}),
            Some(Verdict::Eligible {
                mode: Some(Mode::Add),
            }),
        ),
        (
            json!({"allowed": true, "mode": "scheduled-switch"}),
            Some(Verdict::Eligible {
                mode: Some(Mode::ScheduledSwitch),
            }),
        ),
        (json!({"allowed": true}), Some(Verdict::Eligible { mode: None })),
        (refused.clone(), not_eligible("K", "M")),
        (json!({}), not_eligible("", "")),
        (Value::Null, None),
    ] {
        assert_eq!(
            read(json!({"products": [verdict(can_subscribe.clone())]})),
            expected,
            "{can_subscribe}"
        );
        assert_eq!(read(verdict(can_subscribe.clone())), expected, "{can_subscribe}");
    }
    let nameless = json!({"products": [{"canSubscribe": refused}]});
    assert_eq!(read(nameless), not_eligible("K", "M"));
    assert_eq!(read(json!({"products": []})), None);
}
