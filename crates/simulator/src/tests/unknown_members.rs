//! What a control call does not know is refused by its name, and what it knows is documented.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    documentation::{known_to_serde, table},
    *,
};
use crate::control::{endpoint::Endpoint, http::endpoints};

/// Calls whose body has no members of its own: any JSON, and the settings, which have a table.
const WITHOUT_MEMBERS: [&str; 2] = ["/catalog/elements", "/settings"];

/// The path of a call with something in place of its parameters.
fn path(endpoint: &Endpoint) -> String {
    endpoint
        .path
        .replace("{sim}", "1")
        .replace("{gate}", "g")
        .replace("{product}", FRANCE)
        .replace("{id}", "00000000-0000-4000-8000-000000000000")
}

/// Names of members in a body as it is documented, or of parameters in a query.
fn documented(takes: &str) -> BTreeSet<String> {
    let names: Vec<&str> = match takes.strip_prefix('?') {
        Some(query) => query
            .split('&')
            .map(|parameter| parameter.trim_end_matches('='))
            .collect(),
        None => takes.split('"').skip(1).step_by(2).collect(),
    };
    names.into_iter().map(str::to_owned).collect()
}

/// Status and error of a call with this query or body.
async fn refusal(bench: &Bench, endpoint: &Endpoint, query: &str, body: &str) -> (StatusCode, String) {
    let url = format!("{}/__sandbox{}{query}", bench.sandbox.base_url(), path(endpoint));
    let method: Method = endpoint.method.parse().unwrap();
    let request = bench.client.request(method, url).body(body.to_owned());
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn every_call_refuses_what_it_does_not_know_and_every_member_that_it_knows_is_documented() {
    let bench = Bench::start().await;
    let page = table("Calls");
    let (mut bodies, mut queries) = (0, 0);
    for endpoint in endpoints() {
        let call = format!("{} {}", endpoint.method, endpoint.path);
        let takes_a_query = endpoint.takes.starts_with('?');
        let (status, error) = refusal(&bench, &endpoint, "?stray=1", "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{call}: {error}");
        assert!(error.contains("stray"), "{call}: {error}");
        queries += 1;

        let mut known = known_to_serde(&error);
        if endpoint.method != "GET" && endpoint.path != "/catalog/elements" {
            let (status, error) = refusal(&bench, &endpoint, "", r#"{"stray":1}"#).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{call}: {error}");
            assert!(error.contains("stray"), "{call}: {error}");
            known = known_to_serde(&error);
            bodies += 1;
        }
        if (takes_a_query || endpoint.method == "POST") && !WITHOUT_MEMBERS.contains(&endpoint.path) {
            assert_eq!(documented(&page[&call]), known, "{call} in docs/simulator.md");
            for name in known.iter().filter(|_| !takes_a_query) {
                assert!(
                    endpoint.takes.contains(&format!("\"{name}\"")),
                    "{call}: the help page lacks {name}"
                );
            }
        }
    }
    assert!(
        bodies >= 30 && queries >= 45,
        "{bodies} bodies, {queries} queries"
    );
    let control = bench.sandbox.control();
    assert!(control.faults().is_empty());
}

#[tokio::test]
async fn members_further_in_are_refused_by_their_names_too() {
    let bench = Bench::start().await;
    for (path, body) in [
        (
            "/faults",
            json!({ "steps": [{ "fault": "delay", "for": "1s", "stray": 1 }] }),
        ),
        ("/faults", json!({ "steps": [{ "fault": "reset", "stray": 1 }] })),
        ("/faults", json!({ "steps": [{ "fault": "stray" }] })),
        ("/settings", json!({ "inventory": { "stray": 1 } })),
        ("/settings", json!({ "follow_ups": { "stray": 1 } })),
        ("/settings", json!({ "operations": { "stray": 1 } })),
        ("/settings", json!({ "webhooks": { "stray": 1 } })),
        ("/sims/1/inventory", json!({ "visibility": { "stray": "1s" } })),
        ("/webhook/release", json!({ "order": { "stray": 7 } })),
        (
            "/webhook/disturbances",
            json!({ "disturbances": [{ "disturbance": "lose", "stray": 1 }] }),
        ),
        (
            "/webhook/disturbances",
            json!({ "disturbances": [{ "disturbance": "stray" }] }),
        ),
    ] {
        let (status, answer) = bench.post_control(path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("stray"), "{path} {body}: {error}");
    }
    let (status, answer) = bench.post_control("/stray", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer["error"].as_str().unwrap().contains("GET /__sandbox/"));
}

/// The help page says how a held request goes on, and what it says works.
#[tokio::test]
async fn a_gate_is_opened_as_the_help_page_says() {
    let bench = Bench::start().await;
    let url = format!("{}/__sandbox/", bench.sandbox.base_url());
    let page = bench.client.get(url).send().await.unwrap().text().await.unwrap();
    for said in [
        "  hold             (gate)                               as delay, until the gate of this name is opened: \
         POST /__sandbox/gates/{gate}/release\n",
        "  POST   /__sandbox/gates/{gate}/release ",
    ] {
        assert!(page.contains(said), "{said:?}");
    }
    let hold = json!({ "path": PRODUCTS, "steps": [{ "fault": "hold", "gate": "g" }] });
    assert_eq!(
        bench.post_control("/faults", hold).await.0,
        StatusCode::NO_CONTENT
    );
    let opened = async {
        while bench.get_control("/gates").await != json!({ "g": 1 }) {
            tokio::task::yield_now().await;
        }
        bench.post_control("/gates/g/release", json!({})).await
    };
    let (held, opened) = tokio::join!(bench.get(PRODUCTS), opened);
    assert_eq!(held.0, StatusCode::OK);
    assert_eq!(opened, (StatusCode::OK, json!({ "released": 1 })));
    let none = bench.post_control("/gates/other/release", json!({})).await;
    assert_eq!(none, (StatusCode::OK, json!({ "released": 0 })));
}
