use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::*;

fn read_one(subscription: Value) -> Subscription {
    let body = json!({"productSubscriptions": [subscription]}).to_string();
    let mut subscriptions = read(body.as_bytes()).unwrap().subscriptions;
    assert_eq!(subscriptions.len(), 1);
    subscriptions.remove(0)
}

fn bytes(kb: i64) -> Option<Amount> {
    Some(Amount::DataBytes(kb * 1024))
}

/// Nearly every answer: by element it takes a third longer.
#[test]
fn an_answer_without_oddities_is_read_in_one_pass() {
    let row = json!({
        "subscriptionId": "S", "status": "active", "subscriptionDate": "2026-08-04T13:30:00Z",
        "productDefinition": {
            "productId": "P", "productCategory": "DATA", "tags": ["FR"], "countryList": ["FRA", "ESP"],
            "allowances": { "data": [{ "resourceName": "D", "resourceUnit": "KB", "resourceValue": 1024 }] },
        },
        "balances": { "data": [{ "resourceName": "D", "resourceUnit": "KB", "resourceValue": 7 }] },
    });
    let body = json!({ "productSubscriptions": [row.clone(), row] }).to_string();
    let whole: Wrapper<Part<WireSubscription>> = lenient::json(body.as_bytes()).unwrap();
    assert_eq!(whole.product_subscriptions.len(), 2);
}

#[test]
fn the_providers_words_for_a_status() {
    for (word, expected) in [
        ("pending", Some(Status::Pending)),
        ("scheduled", Some(Status::Scheduled)),
        ("readyForUse", Some(Status::WaitingForFirstUse)),
        ("pendingForFirstUse", Some(Status::WaitingForFirstUse)),
        ("PENDING_FOR_FIRST_USE", Some(Status::WaitingForFirstUse)),
        ("active", Some(Status::Active)),
        ("suspended", Some(Status::Suspended)),
        ("canceled", Some(Status::Canceled)),
        ("cancelled", Some(Status::Canceled)),
        ("expired", Some(Status::Expired)),
        ("Terminated", Some(Status::Terminated)),
        ("dreaming", None),
        ("", None),
    ] {
        let subscription = read_one(json!({"subscriptionId": "S", "status": word}));
        assert_eq!(subscription.status, expected, "{word}");
        assert_eq!(subscription.raw_status, word);
    }
}

#[test]
fn the_expiration_date_is_a_deadline_until_the_subscription_has_started() {
    let moment = "2026-08-04T13:30:00Z";
    let at: Timestamp = moment.parse().unwrap();
    for (status, activated, expected) in [
        ("readyForUse", false, End::ActivationDeadline(at)),
        ("pendingForFirstUse", false, End::ActivationDeadline(at)),
        ("pending", false, End::ActivationDeadline(at)),
        ("scheduled", false, End::ActivationDeadline(at)),
        ("dreaming", false, End::ActivationDeadline(at)),
        ("dreaming", true, End::Expiry(at)),
        // The status decides first.
        ("readyForUse", true, End::ActivationDeadline(at)),
        ("pending", true, End::ActivationDeadline(at)),
        ("active", false, End::Expiry(at)),
        ("canceled", false, End::Expiry(at)),
        ("suspended", false, End::Expiry(at)),
        ("terminated", true, End::Expiry(at)),
        ("terminated", false, End::ActivationDeadline(at)),
    ] {
        let mut wire = json!({"subscriptionId": "S", "status": status, "expirationDate": moment});
        if activated {
            wire["activationDate"] = json!(moment);
        }
        assert_eq!(read_one(wire).end, Some(expected), "{status} {activated}");
    }
    assert_eq!(
        read_one(json!({"subscriptionId": "S", "expirationDate": "soon"})).end,
        None
    );
}

