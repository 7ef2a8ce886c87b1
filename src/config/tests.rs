use super::*;
use crate::domain::Pool;

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        environment: pairs.iter().map(own).collect(),
        ..Sources::default()
    }
}

const CREDENTIALS: [(&str, &str); 2] = [
    ("GATEWAY__TRANSATEL__CLIENT_ID", "shop"),
    ("GATEWAY__TRANSATEL__CLIENT_SECRET", "hunter2"),
];

pub(super) fn with_credentials(pairs: &[(&str, &str)]) -> Sources {
    environment(&[&CREDENTIALS, pairs].concat())
}

fn problems(sources: &Sources) -> Vec<String> {
    load(sources)
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let report = problems(&Sources::default());
    assert_eq!(report.len(), 2, "{report:#?}");
    assert!(
        report[0].starts_with("transatel.client_id: required"),
        "{report:#?}"
    );
    assert!(report[0].contains("GATEWAY__TRANSATEL__CLIENT_ID"));
    assert!(report[1].starts_with("transatel.client_secret: required"));
    assert!(report[1].contains("client_secret_file"));
}

#[test]
fn the_parent_of_an_add_on_has_a_member_of_its_own() {
    const KEY: &str = "GATEWAY__TRANSATEL__PARENT_MEMBER";
    for (member, known) in [
        ("", None),
        ("parentSubscriptionId", Some("parentSubscriptionId")),
        ("/product/parent", Some("/product/parent")),
    ] {
        let config = load(&with_credentials(&[(KEY, member)])).unwrap().config;
        assert_eq!(config.transatel.parent_member.as_deref(), known);
    }
    for (member, expected) in [
        ("/", "transatel.parent_member: names no member"),
        (
            "/product",
            "transatel.parent_member: \"product\" is a member that every order has",
        ),
    ] {
        let report = problems(&with_credentials(&[(KEY, member)]));
        assert!(report[0].starts_with(expected), "{report:?}");
    }
}

#[test]
fn an_access_point_name_is_one_word() {
    const KEY: &str = "GATEWAY__ESIM__APN";
    for (apn, known) in [
        ("", None),
        ("internet", Some("internet")),
        ("apn-2.example_x", Some("apn-2.example_x")),
    ] {
        let config = load(&with_credentials(&[(KEY, apn)])).unwrap().config;
        assert_eq!(config.esim.apn.as_deref(), known);
    }
    for apn in ["my apn", "apn\u{e9}", &"a".repeat(101)] {
        let report = problems(&with_credentials(&[(KEY, apn)]));
        assert!(
            report[0].starts_with("esim.apn: must have at most 100"),
            "{report:?}"
        );
    }
}

#[test]
fn bad_values_unknown_keys_and_missing_ones_are_one_report() {
    let report = problems(&environment(&[
        ("GATEWAY__GRPC__LISTEN", "nowhere"),
        ("GATEWAY__CATALOG__FRESH_FRO", "5m"),
        ("GATEWAY__CATALOG__USABLE_FOR", "soon"),
        ("GATEWAY__TRANSATEL__BASE_URL", "http://api.example.com"),
        ("GATEWAY__TRANSATEL__READ_ATTEMPTS", "0"),
        ("GATEWAY__TELEMETRY__SAMPLE_RATIO", "2"),
        ("GATEWAY__TELEMETRY__LOG_FORMAT", "xml"),
        ("UNRELATED", "ignored"),
    ]));
    let all = report.join("\n");
    for expected in [
        "grpc.listen: \"nowhere\" is not an address",
        "catalog.fresh_fro: unknown setting (from environment GATEWAY__CATALOG__FRESH_FRO), did you mean \
         catalog.fresh_for?",
        "catalog.usable_for: \"soon\" is not a duration",
        "transatel.base_url: has to be https",
        "transatel.read_attempts: \"0\" is not an integer from 1 to 10",
        "telemetry.sample_ratio",
        "telemetry.log_format: \"xml\" is not one of \"text\", \"json\"",
        "transatel.client_id: required",
    ] {
        assert!(all.contains(expected), "{expected} not in\n{all}");
    }
}

