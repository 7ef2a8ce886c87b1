use super::*;

#[tokio::test]
async fn a_caller_without_a_token_learns_nothing_else() {
    let bench = Bench::start().await;
    for path in [PRODUCTS, "/no/such/api/path"] {
        let url = format!("{}{path}", bench.sandbox.base_url());
        for request in [
            bench.client.get(&url),
            bench.client.get(&url).bearer_auth("made-up"),
        ] {
            let (status, body) = read(request.send().await.unwrap()).await;
            assert_eq!((status, title(&body)), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"));
        }
    }
}

#[tokio::test]
async fn wrong_urls_methods_and_types_are_refused_by_name() {
    let bench = Bench::start().await;
    let problem = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.headers().contains_key("x-tsl-request-id"));
        let (status, body) = read(response).await;
        assert_eq!(body["status"], status.as_u16());
        (status.as_u16(), title(&body).to_owned())
    };
    let get = |path| bench.request(Method::GET, path);
    assert_eq!(problem(get("/nothing")).await, (404, "NOT_FOUND".into()));
    assert_eq!(
        problem(get("/ocs/catalog/api/cos")).await,
        (404, "NOT_FOUND".into())
    );
    assert_eq!(
        problem(bench.request(Method::PUT, PRODUCTS)).await,
        (405, "METHOD_NOT_ALLOWED".into())
    );
    assert_eq!(
        problem(get("/authentication/api/token")).await,
        (405, "METHOD_NOT_ALLOWED".into())
    );
    assert_eq!(
        problem(get(PRODUCTS).header("accept", "text/html")).await,
        (406, "NOT_ACCEPTABLE".into())
    );
    let foreign = "/ocs/catalog/api/cos/COS_SPC/products";
    assert_eq!(
        problem(get(foreign)).await,
        (403, "INSUFFICIENT_PERMISSION".into())
    );
}

#[tokio::test]
async fn options_lists_what_the_account_may_use() {
    let bench = Bench::start().await;
    let allow = async |path: &str| {
        let response = bench.request(Method::OPTIONS, path).send().await.unwrap();
        let allow = response
            .headers()
            .get("allow")
            .map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), allow)
    };
    assert_eq!(allow(PRODUCTS).await, (204, Some("GET, OPTIONS".into())));
    assert_eq!(allow("/nothing").await, (404, None));
    bench.sandbox.control().deny("/ocs/catalog");
    assert_eq!(allow(PRODUCTS).await, (204, Some("OPTIONS".into())));
    let (status, body) = bench.get(PRODUCTS).await;
    assert_eq!((status.as_u16(), title(&body)), (403, "INSUFFICIENT_PERMISSION"));
    bench.sandbox.control().permit("/ocs/catalog");
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::OK);
}

#[tokio::test]
async fn request_ids_differ() {
    let bench = Bench::start().await;
    let id = async || {
        let response = bench.request(Method::GET, "/nothing").send().await.unwrap();
        response.headers()["x-tsl-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(id().await, id().await);
}

#[tokio::test]
async fn a_request_without_an_end_is_refused() {
    let bench = Bench::start().await;
    let body = vec![b'x'; 2 * 1024 * 1024];
    let request = bench
        .request(Method::POST, PRODUCTS)
        .header("content-type", "application/json")
        .body(body);
    // The refusal may overtake the rest of the body, and then the connection ends.
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::OK);
}