#[test]
fn balances_with_every_fallback() {
    let limited = |remaining, initial| Level::Limited { remaining, initial };
    for (value, start, allowance, expected) in [
        (
            json!(1024),
            json!(5120),
            json!(null),
            limited(bytes(1024), bytes(5120)),
        ),
        (
            json!("1024"),
            json!(5120.0),
            json!(null),
            limited(bytes(1024), bytes(5120)),
        ),
        (
            json!(1024),
            json!(null),
            json!(4096),
            limited(bytes(1024), bytes(4096)),
        ),
        (
            json!(1024),
            json!(0),
            json!(4096),
            limited(bytes(1024), bytes(4096)),
        ),
        (json!(1024), json!(null), json!(null), limited(bytes(1024), None)),
        (json!(0), json!(5120), json!(null), limited(bytes(0), bytes(5120))),
        (json!(-1), json!(5120), json!(null), Level::Unlimited),
        (json!(1024), json!(-1), json!(null), Level::Unlimited),
        (json!(1024), json!(null), json!(-1), Level::Unlimited),
        (json!(null), json!(5120), json!(null), limited(None, bytes(5120))),
        (json!(1.5), json!(5120), json!(null), limited(None, bytes(5120))),
        // More was used than there was.
        (
            json!(-7),
            json!(5120),
            json!(null),
            limited(bytes(0), bytes(5120)),
        ),
        (
            json!("-312"),
            json!(5120),
            json!(null),
            limited(bytes(0), bytes(5120)),
        ),
    ] {
        let mut row = json!({"resourceName": "R", "resourceUnit": "KB", "resourceValue": value});
        row["resourceStartValue"] = start.clone();
        let granted = json!({"resourceName": "R", "resourceUnit": "KB", "resourceValue": allowance});
        let wire = json!({
            "subscriptionId": "S",
            "balances": {"data": [row]},
            "productDefinition": {"productId": "P", "allowances": {"data": [granted]}},
        });
        assert_eq!(
            read_one(wire).balances[0].level,
            expected,
            "{value} of {start}, allowance {allowance}"
        );
    }
}

#[test]
fn missing_empty_and_odd_balances_are_no_balances_and_several_rows_are_kept() {
    let with = |balances: Value| {
        read_one(json!({"subscriptionId": "S", "balances": balances}))
            .balances
            .len()
    };
    for balances in [
        json!(null),
        json!({}),
        json!([]),
        json!({"data": null}),
        json!({"data": [7, {}]}),
    ] {
        assert_eq!(with(balances.clone()), 0, "{balances}");
    }
    let row = json!({"resourceName": "R", "resourceUnit": "KB", "resourceValue": 1});
    assert_eq!(with(json!({"data": [row, row], "voice": [row]})), 3);
    assert_eq!(read_one(json!({"subscriptionId": "S"})).balances, []);
}

#[test]
fn infrastructure_is_recognized_by_its_product_and_countries_come_from_both_places() {
    let wire = json!({"subscriptionId": "S", "productDefinition":
        {"productId": "W", "tags": ["Walled_Garden", "FR"], "countryList": ["DEU", "FRA", "XXX"]}});
    let subscription = read_one(wire);
    assert!(subscription.infrastructure);
    // As in events, which may give the id alone.
    let by_id = |id: &str| json!({"subscriptionId": "S", "productDefinition": {"productId": id}});
    assert!(read_one(by_id("WW_901O_WALLEDGARDEN_X")).infrastructure);
    assert!(!read_one(by_id("WW_901O_GARDEN")).infrastructure);
    assert_eq!(
        subscription
            .countries
            .iter()
            .map(Country::to_string)
            .collect::<Vec<_>>(),
        ["DE", "FR"]
    );
}

