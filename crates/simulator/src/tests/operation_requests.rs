use serde_json::json;
use uuid::Uuid;

use super::{
    operations::{PLAN, SUBSCRIBERS, TRANSACTIONS, begin, iccid, operate, plan, subscriber, transaction},
    *,
};

#[tokio::test(start_paused = true)]
async fn modify_labels_a_sim() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.operations.delay = Duration::ZERO);
    let body = json!({
        "ratePlan": PLAN,
        "group": "fleet-z",
        "externalReference": "ticket-7",
        "options": [{ "name": "BAR_DATA", "value": "on" }],
        "metadata": { "device": "meter", "contract": "7" },
    });
    begin(&bench, 1, "modify", body).await;
    let read = subscriber(&bench, 1).await;
    assert_eq!(read["group"], "fleet-z");
    assert_eq!(read["metadata"], json!({ "device": "meter", "contract": "7" }));
    assert_eq!(read["options"][0], json!({ "name": "BAR_DATA", "value": "on" }));
    assert_eq!(
        control.sim("1").unwrap().external_reference.as_deref(),
        Some("ticket-7")
    );
    begin(
        &bench,
        1,
        "modify",
        json!({ "ratePlan": PLAN, "metadata": { "contract": "" } }),
    )
    .await;
    assert_eq!(
        subscriber(&bench, 1).await["metadata"],
        json!({ "device": "meter" })
    );
}

#[tokio::test]
async fn wrong_bodies_and_unknown_sims_are_refused() {
    let bench = Bench::start().await;
    let many: serde_json::Map<_, _> = (0..11).map(|n| (n.to_string(), json!("x"))).collect();
    for (operation, body) in [
        ("suspend", json!({})),
        ("suspend", json!({ "ratePlan": "OTHER" })),
        ("suspend", json!({ "ratePlan": "x".repeat(51) })),
        ("suspend", json!({ "ratePlan": PLAN, "group": "g" })),
        ("suspend", json!({ "ratePlan": PLAN, "reason": "typo" })),
        ("suspend", json!({ "ratePlan": PLAN, "newSimSerial": iccid(1) })),
        ("suspend", json!({ "ratePlan": PLAN, "metadata": many })),
        (
            "suspend",
            json!({ "ratePlan": PLAN, "metadata": { "k".repeat(51): "v" } }),
        ),
        (
            "modify",
            json!({ "ratePlan": PLAN, "serviceProfile": "p", "options": [] }),
        ),
        (
            "modify",
            json!({ "ratePlan": PLAN, "options": [{ "name": "A", "value": "maybe" }] }),
        ),
        (
            "modify",
            json!({ "ratePlan": PLAN, "subscriberCountryOfResidence": "FRA" }),
        ),
        ("sim-swap", plan()),
        ("sim-swap", json!({ "ratePlan": PLAN, "newSimSerial": "1" })),
        ("suspend", json!([])),
    ] {
        let (status, answer) = operate(&bench, 2, operation, body.clone()).await;
        assert_eq!(
            (status.as_u16(), title(&answer)),
            (400, "BAD_REQUEST"),
            "{operation} {body}"
        );
    }
    let control = bench.sandbox.control();
    assert!(control.transactions(None).unwrap().is_empty());

    let (status, body) = operate(&bench, 999_999, "suspend", plan()).await;
    assert_eq!((status.as_u16(), title(&body)), (404, "SUBSCRIBER_NOT_FOUND"));
    control.configure(|settings| settings.unknown_sim_is_bad_request = true);
    let (status, body) = operate(&bench, 999_999, "suspend", plan()).await;
    assert_eq!((status.as_u16(), title(&body)), (400, "BAD_REQUEST"));
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("doesn't belong to customer")
    );
    let unknown = format!("{TRANSACTIONS}/{}", Uuid::nil());
    assert_eq!(title(&bench.get(&unknown).await.1), "TRANSACTION_ID_NOT_FOUND");
}

#[tokio::test]
async fn accounts_differ_in_their_operations() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| {
        settings.operations.rate_plan_required = false;
        settings.operations.status_member = "status".to_owned();
        settings.operations.preactivated_not_ready = true;
    });
    let (_, body) = operate(&bench, 2, "suspend", json!({ "externalReference": "r" })).await;
    assert_eq!(
        (&body["status"], body.get("transactionStatus")),
        (&json!("PENDING"), None)
    );
    let (status, body) = operate(&bench, 1, "activate", plan()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("not ready for activation")
    );
    control.configure(|settings| settings.operations.configured = false);
    let (status, body) = operate(&bench, 1, "activate", plan()).await;
    assert_eq!((status.as_u16(), title(&body)), (501, "NOT_IMPLEMENTED"));
}

#[tokio::test]
async fn options_tells_for_each_url_what_the_account_may_do() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let allow = async |operation: &str| {
        let path = format!("{SUBSCRIBERS}/{}{operation}", iccid(2));
        let response = bench.request(Method::OPTIONS, &path).send().await.unwrap();
        response.headers()["allow"].to_str().unwrap().to_owned()
    };
    assert_eq!(allow("/suspend").await, "POST, OPTIONS");
    control.deny(&format!("POST {SUBSCRIBERS}/{{simSerial}}/terminate"));
    assert_eq!(allow("/terminate").await, "OPTIONS");
    assert_eq!(allow("/suspend").await, "POST, OPTIONS");
    let (status, body) = operate(&bench, 2, "terminate", plan()).await;
    assert_eq!((status.as_u16(), title(&body)), (403, "INSUFFICIENT_PERMISSION"));
    control.deny("POST /connectivity-management");
    assert_eq!(allow("/suspend").await, "OPTIONS");
    assert_eq!(allow("").await, "GET, OPTIONS");
    control.deny("/connectivity-management");
    assert_eq!(allow("").await, "OPTIONS");
    let (status, body) = operate(&bench, 2, "suspend", plan()).await;
    assert_eq!((status.as_u16(), title(&body)), (403, "INSUFFICIENT_PERMISSION"));
}

#[tokio::test]
async fn transactions_can_be_steered_over_http() {
    let bench = Bench::start().await;
    let decided = bench
        .post_control("/sims/2/outcomes", json!({ "outcome": "hang", "delay": "5s" }))
        .await
        .0;
    assert_eq!(decided, StatusCode::NO_CONTENT);
    let id = begin(&bench, 2, "suspend", plan()).await;
    let listed = bench.get_control("/transactions?sim=2").await;
    assert_eq!(
        listed,
        json!([{ "transaction_id": id, "iccid": iccid(2), "operation": "suspend", "status": "PENDING" }])
    );
    let path = format!("/transactions/{id}");
    assert_eq!(
        bench.post_control(&path, json!({ "outcome": "fail" })).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        bench.post_control(&path, json!({ "outcome": "finish" })).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(transaction(&bench, id).await["asyncStatus"], "ERROR");
    let settings = bench
        .post_control("/settings", json!({ "operations": { "delay": "0s" } }))
        .await
        .1;
    assert_eq!(settings["operations"]["delay"], "0s");
    assert_eq!(settings["operations"]["outcome"], "finish");
}
