//! The doctor, on a healthy account and on one with one thing wrong.

mod promises;

use std::collections::BTreeMap;

use serde_json::Value;
use transatel_gateway::domain::change::OptionalOperation;
use transatel_gateway::transatel::client::endpoint;
use transatel_simulator::{Fault, Sandbox, Script};

use crate::support::gateway::{CATALOG, TOKEN, settings, simulator};
use crate::support::process::command;

const ESIM: &str = endpoint::ESIM.template;
const INVENTORY: &str = endpoint::INVENTORY.template;
const ORDERS: &str = endpoint::ORDERS.template;
const SEARCH: &str = endpoint::SIM_SEARCH.template;

/// Stands for every operation on a SIM: each has a check of its own.
const SIM_OPERATIONS: &str = "operations on SIMs";

fn sim_operations() -> Vec<&'static str> {
    let all = OptionalOperation::ALL.into_iter();
    let of_sims = all.filter(|operation| operation.is_of_sims());
    of_sims.map(OptionalOperation::name).collect()
}

/// Quick where the provider fails.
const QUICK: [(&str, &str); 3] = [
    ("TRANSATEL__ATTEMPT_TIMEOUT", "3s"),
    ("TRANSATEL__RETRY_FIRST_WAIT", "1ms"),
    ("TRANSATEL__RETRY_LONGEST_WAIT", "2ms"),
];

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(arguments: &[&str], environment: &[(String, String)]) -> Run {
    let output = command(arguments, environment).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Everything that is not ok: name → (verdict, note); and the exit code.
async fn complaints(
    sandbox: &Sandbox,
    more: &[(&str, &str)],
) -> (BTreeMap<String, (String, String)>, Option<i32>) {
    let sim = sandbox.control().sim("1").unwrap();
    let settings = settings(&sandbox.base_url(), &[&QUICK, more].concat());
    let arguments = ["doctor", "--json", "--iccid", &sim.iccid, "--msisdn", &sim.msisdn];
    let run = run(&arguments, &settings).await;
    let report: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{} {}", run.out, run.err));
    assert_eq!(report["able"], run.code == Some(0), "{}", run.out);
    for secret in [sim.iccid.as_str(), sim.msisdn.as_str(), "sandbox-secret", "1$"] {
        assert!(
            !run.out.contains(secret) && !run.err.contains(secret),
            "{}",
            run.out
        );
    }
    let text = |check: &Value, member: &str| check[member].as_str().unwrap().to_owned();
    let found = report["checks"].as_array().unwrap().iter();
    let found = found
        .filter(|check| check["verdict"] != "ok")
        .map(|check| (text(check, "name"), (text(check, "verdict"), text(check, "note"))));
    (found.collect(), run.code)
}

#[tokio::test]
async fn a_healthy_account_is_all_ok() {
    let sandbox = simulator().await;
    let (complaints, code) = complaints(&sandbox, &[]).await;
    assert_eq!((complaints, code), (BTreeMap::new(), Some(0)));
    // Nothing was sent that could change anything.
    for request in sandbox.control().requests() {
        let harmless = matches!(request.method.as_str(), "GET" | "OPTIONS") || request.route == Some(TOKEN);
        assert!(harmless, "{} {}", request.method, request.path);
    }
    let name = concat!("transatel-gateway/", env!("CARGO_PKG_VERSION"));
    for request in sandbox.control().requests() {
        assert_eq!(
            request.headers["user-agent"], name,
            "{} {}",
            request.method, request.path
        );
    }
    // For buying, and for each kind of order that is optional.
    assert_eq!(sandbox.control().received("OPTIONS", ORDERS), 3);
}

#[tokio::test]
async fn the_table_shows_every_check_and_what_it_saw() {
    let run = run(&["doctor", "--sandbox"], &[]).await;
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{}", run.out);
    for line in [
        "ok             required  token ",
        "ok             required  orders                 OPTIONS /ocs/subscriptions/api/orders/products ",
        "ok             optional  SIM search ",
        "ok             required  SuspendSim             OPTIONS /connectivity-management/",
        "Allow: POST, OPTIONS; enabled here",
        "enabled here, the kind of order cannot be asked",
        " products, ",
        "ok             optional  list price ",
        " EUR; compare it with the price list of your contract",
        "24, with allowances DATA_BUNDLE_FUP",
        ", all with parentProductIds",
        "ok             optional  SIMs by status ",
        "ok             optional  SIMs by group ",
        "accepted, no SIM found",
        "orderReference: ignored, the filter is not applied",
        "Allow: POST, OPTIONS",
        "released, activation code",
        "404 ESIM_NOT_FOUND",
        "a simulator plays the provider: no account is checked",
        "the gateway can do its job with this simulator",
    ] {
        assert!(run.out.contains(line), "{line} in {}", run.out);
    }
    for endpoint in endpoint::ALWAYS {
        let request = format!("OPTIONS {} ", endpoint.template);
        assert!(run.out.contains(&request), "{request} in {}", run.out);
    }
    assert!(
        !run.out.contains("8988247") && !run.out.contains("88247000"),
        "{}",
        run.out
    );
}

#[tokio::test]
async fn identifiers_are_asked_for_and_checked() {
    let sandbox = simulator().await;
    let settings = settings(&sandbox.base_url(), &[]);
    let bare = run(&["doctor"], &settings).await;
    assert_eq!(bare.code, Some(0), "{}{}", bare.out, bare.err);
    assert!(bare.out.contains("give --iccid and --msisdn"), "{}", bare.out);
    assert!(!bare.out.contains("this eSIM"), "{}", bare.out);
    for arguments in [["doctor", "--iccid", "12x"], ["doctor", "--msisdn", "++1"]] {
        let refused = run(&arguments, &settings).await;
        assert_eq!(refused.code, Some(64), "{}", refused.err);
        assert!(refused.err.contains("digits"), "{}", refused.err);
    }
    let unset = run(&["doctor"], &[]).await;
    assert_eq!(unset.code, Some(64), "{}", unset.err);
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_named() {
    struct Case {
        what: &'static str,
        wrong: fn(&Sandbox),
        /// Name of a check, its verdict, a part of its note.
        named: &'static [(&'static str, &'static str, &'static str)],
        code: i32,
    }
    fn fault(sandbox: &Sandbox, method: &str, route: &str, fault: Fault) {
        let script = Script::on(method, route).then(fault.step().forever());
        sandbox.control().queue(script);
    }
    let cases = [
        Case {
            what: "orders are not permitted",
            wrong: |sandbox| sandbox.control().deny("POST /ocs/subscriptions"),
            named: &[
                ("CancelRenewal", "not_permitted", "off here"),
                ("TerminateSubscription", "not_permitted", "off here"),
                ("orders", "not_permitted", "POST is missing; Allow: OPTIONS"),
            ],
            code: 1,
        },
        Case {
            what: "SIMs may not be changed",
            wrong: |sandbox| sandbox.control().deny("POST /connectivity-management"),
            named: &[(
                SIM_OPERATIONS,
                "not_permitted",
                "POST is missing; Allow: OPTIONS; off here",
            )],
            code: 0,
        },
        Case {
            what: "SIM Search is not permitted",
            wrong: |sandbox| sandbox.control().deny("/sim-search"),
            named: &[
                ("SIM search", "not_permitted", "GET is missing"),
                (
                    "this SIM in search",
                    "not_permitted",
                    "403 INSUFFICIENT_PERMISSION",
                ),
                ("SIMs by status", "not_permitted", "403"),
                ("SIMs by group", "not_permitted", "403"),
                ("SIMs by order", "not_permitted", "403"),
                ("SIMs by SIM order", "not_permitted", "403"),
            ],
            code: 0,
        },
        Case {
            what: "connectivity is not permitted",
            wrong: |sandbox| sandbox.control().deny("/connectivity-management"),
            named: &[
                (SIM_OPERATIONS, "not_permitted", "POST is missing"),
                ("SIM transaction", "not_permitted", "GET is missing"),
                ("subscriber by ICCID", "not_permitted", "GET is missing"),
                ("subscriber by MSISDN", "not_permitted", "GET is missing"),
            ],
            code: 0,
        },
        Case {
            what: "eSIMs are not permitted",
            wrong: |sandbox| sandbox.control().deny("/sim-management"),
            named: &[
                ("eSIM", "not_permitted", "GET is missing"),
                ("this eSIM", "not_permitted", "403"),
                ("unknown eSIM", "not_permitted", "403"),
            ],
            code: 1,
        },
        Case {
            what: "the credentials are refused",
            wrong: |sandbox| {
                sandbox
                    .control()
                    .configure(|settings| settings.credentials_refused = true);
            },
            named: &[("token", "not_permitted", "invalid_client")],
            code: 1,
        },
        Case {
            what: "the token is garbage",
            wrong: |sandbox| fault(sandbox, "POST", TOKEN, Fault::Garbage),
            named: &[("token", "differs", "cannot be read")],
            code: 1,
        },
        Case {
            what: "the catalog is gone",
            wrong: |sandbox| {
                sandbox
                    .control()
                    .configure(|settings| settings.catalog_published = false);
            },
            named: &[(
                "catalog content",
                "differs",
                "404 CATALOG_NOT_FOUND: see transatel.cos",
            )],
            code: 1,
        },
        Case {
            what: "the catalog is empty",
            wrong: |sandbox| {
                fault(
                    sandbox,
                    "GET",
                    CATALOG,
                    Fault::body(200, r#"{"products":[{"no":"product"}]}"#),
                )
            },
            named: &[("catalog content", "differs", "0 products, 1 dropped")],
            code: 1,
        },
        Case {
            what: "the catalog is no JSON",
            wrong: |sandbox| fault(sandbox, "GET", CATALOG, Fault::Html),
            named: &[("catalog content", "differs", "cannot be read")],
            code: 1,
        },
        Case {
            what: "the catalog does not come",
            wrong: |sandbox| fault(sandbox, "GET", CATALOG, Fault::Reset),
            named: &[("catalog content", "unreachable", "the connection ended")],
            code: 1,
        },
        Case {
            what: "OPTIONS says nothing",
            wrong: |sandbox| fault(sandbox, "OPTIONS", ORDERS, Fault::body(200, "")),
            named: &[
                ("CancelRenewal", "differs", "no Allow header"),
                ("TerminateSubscription", "differs", "no Allow header"),
                ("orders", "differs", "no Allow header"),
            ],
            code: 1,
        },
        Case {
            what: "there is no such URL",
            wrong: |sandbox| fault(sandbox, "OPTIONS", ORDERS, Fault::problem(404, "NOT_FOUND")),
            named: &[
                ("CancelRenewal", "differs", "404 NOT_FOUND"),
                ("TerminateSubscription", "differs", "404 NOT_FOUND"),
                ("orders", "differs", "404 NOT_FOUND"),
            ],
            code: 1,
        },
        Case {
            what: "the inventory is down",
            wrong: |sandbox| fault(sandbox, "GET", INVENTORY, Fault::status(503)),
            named: &[
                ("this SIM's inventory", "unreachable", "503"),
                ("unknown MSISDN", "unreachable", "503"),
            ],
            code: 1,
        },
        Case {
            what: "the inventory has another shape",
            wrong: |sandbox| {
                fault(
                    sandbox,
                    "GET",
                    INVENTORY,
                    Fault::body(200, r#"{"productSubscriptions":[{"status":"active"}]}"#),
                )
            },
            named: &[
                (
                    "this SIM's inventory",
                    "differs",
                    "a subscription has no subscriptionId",
                ),
                ("unknown MSISDN", "differs", "SUBSCRIBER_NOT_FOUND expected"),
            ],
            code: 1,
        },
        Case {
            what: "the search finds other SIMs",
            wrong: |sandbox| {
                fault(
                    sandbox,
                    "GET",
                    SEARCH,
                    Fault::body(200, r#"{"sims":[{"simSerial":"8988247000000000027"}]}"#),
                )
            },
            named: &[
                ("this SIM in search", "differs", "the filter is not applied"),
                ("SIMs by status", "differs", "the filter is not applied"),
                ("SIMs by group", "differs", "the filter is not applied"),
            ],
            code: 0,
        },
        Case {
            what: "the search refuses filters",
            wrong: |sandbox| {
                fault(sandbox, "GET", SEARCH, Fault::problem(400, "BAD_REQUEST"));
            },
            named: &[
                ("this SIM in search", "differs", "400 BAD_REQUEST"),
                ("SIMs by status", "differs", "400 BAD_REQUEST"),
                ("SIMs by group", "differs", "400 BAD_REQUEST"),
            ],
            code: 0,
        },
        Case {
            what: "the catalog is of another kind",
            wrong: |sandbox| {
                let body = r#"{"products":[{"productDefinition":{"productId":"A","productCategory":"Add-on",
                    "unlimited":true,"allowances":{"data":[{"resourceName":"ALL","resourceValue":-1}]}}}]}"#;
                fault(sandbox, "GET", CATALOG, Fault::body(200, body));
            },
            named: &[
                ("list price", "differs", "no product on sale has a price"),
                ("unlimited products", "differs", "1, with allowances ALL"),
                ("add-ons", "differs", "1 without parentProductIds"),
            ],
            code: 0,
        },
        Case {
            what: "an eSIM is another one's",
            wrong: |sandbox| {
                fault(
                    sandbox,
                    "GET",
                    ESIM,
                    Fault::body(
                        200,
                        r#"{"simSerial":"8988247000000000027","status":"released","activationCode":"1$a.example$B"}"#,
                    ),
                )
            },
            named: &[
                ("this eSIM", "differs", "another SIM"),
                ("unknown eSIM", "differs", "ESIM_NOT_FOUND expected"),
            ],
            code: 1,
        },
        Case {
            what: "an eSIM has a state of its own",
            wrong: |sandbox| {
                fault(
                    sandbox,
                    "GET",
                    ESIM,
                    Fault::body(200, r#"{"status":"seized 8988247000000000019"}"#),
                )
            },
            named: &[
                (
                    "this eSIM",
                    "differs",
                    "status \"seized …0019\" is not in the contract",
                ),
                ("unknown eSIM", "differs", "ESIM_NOT_FOUND expected"),
            ],
            code: 1,
        },
        Case {
            what: "errors have other titles",
            wrong: |sandbox| {
                fault(sandbox, "GET", ESIM, Fault::problem(404, "SIM_UNKNOWN"));
                fault(sandbox, "GET", INVENTORY, Fault::problem(404, "NOT_FOUND"));
                fault(
                    sandbox,
                    "GET",
                    "/ocs/inventory/api/no-such-path",
                    Fault::problem(404, "NOTHING_HERE"),
                );
            },
            named: &[
                ("this SIM's inventory", "differs", "404 NOT_FOUND"),
                ("this eSIM", "differs", "404 SIM_UNKNOWN"),
                (
                    "unknown MSISDN",
                    "differs",
                    "SUBSCRIBER_NOT_FOUND expected: answered 404 NOT_FOUND",
                ),
                (
                    "unknown eSIM",
                    "differs",
                    "ESIM_NOT_FOUND expected: answered 404 SIM_UNKNOWN",
                ),
                (
                    "wrong path",
                    "differs",
                    "NOT_FOUND expected: answered 404 NOTHING_HERE",
                ),
            ],
            code: 1,
        },
        Case {
            what: "the rate is limited",
            wrong: |sandbox| {
                fault(
                    sandbox,
                    "OPTIONS",
                    SEARCH,
                    Fault::RateLimited { retry_after: None },
                )
            },
            named: &[("SIM search", "unreachable", "429 TOO_MANY_REQUESTS")],
            code: 0,
        },
    ];
    for case in cases {
        let sandbox = simulator().await;
        (case.wrong)(&sandbox);
        let (complaints, code) = complaints(&sandbox, &[]).await;
        let what = case.what;
        let mut named = BTreeMap::new();
        for (name, verdict, note) in case.named {
            let names = match *name {
                SIM_OPERATIONS => sim_operations(),
                one => vec![one],
            };
            named.extend(names.into_iter().map(|name| (name, (*verdict, *note))));
        }
        assert_eq!(
            complaints.keys().map(String::as_str).collect::<Vec<_>>(),
            named.keys().copied().collect::<Vec<_>>(),
            "{what}: {complaints:?}"
        );
        for (name, (verdict, note)) in named {
            let (found, seen) = &complaints[name];
            assert_eq!(found, verdict, "{what}: {seen}");
            assert!(seen.contains(note), "{what}: {seen}");
        }
        assert_eq!(code, Some(case.code), "{what}");
    }
}

