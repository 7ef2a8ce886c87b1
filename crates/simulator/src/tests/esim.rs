use serde_json::json;

use super::*;
use crate::{ProfileStatus, world::stock::ids::SimNumber};

fn path(number: u32) -> String {
    format!(
        "/sim-management/sims/api/esims/sim-serial/{}",
        SimNumber(number).iccid()
    )
}

async fn esim(bench: &Bench, number: u32) -> Value {
    let (status, body) = bench.get(&path(number)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

#[tokio::test]
async fn a_released_profile_shows_its_activation_material() {
    let bench = Bench::start().await;
    let body = esim(&bench, 1).await;
    assert_eq!(body["simSerial"], "8988247000000000019");
    assert_eq!(body["status"], "released");
    let matching_id = body["matchingId"].as_str().unwrap();
    assert_eq!(matching_id.len(), 32);
    assert_eq!(
        body["activationCode"],
        format!("1$rsp.sandbox.example${matching_id}")
    );
    assert_eq!(
        body["qrCode"]["value"],
        format!("LPA:1$rsp.sandbox.example${matching_id}")
    );
    assert!(body.get("eid").is_none() && body.get("history").is_none());
}

#[tokio::test]
async fn material_is_shown_from_release_on_and_in_every_form() {
    let bench = Bench::start().await;
    for number in [5, 6] {
        let body = esim(&bench, number).await;
        assert!(
            body.get("activationCode").is_none() && body.get("qrCode").is_none(),
            "{body}"
        );
    }
    let mut seen = Vec::new();
    for number in [5, 6, 1, 7, 8, 2, 9, 10] {
        seen.push(esim(&bench, number).await["status"].as_str().unwrap().to_owned());
    }
    let all = [
        "available",
        "allocated",
        "released",
        "downloaded",
        "installed",
        "enabled",
        "disabled",
        "deleted",
    ];
    assert_eq!(seen, all);
    assert!(esim(&bench, 11).await["eid"].is_string());
    let qr_only = esim(&bench, 29).await;
    assert!(qr_only.get("activationCode").is_none() && qr_only["qrCode"]["value"].is_string());
    assert!(
        esim(&bench, 30).await["activationCode"]
            .as_str()
            .unwrap()
            .starts_with("LPA:1$")
    );
    assert!(esim(&bench, 31).await["smdpAddress"].is_string());
    assert_eq!(esim(&bench, 32).await["status"], "Released");
}

#[tokio::test]
async fn physical_and_unknown_sims_are_told_from_wrong_urls() {
    let bench = Bench::start().await;
    let unknown = "/sim-management/sims/api/esims/sim-serial/8933200000000000000";
    for path in [path(3), unknown.to_owned()] {
        let (status, body) = bench.get(&path).await;
        assert_eq!((status.as_u16(), title(&body)), (404, "ESIM_NOT_FOUND"));
    }
    let (status, body) = bench
        .get("/sim-management/sims/api/esims/8988247000000000019")
        .await;
    assert_eq!((status.as_u16(), title(&body)), (404, "NOT_FOUND"));
    let (status, body) = bench.get("/sim-management/sims/api/esims/sim-serial/12345").await;
    assert_eq!((status.as_u16(), title(&body)), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn history_grows_with_what_happens() {
    let bench = Bench::start().await;
    bench.sandbox.control().attach("1", "ES").unwrap();
    let body = bench.get(&format!("{}?history=true", path(1))).await.1;
    assert_eq!(body["status"], "enabled");
    assert_eq!(body["eid"].as_str().unwrap().len(), 32);
    let history: Vec<_> = body["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["status"].clone())
        .collect();
    assert_eq!(
        history,
        [
            "available",
            "allocated",
            "released",
            "downloaded",
            "installed",
            "enabled"
        ]
    );
    bench
        .sandbox
        .control()
        .set_esim_status("1", ProfileStatus::Deleted)
        .unwrap();
    assert_eq!(esim(&bench, 1).await["status"], "deleted");
}

#[tokio::test]
async fn releasing_is_not_permitted_until_it_is() {
    let bench = Bench::start().await;
    let patch = async || {
        let request = bench.send_json(Method::PATCH, &path(5), &json!({}));
        read(request.send().await.unwrap()).await
    };
    let options = bench.request(Method::OPTIONS, &path(5)).send().await.unwrap();
    assert_eq!(options.headers()["allow"], "GET, OPTIONS");
    let (status, body) = patch().await;
    assert_eq!((status.as_u16(), title(&body)), (403, "INSUFFICIENT_PERMISSION"));
    bench.sandbox.control().permit("PATCH /sim-management");
    assert_eq!(patch().await.1["status"], "released");
    assert_eq!(patch().await.0, StatusCode::BAD_REQUEST);
}