#[test]
fn environment_beats_file_beats_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, "[catalog]\nfresh_for = \"1m\"\nusable_for = \"2h\"\n").unwrap();
    let sources = Sources {
        file: Some(file),
        ..with_credentials(&[("GATEWAY__CATALOG__FRESH_FOR", "90s")])
    };
    let config = load(&sources).unwrap().config;
    assert_eq!(config.catalog.fresh_for.as_secs(), 90);
    assert_eq!(config.catalog.usable_for.as_secs(), 7200);
    assert_eq!(config.transatel.cos, "WW_M2MA_COS_SPC");
}

#[test]
fn a_secret_file_is_read_without_its_last_newline_and_excludes_the_secret() {
    use secrecy::ExposeSecret as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cret \n").unwrap();
    let path = file.to_str().unwrap();
    let from_file = [
        ("GATEWAY__TRANSATEL__CLIENT_ID", "shop"),
        ("GATEWAY__TRANSATEL__CLIENT_SECRET_FILE", path),
    ];
    let config = load(&environment(&from_file)).unwrap().config;
    assert_eq!(config.transatel.client_secret.expose_secret(), "s3cret ");

    let both = with_credentials(&[("GATEWAY__TRANSATEL__CLIENT_SECRET_FILE", path)]);
    assert!(problems(&both)[0].contains("not both"));
    let missing = [
        ("GATEWAY__TRANSATEL__CLIENT_ID", "shop"),
        ("GATEWAY__TRANSATEL__CLIENT_SECRET_FILE", "/nowhere"),
    ];
    assert!(problems(&environment(&missing))[0].contains("cannot read /nowhere"));
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_a_problem_beside_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    std::fs::write(&file, "[grpc]\nlisten = \n").unwrap();
    let broken = problems(&Sources {
        file: Some(file),
        ..with_credentials(&[])
    });
    assert!(broken[0].contains("broken.toml: line 2:"), "{broken:?}");
    let absent = problems(&Sources {
        file: Some("/nowhere.toml".into()),
        ..Sources::default()
    });
    assert_eq!(absent.len(), 3, "{absent:?}");
}

#[test]
fn printed_settings_read_back_to_themselves_without_the_secret() {
    let printed = load(&with_credentials(&[("GATEWAY__TRANSATEL__SCOPES", "A, B")]))
        .unwrap()
        .to_toml();
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("client_secret = \"<redacted>\""));
    assert!(printed.contains("# client_secret_file ="));
    assert!(printed.contains("scopes = [\"A\", \"B\"]"), "{printed}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("printed.toml");
    std::fs::write(&file, &printed).unwrap();
    let again = load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap()
    .to_toml();
    assert_eq!(printed, again);
}

#[test]
fn a_table_of_names_is_read_from_every_layer_and_printed_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(
        &file,
        "[callers]\nheader = \"X-Caller\"\nheader_from = [\"10.0.0.0/8\"]\n[callers.allow]\n\"shop.internal\" = \
         [\"Catalog/*\"]\n\"spiffe://a/b\" = [\"*\"]\n[callers.scope]\n\"Shop.internal\" = \"own\"\n\"*\" = \"all\"\n",
    )
    .unwrap();
    let sources = |environment: &[(&str, &str)], file: &std::path::Path| Sources {
        file: Some(file.to_owned()),
        ..with_credentials(environment)
    };
    let more = (
        "GATEWAY__CALLERS__ALLOW",
        "{ \"shop.internal\" = [\"Esim/GetEsim\"] }",
    );
    let loaded = load(&sources(&[more], &file)).unwrap();
    let policy = loaded.config.callers.policy.clone().unwrap();
    let named: Vec<(&str, &[Grant])> = policy
        .named
        .iter()
        .map(|(name, grants)| (name.as_str(), grants.as_slice()))
        .collect();
    assert_eq!(
        named,
        [
            ("shop.internal", &[Grant::Method("Esim", "GetEsim")][..]),
            ("spiffe://a/b", &[Grant::Everything][..]),
        ]
    );
    let scopes = loaded.config.callers.scopes.clone();
    let named: Vec<(&str, bool)> = { scopes.named.iter() }
        .map(|(name, own)| (name.as_str(), *own))
        .collect();
    assert_eq!((named, scopes.others), (vec![("shop.internal", true)], false));
    let printed = loaded.to_toml();
    std::fs::write(&file, &printed).unwrap();
    let again = load(&sources(&[], &file)).unwrap();
    assert_eq!(again.config.callers.policy, Some(policy));
    assert_eq!(again.config.callers.scopes, scopes);
    assert_eq!(again.to_toml(), printed);
}

