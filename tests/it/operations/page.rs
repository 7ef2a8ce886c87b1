//! The operators' page at `/`, over HTTP and in a real browser, on a gateway in each
//! of the states that somebody is woken for.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};
use uuid::Uuid;

use crate::support::chromium::Chromium;
use crate::support::gateway::{
    FRANCE, Gateway, OPERATIONS, SUBSCRIPTIONS, TOKEN, TestEnv, fetch, get, settings, simulator, until, value,
};
use crate::support::ports::refusing;
use crate::support::postgres;
use crate::support::process::Process;
use crate::support::relay::Relay;
use crate::support::stuck::{self, SOON_STUCK};
use crate::writes::orders::{create, order};

const SIM: &str = "882470000000001";
const OTHER_SIM: &str = "882470000000002";
const UNKNOWN_SIM: &str = "882479999999999";

/// The width of a small phone.
const PHONE: u32 = 360;

fn url(gateway: &Gateway) -> String {
    format!("http://{}/", gateway.addresses.admin)
}

/// The three answers, as the page's title has them.
fn title(us: &str, them: &str, money: &str) -> String {
    format!("<title>Us: {us}. Them: {them}. Money: {money}.")
}

fn is_ready_in(metrics: &str) -> bool {
    value(metrics, "transatel_gateway_ready{", &[]).unwrap() > 0.0
}

/// Waits until the page says that.
async fn until_titled(url: &str, title: &str) -> String {
    let mut page = String::new();
    until(&format!("the page says {title}"), async || {
        page = fetch(url).await;
        page.contains(title)
    })
    .await;
    page
}

/// Nothing of a SIM is on the page: no number as long as one, beside the ids of orders,
/// of which a part may have 12 digits.
fn assert_names_no_sim(page: &str) {
    let body = page.split("<body").nth(1).unwrap();
    let is_id = |word: &str| word.len() == 36 && Uuid::try_parse(word).is_ok();
    let longest = body
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| !is_id(word))
        .flat_map(|word| word.split(|letter: char| !letter.is_ascii_digit()))
        .map(str::len)
        .max();
    assert!(longest < Some(10), "{page}");
    for secret in [&SIM[3..], &OTHER_SIM[3..], FRANCE] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
}

#[test]
fn the_id_of_an_order_is_not_taken_for_a_sim() {
    assert_names_no_sim("<body>01a229a4-c9d6-7d53-8ba3-010623345337 is open");
}

#[test]
#[should_panic(expected = "882479999999991")]
fn a_msisdn_is_found_on_the_page() {
    assert_names_no_sim("<body>882479999999991 is open");
}