#[tokio::test]
async fn what_is_offered_to_callers_is_required() {
    let sandbox = simulator().await;
    sandbox.control().deny(crate::support::gateway::SUSPEND);
    let enabled = [("TRANSATEL__ENABLED_OPERATIONS", "SuspendSim,UpdateSim")];
    let (complaints, code) = complaints(&sandbox, &enabled).await;
    assert_eq!(complaints.keys().collect::<Vec<_>>(), ["SuspendSim"]);
    assert!(complaints["SuspendSim"].1.ends_with("; enabled here"));
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_once() {
    let sandbox = simulator().await;
    sandbox.control().set_dead(true).await.unwrap();
    let (complaints, code) = complaints(&sandbox, &[]).await;
    assert_eq!(complaints.keys().collect::<Vec<_>>(), ["token"]);
    assert_eq!(complaints["token"].0, "unreachable");
    assert_eq!(code, Some(1));
    let run = run(&["doctor"], &settings(&sandbox.base_url(), &QUICK)).await;
    assert!(run.out.contains("unreachable    required  token"), "{}", run.out);
    assert!(run.out.contains("nothing else was checked"), "{}", run.out);
    assert!(
        run.out.contains("the gateway cannot do its job: token"),
        "{}",
        run.out
    );
}

#[tokio::test]
async fn refused_credentials_are_tried_once() {
    let sandbox = simulator().await;
    let (complaints, code) = complaints(&sandbox, &[("TRANSATEL__CLIENT_SECRET", "wrong")]).await;
    assert_eq!(complaints["token"].0, "not_permitted");
    assert_eq!(code, Some(1));
    assert_eq!(
        sandbox.control().received("POST", TOKEN),
        1,
        "refused credentials get an account flagged"
    );
}

/// Information, never a reason to fail: what it says of the place of orders.
#[tokio::test]
async fn how_safe_the_ledger_is_is_said() {
    let sandbox = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", folder.path().join("orders.db").display());
    let nowhere = "postgres://nobody@127.0.0.1:9/none".to_owned();
    let mut cases = vec![
        (
            "sqlite::memory:".to_owned(),
            "in memory: every order is forgotten with the process",
        ),
        (file, "a file that does not exist yet"),
        (nowhere, "cannot be asked"),
    ];
    if let Some(store) = crate::support::postgres::database().await {
        cases.push((
            store,
            "synchronous_commit on, no synchronous standby: a failover can lose",
        ));
    }
    for (store, expected) in cases {
        let settings = settings(
            &sandbox.base_url(),
            &[&QUICK[..], &[("STORE__URL", &*store)]].concat(),
        );
        let table = run(&["doctor"], &settings).await;
        assert_eq!(table.code, Some(0), "{}", table.out);
        let line = table
            .out
            .lines()
            .find(|line| line.starts_with("store: "))
            .unwrap();
        assert!(line.contains(expected), "{line}");
        let json = run(&["doctor", "--json"], &settings).await;
        let json: Value = serde_json::from_str(&json.out).unwrap();
        assert!(json["store"].as_str().unwrap().contains(expected), "{json}");
    }
    // Nothing was made by looking.
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