/// `default.toml` is the documentation of the settings: it names every
/// setting there is and no other.
#[test]
fn the_defaults_name_every_setting_and_no_other() {
    let mut documented = std::collections::BTreeSet::new();
    let mut section = String::new();
    for line in DEFAULTS.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((name, _)) = line.split_once(" = ")
            && !name.contains(' ')
        {
            documented.insert(format!("{section}.{name}"));
        }
    }
    let loaded = load(&with_credentials(&[])).unwrap();
    let known: std::collections::BTreeSet<String> = loaded.shown.keys().cloned().collect();
    assert_eq!(documented, known);
}

#[test]
fn limits_are_texts_that_say_what_they_limit() {
    const CALLERS: &str = "GATEWAY__CALLERS__LIMITS";
    const ACCOUNT: &str = "GATEWAY__ORDERS__SPEND_PER_DAY";
    let given = [
        (
            CALLERS,
            r#"{ "Shop.internal" = ["60 orders/minute", "99.50 EUR/day"], "*" = ["5 orders/day"] }"#,
        ),
        (ACCOUNT, "1000 EUR, 500 USD"),
    ];
    let limits = load(&with_credentials(&given)).unwrap().config.limits.all();
    let shop = limits.of(Some("shop.internal")).unwrap();
    assert_eq!(shop.caller.orders_per_minute, Some(60));
    assert_eq!(shop.caller.spend_per_day[0].to_string(), "99.50 EUR");
    assert_eq!(shop.account.len(), 2);
    assert_eq!(limits.of(None).unwrap().caller.orders_per_day, Some(5));
    assert_eq!(
        load(&with_credentials(&[])).unwrap().config.limits.all().of(None),
        None
    );
    let report = problems(&with_credentials(&[
        (
            CALLERS,
            r#"{ "a b" = [], "shop" = ["many orders/day", "5 orders", "EUR/day", "5 EUR/day", "6 EUR/day", "0 calls/second", "2 calls/minute"] }"#,
        ),
        (ACCOUNT, "5, 1 EUR, 2 EUR"),
    ]));
    assert_eq!(report.len(), 9, "{report:#?}");
    for text in [
        "\"0 calls/second\" of",
        "\"2 calls/minute\" of",
        "\"a b\" is neither",
        "\"many orders/day\" of",
        "\"5 orders\" of",
        "\"EUR/day\" of",
    ] {
        assert!(
            report
                .iter()
                .any(|line| line.starts_with("callers.limits: ") && line.contains(text)),
            "{text}"
        );
    }
    for line in [
        "callers.limits: EUR has more than one limit",
        "orders.spend_per_day: \"5\" is not an amount such as \"1000 EUR\"",
        "orders.spend_per_day: EUR has more than one limit",
    ] {
        assert!(report.contains(&line.to_owned()), "{report:#?}");
    }
}

