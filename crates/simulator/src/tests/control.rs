use serde_json::json;

use super::*;

#[tokio::test]
async fn the_http_control_api_does_what_its_twin_does() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();

    let script = json!({ "method": "GET", "path": "/ocs", "steps": [{ "fault": "status", "status": 503, "repeat": 2 }] });
    assert_eq!(
        bench.post_control("/faults", script).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.get_control("/faults").await[0]["steps"][0]["repeat"], 1);
    let url = format!("{}/__sandbox/faults", bench.sandbox.base_url());
    assert_eq!(
        bench.client.delete(url).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert!(control.faults().is_empty());

    assert_eq!(
        bench
            .post_control("/settings", json!({ "token_lifetime": "1m 30s" }))
            .await
            .1["token_lifetime"],
        "1m 30s"
    );
    assert_eq!(control.settings().token_lifetime, Duration::from_secs(90));
    assert_eq!(
        bench.post_control("/settings", json!({ "nonsense": 1 })).await.0,
        StatusCode::BAD_REQUEST
    );

    let before = control.now();
    bench.post_control("/clock", json!({ "advance": "1day" })).await;
    assert!(control.now().duration_since(before).as_hours() >= 24);

    bench
        .post_control(
            &format!("/catalog/products/{FRANCE}"),
            json!({ "price_cents": 99 }),
        )
        .await;
    let body = bench.get(&format!("{PRODUCTS}/{FRANCE}")).await.1;
    assert_eq!(
        body["products"][0]["prices"]["subscriptionFee"][0][0]["amount"],
        99
    );

    let counters = bench.get_control("/counters").await;
    assert_eq!(counters["tokens_issued"], 1);
    assert_eq!(
        counters["requests"][format!("GET {PRODUCTS_TEMPLATE}")]["statuses"]["503"],
        1
    );

    assert_eq!(
        bench.post_control("/tokens/revoke", json!({})).await.1,
        json!({ "revoked": 1 })
    );
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn requests_are_kept_as_they_were_sent() {
    let bench = Bench::start().await;
    let request = bench.request(Method::GET, &format!("{PRODUCTS}?tags=FR&tags=ES"));
    let response = request.header("traceparent", "00-1-2-01").send().await.unwrap();
    let request_id = response.headers()["x-tsl-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let kept = bench.get_control("/requests?path=/ocs&limit=1").await;
    assert_eq!(kept[0]["query"], "tags=FR&tags=ES");
    assert_eq!(kept[0]["route"], PRODUCTS_TEMPLATE);
    assert_eq!(kept[0]["headers"]["traceparent"], "00-1-2-01");
    assert_eq!(kept[0]["status"], 200);
    assert_eq!(kept[0]["request_id"], request_id);
    let text = bench.get_control("/requests").await.to_string();
    assert!(text.contains("grant_type=client_credentials"));
    assert!(!text.contains(&bench.token) && !text.contains("c2FuZGJveDpzYW5kYm94LXNlY3JldA"));
}

#[tokio::test]
async fn a_provider_that_dies_for_a_time_comes_back_by_itself() {
    let bench = Bench::start().await;
    let refused = bench
        .post_control("/availability", json!({ "availability": "refusing" }))
        .await
        .0;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
    let accepted = bench
        .post_control(
            "/availability",
            json!({ "availability": "refusing", "for": "100ms" }),
        )
        .await
        .0;
    assert_eq!(accepted, StatusCode::ACCEPTED);
    let dies_and_comes_back = async {
        while bench.request(Method::GET, PRODUCTS).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
        while bench.request(Method::GET, PRODUCTS).send().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, dies_and_comes_back).await.unwrap();
}

#[tokio::test]
async fn stopping_ends_everything_and_frees_the_port() {
    let bench = Bench::start().await;
    let address = bench.sandbox.address();
    bench
        .sandbox
        .control()
        .queue(crate::Script::on_path("").then(crate::Fault::Hang));
    let Bench {
        sandbox,
        client,
        token,
    } = bench;
    let url = format!("{}{PRODUCTS}", sandbox.base_url());
    let control = sandbox.control();
    let call = client.get(url).bearer_auth(token).send();
    let stop = async {
        while control.counters().faults_applied == 0 {
            tokio::task::yield_now().await;
        }
        sandbox.stop().await;
    };
    let (response, ()) = tokio::join!(call, stop);
    response.unwrap_err();
    assert_eq!(control.counters().connections_open, 0);
    // Somebody else's connection may have the port for a moment.
    let started = std::time::Instant::now();
    let again = loop {
        let options = Options {
            listen: address,
            ..Options::default()
        };
        match Sandbox::start(options).await {
            Ok(again) => break again,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn dropping_stops_too() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let address = bench.sandbox.address();
    drop(bench);
    let gone = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() || control.counters().connections_open > 0
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn starting_is_quick() {
    let mut quickest = Duration::MAX;
    // The machine may be busy; one start in five must show what it costs.
    for _ in 0..5 {
        let before = std::time::Instant::now();
        let _sandbox = Sandbox::start(Options::default()).await.unwrap();
        quickest = quickest.min(before.elapsed());
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}