/// Opens the page as a person would: it is styled, it says these things, its policy
/// is kept, it fits a phone, and it is light or dark as the reader wants.
async fn look(url: &str, says: &[&str]) {
    let page = fetch(url).await;
    assert_names_no_sim(&page);
    for text in says {
        assert!(page.contains(text), "{text} is missing: {page}");
    }
    let Some(browser) = Chromium::find() else {
        return;
    };
    let light = browser.show(url, (1000, 1500), false).await;
    let dark = browser.show(url, (PHONE, 2400), true).await;
    for (shown, name) in [(&light, "light"), (&dark, "dark")] {
        assert_eq!(shown.console, [""; 0], "{name}");
        for text in says {
            assert!(shown.dom.contains(text), "{text} is missing: {}", shown.dom);
        }
        if let Ok(folder) = std::env::var("PAGE_PICTURES") {
            let test = std::thread::current().name().unwrap_or("page").replace("::", "-");
            std::fs::write(format!("{folder}/{test}-{name}.png"), &shown.picture).unwrap();
        }
    }
    let light = browser.lay_out(&page, PHONE, false).await;
    let dark = browser.lay_out(&page, PHONE, true).await;
    for layout in [&light, &dark] {
        assert_eq!(layout.width, u64::from(PHONE), "{layout:?}");
        assert_eq!((layout.sticking_out, layout.requests), (0, 0), "{layout:?}");
    }
    assert_ne!(light.background, dark.background);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_well_says_so_on_its_page() {
    let env = TestEnv::with_events(&[]).await;
    let mut catalog = env.catalog();
    catalog.get_product(get(FRANCE)).await.unwrap();
    create(&mut env.provisioning(), &order(SIM)).await.unwrap();
    let following = env
        .events()
        .stream_events(api::StreamEventsRequest::default())
        .await;
    let _following = following.unwrap().into_inner();
    let missing = create(&mut env.provisioning(), &order(UNKNOWN_SIM)).await;
    assert!(missing.is_err());
    let url = url(&env.gateway);
    let page = until_titled(&url, &title("No", "No", "No")).await;
    assert!(is_ready_in(&env.gateway.metrics().await));
    assert!(page.contains("Valid") && page.contains("orders"), "{page}");
    until("the follower and the event are shown", async || {
        let page = fetch(&url).await;
        page.contains("<dt>Followers</dt><dd>1</dd>") && page.contains("<dd>1 new</dd>")
    })
    .await;
    look(
        &url,
        &[
            "PLACED",
            "SIM_NOT_FOUND",
            "Provisioning/CreateOrder",
            "Works",
            "Ready",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_waits_for_its_database_says_so_on_its_page() {
    let sandbox = simulator().await;
    let (_refusing, address) = refusing();
    let store = format!("postgres://gateway@{address}/ledger");
    let environment = settings(&sandbox.base_url(), &[("STORE__URL", &store)]);
    let mut process = Process::start(&["serve"], &environment);
    let line = process.logged("the admin port is open").await;
    let admin = line.split("admin=").nth(1).unwrap().split(' ').next().unwrap();
    let url = format!("http://{admin}/");
    until("the page says what it waits for", async || {
        fetch(&url).await.contains("Not ready: waiting for the ledger")
    })
    .await;
    assert!(!is_ready_in(&fetch(&format!("{url}metrics")).await));
    look(
        &url,
        &[
            &title("Yes", "Not known", "Not known"),
            "refused",
            "The ledger is not open yet.",
            "Not open",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_fails_is_blamed_on_the_page() {
    let env = TestEnv::with(&[("BREAKER__FAILURES", "3"), ("BREAKER__OPEN_FOR", "1h")]).await;
    let fails = Fault::problem(503, "MAINTENANCE").step().forever();
    env.control().queue(Script::on("GET", SUBSCRIPTIONS).then(fails));
    let mut provisioning = env.provisioning();
    for _ in 0..4 {
        create(&mut provisioning, &order(SIM)).await.unwrap_err();
    }
    let url = url(&env.gateway);
    until_titled(&url, &title("No", "Yes", "No")).await;
    look(
        &url,
        &["is open: nothing is sent there.", "PROVIDER_CIRCUIT_OPEN"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_refused_are_our_fault_on_the_page() {
    let sandbox = simulator().await;
    let refuses = Fault::problem(401, "UNAUTHORIZED").step().forever();
    sandbox.control().queue(Script::on("POST", TOKEN).then(refuses));
    let gateway = Gateway::start(&sandbox.base_url(), &[]).await;
    gateway.catalog().get_product(get(FRANCE)).await.unwrap_err();
    let url = url(&gateway);
    until_titled(&url, "<title>Us: Yes. Them: No.").await;
    look(
        &url,
        &[
            "Transatel refuses our credentials (401): no token.",
            "Not granted",
            "Not loaded",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_needs_an_operator_is_on_the_page_with_the_command_that_shows_it() {
    let env = TestEnv::with(&[&OPERATIONS[..], &SOON_STUCK].concat()).await;
    let stuck = stuck::order(&env.control(), &mut env.provisioning(), SIM).await;
    create(&mut env.provisioning(), &order(OTHER_SIM)).await.unwrap();
    create(&mut env.provisioning(), &order(UNKNOWN_SIM))
        .await
        .unwrap_err();
    let url = url(&env.gateway);
    until_titled(&url, "Money: Yes.").await;
    let command = format!("/transatel-gateway orders show {} --config", stuck.order_id);
    look(
        &url,
        &["1 needs an operator.", &command, "NEEDS_OPERATOR", "PLACED"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_comes_in_time_when_the_ledger_does_not_answer_and_says_so() {
    let Some(database) = postgres::database().await else {
        return;
    };
    let relay = Relay::start(&postgres::socket(&database)).await;
    let store = postgres::through(&relay, &database);
    let env = TestEnv::with(&[("STORE__URL", &store), ("STORE__OPERATION_TIMEOUT", "5s")]).await;
    env.catalog().get_product(get(FRANCE)).await.unwrap();
    let url = url(&env.gateway);
    until_titled(&url, &title("No", "No", "No")).await;

    relay.silence();
    tokio::time::timeout(
        Duration::from_secs(15),
        until_titled(&url, "The ledger did not answer within 2 s."),
    )
    .await
    .unwrap();
    // Many people look at once: none waits for the others' readings in turn.
    let began = Instant::now();
    let pages = futures_util::future::join_all((0..8).map(|_| fetch(&url))).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(pages.iter().all(|page| page.contains("Money: Not known.")));
    until_titled(&url, "The ledger fails (").await;
    look(
        &url,
        &["<title>Us: Yes.", "Money: Not known.", "Fails", "timeout"],
    )
    .await;

    relay.forward();
    until_titled(&url, &title("No", "No", "No")).await;
}

#[tokio::test]
async fn the_page_comes_with_a_strict_policy_and_takes_nothing() {
    let env = TestEnv::open().await;
    let url = url(&env.gateway);
    let client = reqwest::Client::new();
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("cache-control"), "no-store");
    let policy = header("content-security-policy");
    let (before, rest) = policy.split_once("'sha256-").unwrap();
    assert_eq!(before, "default-src 'none'; style-src ");
    let (_, after) = rest.split_once('\'').unwrap();
    assert_eq!(
        after,
        "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );

    let head = client.head(&url).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(head.headers()["content-security-policy"], policy);
    assert_eq!(head.text().await.unwrap(), "");
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ] {
        let refused = client.request(method.clone(), &url).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(refused.headers()["allow"], "GET,HEAD");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_names_no_order_to_whom_calls_would_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("ledger.db").display());
    let store = ("STORE__URL", store.as_str());
    let env = TestEnv::with(&[&OPERATIONS[..], &SOON_STUCK, &[store]].concat()).await;
    let id = stuck::order(&env.control(), &mut env.provisioning(), SIM)
        .await
        .order_id;
    let TestEnv { sandbox, gateway } = env;
    gateway.stop().await;

    let restricted = [
        ("CALLERS__HEADER", "l5d-client-id"),
        ("CALLERS__HEADER_FROM", "127.0.0.1"),
        ("CALLERS__ALLOW", r#"{ "shop.internal" = ["Provisioning/*"] }"#),
    ];
    let scoped = |scopes| [restricted[0], restricted[1], ("CALLERS__SCOPE", scopes)];
    let (own, all) = (
        scoped(r#"{ "shop.internal" = "own" }"#),
        scoped(r#"{ "shop.internal" = "all" }"#),
    );
    for (own, named) in [
        (&[][..], true),
        (&restricted, false),
        (&own, false),
        (&all, true),
        (&[("ADMIN__PAGE", "counts")], false),
        (&[&restricted[..], &[("ADMIN__PAGE", "ids")]].concat(), true),
    ] {
        let gateway = Gateway::start(&sandbox.base_url(), &[&[store], own].concat()).await;
        let page = until_titled(&url(&gateway), "Money: Yes.").await;
        assert!(
            page.contains("1 needs an operator.") && page.contains("NEEDS_OPERATOR"),
            "{page}"
        );
        assert_eq!(page.contains(&id), named, "{own:?}: {page}");
        assert_eq!(
            page.contains("orders list --needs-operator"),
            !named,
            "{own:?}: {page}"
        );
        gateway.stop().await;
    }
    let closed = Gateway::start(&sandbox.base_url(), &[store, ("ADMIN__PAGE", "closed")]).await;
    let answer = reqwest::get(url(&closed)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let text = answer.text().await.unwrap();
    assert!(text.contains("admin.page") && !text.contains(&id), "{text}");
}