#[test]
fn an_element_without_an_id_is_counted_and_a_body_without_a_list_is_not_understood() {
    let body = json!({"productSubscriptions": [
        7, null, {}, {"subscriptionId": ""}, {"subscriptionId": " "}, {"subscriptionId": 1.5},
        {"subscriptionId": {}}, {"subscriptionId": "S"}, {"subscriptionId": 42},
    ]});
    let holdings = read(body.to_string().as_bytes()).unwrap();
    let ids: Vec<&str> = holdings.subscriptions.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((ids, holdings.unreadable), (vec!["S", "42"], 7));
    for body in ["", "{}", "[]", r#"{"productSubscriptions":null}"#] {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_member_that_comes_with_two_values_has_none() {
    let body = br#"{"productSubscriptions": [
        {"subscriptionId": "A", "status": "active", "subscriptionId": "B"},
        {"subscriptionId": "C", "productDefinition": {"productId": "P", "productId": "Q"}},
        {"subscriptionId": "D", "subscriptionId": "D"}]}"#;
    let holdings = read(body).unwrap();
    assert_eq!(holdings.unreadable, 1, "A or B is any subscription");
    let read: Vec<(String, String)> = holdings
        .subscriptions
        .into_iter()
        .map(|subscription| (subscription.id, subscription.product_id))
        .collect();
    let expected = [("C", ""), ("D", "")];
    assert_eq!(
        read,
        expected.map(|(id, product)| (id.to_owned(), product.to_owned()))
    );
}

/// Any shape where any other is expected, of members that are known.
fn anything() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-10.0..10.0).prop_map(Value::from),
        (-3i32..10_000).prop_map(|whole| json!(f64::from(whole))),
        prop::sample::select(vec![
            "",
            "S",
            "active",
            "FR",
            "deu",
            "KB",
            " 17 ",
            "4.0",
            "a\n\"",
            "WALLED_GARDEN",
            "2026-08-04T13:30:00Z",
        ])
        .prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "subscriptionId",
        "status",
        "subscriptionDate",
        "activationDate",
        "expirationDate",
        "productDefinition",
        "balances",
        "productId",
        "tags",
        "countryList",
        "allowances",
        "data",
        "voice",
        "resourceName",
        "resourceLabel",
        "resourceUnit",
        "resourceValue",
        "resourceStartValue",
        "resourceEndDate",
        "unheardOf",
    ]);
    simple.prop_recursive(5, 60, 8, move |inner| {
        let member = (names.clone().prop_map(str::to_owned), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(member, 0..9)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_shape_of_a_member_hides_a_subscription(mut subscriptions in prop::collection::vec(anything(), 0..4)) {
        for subscription in subscriptions.iter_mut().filter_map(Value::as_object_mut) {
            subscription.insert("subscriptionId".to_owned(), json!("S"));
        }
        let objects = subscriptions.iter().filter(|subscription| subscription.is_object()).count();
        let others = subscriptions.len() - objects;
        let body = json!({ "productSubscriptions": subscriptions }).to_string();
        let read = read(body.as_bytes()).unwrap();
        prop_assert_eq!((read.subscriptions.len(), read.unreadable), (objects, others));
        // A member that comes twice makes serde take the other way, which
        // understands the same.
        let twice = body.replace(r#""subscriptionId":"S""#, r#""subscriptionId":"S","subscriptionId":"S""#);
        prop_assert_eq!(super::read(twice.as_bytes()).unwrap(), read);
    }
}

#[test]
fn an_unlimited_subscription_is_recognized_by_its_rows_or_its_product() {
    let row = |name: &str, unit: &str, value: i64| json!({"resourceName": name, "resourceUnit": unit, "resourceValue": value});
    for (definition, row, unlimited, fair_use) in [
        (json!({}), row("DATA_BUNDLE_FUP", "KB", 0), true, true),
        (json!({}), row("DATA_BUNDLE", "KB", -1), true, false),
        (
            json!({"unlimited": true}),
            row("DATA_BUNDLE", "KB", 7),
            true,
            true,
        ),
        (
            json!({"allowances": {"data": [row("DATA_BUNDLE_FUP", "KB", 9)]}}),
            row("DATA_BUNDLE", "KB", 7),
            true,
            true,
        ),
        (json!({}), row("VOICE", "SECOND", -1), false, false),
        (json!({}), row("DATA_BUNDLE", "KB", 7), false, false),
        (
            json!({"unlimited": false}),
            row("DATA_BUNDLE", "KB", 7),
            false,
            false,
        ),
    ] {
        let subscription = read_one(json!({
            "subscriptionId": "S", "status": "active", "productDefinition": definition, "balances": {"data": [row]}
        }));
        assert_eq!(
            (subscription.unlimited, subscription.balances[0].fair_use),
            (unlimited, fair_use),
            "{row}"
        );
    }
}