#[test]
fn a_pool_that_is_not_named_is_low_below_the_threshold_of_the_others() {
    const LOW: &str = "GATEWAY__STOCK__LOW";
    let shop = Pool::parse("eu.shop").unwrap();
    let low = |given: &[(&str, &str)]| load(&with_credentials(given)).unwrap().config.stock.low;
    let unset = low(&[]);
    assert_eq!((unset.of(&shop), unset.others), (10, 10));
    let own = low(&[(LOW, r#"{ "eu.shop" = 50 }"#)]);
    assert_eq!((own.of(&shop), own.others), (50, 10));
    let all = low(&[(LOW, r#"{ "eu.shop" = 0, "*" = 20 }"#)]);
    assert_eq!((all.of(&shop), all.others), (0, 20));
    let report = problems(&with_credentials(&[(LOW, r#"{ "a b" = 1, "shop" = -1 }"#)]));
    assert!(
        report[0].starts_with("stock.low: \"a b\" is not a name"),
        "{report:#?}"
    );
    assert!(
        report[1].starts_with("stock.low.shop: -1 is not an integer"),
        "{report:#?}"
    );
    let report = problems(&with_credentials(&[(LOW, "50")]));
    let said = r#"stock.low: "50" is not a table such as { "name" = 5 }"#;
    assert!(report[0].starts_with(said), "{report:#?}");
}

#[test]
fn sim_search_fills_no_pool_unless_the_settings_say_so() {
    let search = |given: &[(&str, &str)]| load(&with_credentials(given)).unwrap().config.stock.search;
    assert!(search(&[("GATEWAY__STOCK__SEARCH__POOL", "shop")]).is_none());
    let search = search(&[("GATEWAY__STOCK__SEARCH__INTERVAL", "1h")]).unwrap();
    assert_eq!((search.pool.as_str(), search.group), ("default", None));
    let report = problems(&with_credentials(&[("GATEWAY__STOCK__SEARCH__POOL", "a b")]));
    assert!(
        report[0].starts_with("stock.search.pool: \"a b\" is not a name"),
        "{report:#?}"
    );
}

#[test]
fn orders_that_would_be_judged_before_they_were_looked_for_are_refused() {
    let report = problems(&with_credentials(&[
        ("GATEWAY__ORDERS__SETTLE_WINDOW", "0s"),
        ("GATEWAY__ORDERS__LEASE", "10ms"),
        ("GATEWAY__ORDERS__RECONCILE_AFTER", "0s"),
        ("GATEWAY__ORDERS__RECONCILE_AT_MOST", "0s"),
        ("GATEWAY__ORDERS__ESCALATE_AFTER", "1ms"),
    ]));
    let keys: Vec<&str> = report.iter().filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "escalate_after",
        "lease",
        "reconcile_after",
        "reconcile_at_most",
        "settle_window",
    ];
    assert_eq!(keys, expected.map(|key| format!("orders.{key}")), "{report:#?}");
}

#[test]
fn the_windows_of_orders_have_to_fit_each_other() {
    let report = problems(&with_credentials(&[
        ("GATEWAY__ORDERS__RECONCILE_AFTER", "3s"),
        ("GATEWAY__ORDERS__RECONCILE_AT_MOST", "2s"),
        ("GATEWAY__ORDERS__SETTLE_WINDOW", "5s"),
        ("GATEWAY__ORDERS__ESCALATE_AFTER", "4s"),
    ]));
    assert_eq!(
        report,
        [
            "orders.escalate_after: is shorter than orders.settle_window",
            "orders.reconcile_at_most: is shorter than orders.reconcile_after",
            "orders.settle_window: is shorter than twice orders.reconcile_after: an order has to be looked for at \
             least twice before it is taken for not placed",
        ]
    );
    // What fits is taken, however short.
    load(&with_credentials(&[
        ("GATEWAY__ORDERS__RECONCILE_AFTER", "20ms"),
        ("GATEWAY__ORDERS__RECONCILE_AT_MOST", "20ms"),
        ("GATEWAY__ORDERS__SETTLE_WINDOW", "50ms"),
        ("GATEWAY__ORDERS__ESCALATE_AFTER", "50ms"),
        ("GATEWAY__ORDERS__LEASE", "1s"),
    ]))
    .unwrap();
}
