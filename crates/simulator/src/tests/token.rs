use reqwest::header;

use super::*;

async fn post(
    bench: &Bench,
    authorization: Option<&str>,
    content_type: &str,
    body: &str,
) -> (StatusCode, Value) {
    let url = format!("{}/authentication/api/token", bench.sandbox.base_url());
    let mut request = bench
        .client
        .post(url)
        .header("content-type", content_type)
        .body(body.to_owned());
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn requests_that_are_wrong_get_the_oauth_error_for_it() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const GOOD: &str = "Basic c2FuZGJveDpzYW5kYm94LXNlY3JldA==";
    const GRANT: &str = "grant_type=client_credentials";
    let bench = Bench::start().await;
    for (authorization, content_type, body, status, error) in [
        (Some(GOOD), "application/json", GRANT, 400, "invalid_request"),
        (Some(GOOD), FORM, "", 400, "invalid_request"),
        (Some("Bearer abc"), FORM, GRANT, 400, "invalid_request"),
        (Some("Basic !!!"), FORM, GRANT, 400, "invalid_request"),
        (Some("Basic c2FuZGJveA=="), FORM, GRANT, 400, "invalid_request"),
        (
            Some(GOOD),
            FORM,
            "grant_type=password",
            400,
            "unsupported_grant_type",
        ),
        (
            Some(GOOD),
            FORM,
            "grant_type=client_credentials&scope=EVERYTHING",
            400,
            "invalid_scope",
        ),
        (
            Some("Basic c2FuZGJveDp3cm9uZw=="),
            FORM,
            GRANT,
            401,
            "invalid_client",
        ),
        (None, FORM, GRANT, 401, "invalid_client"),
    ] {
        let (got, answer) = post(&bench, authorization, content_type, body).await;
        assert_eq!(
            (got.as_u16(), answer["error"].as_str()),
            (status, Some(error)),
            "{body} {authorization:?}"
        );
        assert!(answer["error_uri"].as_str().unwrap().ends_with(error));
    }
    assert_eq!(bench.sandbox.control().counters().tokens_refused, 9);
}

#[tokio::test]
async fn a_token_says_how_long_it_lives_and_what_it_opens_and_is_not_stored() {
    let bench = Bench::with(Options {
        token_lifetime: Duration::from_secs(60),
        ..Options::default()
    })
    .await;
    let response = bench
        .client
        .post(format!("{}/authentication/api/token", bench.sandbox.base_url()))
        .basic_auth("sandbox", Some("sandbox-secret"))
        .form(&[
            ("grant_type", "client_credentials"),
            ("scope", "CATALOG_PRODUCTS_READ SIMS_ESIM_READ"),
        ])
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let (_, body) = read(response).await;
    assert_eq!(body["expires_in"], 60);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "CATALOG_PRODUCTS_READ SIMS_ESIM_READ");
    assert_eq!(body["access_token"].as_str().unwrap().split('.').count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_lifetime_and_with_a_revocation() {
    let bench = Bench::start().await;
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(3601)).await;
    let (status, body) = bench.get(PRODUCTS).await;
    assert_eq!((status, title(&body)), (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"));

    let bench = Bench::start().await;
    assert_eq!(bench.sandbox.control().revoke_tokens(), 1);
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.sandbox.control().counters().unauthorized, 1);
}

#[tokio::test]
async fn credentials_can_be_refused() {
    let bench = Bench::start().await;
    bench
        .sandbox
        .control()
        .configure(|settings| settings.credentials_refused = true);
    let (status, body) = post(
        &bench,
        Some("Basic c2FuZGJveDpzYW5kYm94LXNlY3JldA=="),
        "application/x-www-form-urlencoded; charset=UTF-8",
        "grant_type=client_credentials",
    )
    .await;
    assert_eq!(
        (status.as_u16(), body["error"].as_str()),
        (401, Some("invalid_client"))
    );
    // Tokens that are out stay good.
    assert_eq!(bench.get(PRODUCTS).await.0, StatusCode::OK);
}
