use serde_json::json;

use super::*;
use crate::{Impossible, SimStatus};

const SEARCH: &str = "/sim-search/api/sim/search";
const SUBSCRIBERS: &str = "/connectivity-management/subscribers/api/subscribers";

async fn search(bench: &Bench, query: &str) -> Value {
    let (status, body) = bench.get(&format!("{SEARCH}?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    body
}

#[tokio::test]
async fn search_leads_from_one_identifier_to_the_other() {
    let bench = Bench::start().await;
    let by_serial = search(&bench, "simSerial=eq:8988247000000000019").await;
    let sim = &by_serial["sims"][0];
    assert_eq!(sim["msisdn"], "+882470000000001");
    assert_eq!(sim["status"], "Pre-Activated");
    assert_eq!(sim["ratePlan"], "M2MA_WW_TSL_BUNDLES_1");
    assert_eq!(sim["lastEsimProfileStatus"], "released");
    assert_eq!(by_serial["totalPages"], 1);
    for query in ["msisdn=eq:882470000000001", "msisdn=eq:%2B882470000000001"] {
        assert_eq!(
            search(&bench, query).await["sims"][0]["simSerial"],
            "8988247000000000019"
        );
    }
    let none = search(&bench, "simSerial=eq:8933200000000000000").await;
    assert_eq!(none, json!({ "sims": [], "totalPages": 0 }));
    assert_eq!(
        search(&bench, "msisdn=in:882470000000001+882470000000002").await["sims"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn search_pages_from_one() {
    let bench = Bench::start().await;
    let all = search(&bench, "size=10000").await;
    assert_eq!(
        (all["sims"].as_array().unwrap().len(), &all["totalPages"]),
        (5_000, &json!(1))
    );
    let mut seen = Vec::new();
    for page in 1..=6 {
        let body = search(&bench, &format!("size=1000&page={page}")).await;
        assert_eq!(body["totalPages"], 5);
        seen.extend(body["sims"].as_array().unwrap().clone());
    }
    assert_eq!(json!(seen), all["sims"]);
    for wrong in [
        "page=0",
        "page=x",
        "size=0",
        "size=10001",
        "simSerial=8988247000000000019",
        "simSerial=eq:",
        "msisdn=eq:+882470000000001",
    ] {
        let (status, body) = bench.get(&format!("{SEARCH}?{wrong}")).await;
        assert_eq!((status.as_u16(), title(&body)), (400, "BAD_REQUEST"), "{wrong}");
    }
}

#[tokio::test]
async fn search_filters_by_status_and_group() {
    let bench = Bench::start().await;
    let suspended = search(&bench, "status=eq:Suspended&size=10000").await;
    let suspended = suspended["sims"].as_array().unwrap();
    assert!(suspended.len() > 100 && suspended.iter().all(|sim| sim["status"] == "Suspended"));
    let both = search(&bench, "status=eq:Suspended&group=eq:fleet-a&size=10000").await;
    let both = both["sims"].as_array().unwrap();
    assert!(
        !both.is_empty() && both.len() < suspended.len() && both.iter().all(|sim| sim["group"] == "fleet-a")
    );
    assert_eq!(search(&bench, "mvnoRef=eq:OTHER").await["totalPages"], 0);
}

#[tokio::test]
async fn search_has_its_peculiar_records() {
    let bench = Bench::start().await;
    let one = async |number: u32| {
        let serial = crate::world::stock::ids::SimNumber(number).iccid();
        search(&bench, &format!("simSerial=eq:{serial}")).await["sims"][0].clone()
    };
    assert_eq!(one(33).await["status"], "PREACTIVATED");
    assert_eq!(one(34).await.as_object().unwrap().len(), 1);
    assert!(one(3).await.get("lastEsimProfileStatus").is_none());
}

#[tokio::test]
async fn search_may_lag_behind() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.search_lag = Duration::from_secs(600));
    control.set_sim_status("2", SimStatus::Suspended).unwrap();
    let status = async || search(&bench, "msisdn=eq:882470000000002").await["sims"][0]["status"].clone();
    assert_eq!(status().await, "Active");
    let subscriber = bench
        .get(&format!("{SUBSCRIBERS}/msisdn/882470000000002"))
        .await
        .1;
    assert_eq!(subscriber["status"], "Suspended");
    control.advance(Duration::from_secs(601));
    assert_eq!(status().await, "Suspended");
}

#[tokio::test]
async fn subscribers_are_read_by_both_identifiers() {
    let bench = Bench::start().await;
    let by_serial = bench
        .get(&format!("{SUBSCRIBERS}/sim-serial/8988247000000000019"))
        .await
        .1;
    let by_msisdn = bench
        .get(&format!("{SUBSCRIBERS}/msisdn/882470000000001"))
        .await
        .1;
    assert_eq!(by_serial, by_msisdn);
    assert_eq!(by_serial["status"], "Pre-Activated");
    assert_eq!(by_serial["primaryImsi"].as_str().unwrap().len(), 15);
    let unknown = format!("{SUBSCRIBERS}/sim-serial/8933200000000000000");
    let (status, body) = bench.get(&unknown).await;
    assert_eq!((status.as_u16(), title(&body)), (404, "SUBSCRIBER_NOT_FOUND"));
    bench
        .sandbox
        .control()
        .configure(|settings| settings.unknown_sim_is_bad_request = true);
    let (status, body) = bench.get(&unknown).await;
    assert_eq!(
        (
            status.as_u16(),
            body["detail"].as_str().unwrap().contains("doesn't belong")
        ),
        (400, true)
    );
    let (status, body) = bench.get(&format!("{SUBSCRIBERS}/msisdn/+882470000000001")).await;
    assert_eq!((status.as_u16(), title(&body)), (400, "BAD_REQUEST"));
    let transaction = "/connectivity-management/subscribers/api/transactions/1";
    assert_eq!(title(&bench.get(transaction).await.1), "TRANSACTION_ID_NOT_FOUND");
}

#[tokio::test]
async fn connectivity_can_be_closed() {
    let bench = Bench::with(Options {
        connectivity: false,
        ..Options::default()
    })
    .await;
    let path = format!("{SUBSCRIBERS}/msisdn/882470000000001");
    let (status, body) = bench.get(&path).await;
    assert_eq!((status.as_u16(), title(&body)), (403, "INSUFFICIENT_PERMISSION"));
    let options = bench.request(Method::OPTIONS, &path).send().await.unwrap();
    assert_eq!(options.headers()["allow"], "OPTIONS");
}

#[tokio::test]
async fn levers_refuse_what_cannot_be() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    assert_eq!(control.attach("0", "FR"), Err(Impossible::UnknownSim));
    assert_eq!(control.attach("1", "XX"), Err(Impossible::UnknownCountry));
    assert_eq!(
        control.attach("12", "FR"),
        Err(Impossible::Status(SimStatus::Suspended))
    );
    assert!(matches!(control.attach("5", "FR"), Err(Impossible::Profile(_))));
    assert_eq!(
        control.use_data("1", 1),
        Err(Impossible::Status(SimStatus::PreActivated))
    );
    assert!(matches!(control.use_data("9", 1), Err(Impossible::Profile(_))));
    assert_eq!(
        control.set_esim_status("3", crate::ProfileStatus::Enabled),
        Err(Impossible::Physical)
    );
    // A physical SIM attaches like any other.
    assert_eq!(control.attach("40", "JPN").unwrap().status, SimStatus::Active);
}

#[tokio::test]
async fn sim_levers_work_over_http() {
    let bench = Bench::start().await;
    let found = bench.get_control("/sims?status=Suspended&limit=3").await;
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(found[0]["number"], 12);
    assert_eq!(
        bench.get_control("/sims/882470000000001").await["esim_status"],
        "released"
    );
    assert_eq!(
        bench
            .post_control("/sims/4/attach", json!({ "country": "FR" }))
            .await
            .1["status"],
        "Active"
    );
    assert_eq!(
        bench
            .post_control("/sims/4/use", json!({ "bytes": 2048 }))
            .await
            .1,
        json!({ "uncovered_bytes": 0 })
    );
    assert_eq!(
        bench.post_control("/sims/4/expire", json!({})).await.1,
        json!({ "expired": 1 })
    );
    let status = bench
        .post_control(
            "/sims/4/status",
            json!({ "status": "Tariff_Holiday", "esim_status": "disabled" }),
        )
        .await
        .1;
    assert_eq!(
        (&status["status"], &status["esim_status"]),
        (&json!("Tariff_Holiday"), &json!("disabled"))
    );
    assert_eq!(
        bench
            .post_control("/sims/4/attach", json!({ "country": "FR" }))
            .await
            .0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        bench.post_control("/sims/999999/expire", json!({})).await.0,
        StatusCode::NOT_FOUND
    );
    let granted = bench
        .post_control("/sims/1/bundles", json!({ "product_id": FRANCE }))
        .await
        .1;
    assert_eq!(
        bench.get_control("/sims/1").await["bundles"][0]["subscription_id"],
        granted["subscription_id"]
    );
    assert_eq!(
        bench
            .post_control("/account", json!({ "balance_cents": 5 }))
            .await
            .1["balance_cents"],
        5
    );
}

#[tokio::test]
async fn a_delivery_is_a_file_of_sims_that_can_be_sold() {
    let bench = Bench::start().await;
    let url = format!("{}/__sandbox/delivery", bench.sandbox.base_url());
    let file = bench.client.get(url).send().await.unwrap().text().await.unwrap();
    let mut lines = file.lines();
    let header = "TransatelId;Msisdn;Release;IccId;HLRStatus;Pin1;Puk1";
    assert_eq!(lines.next(), Some(header));
    let cards: Vec<&str> = lines.map(|line| line.split(';').nth(3).unwrap()).collect();
    let delivered = bench.sandbox.control().delivery();
    let expected: Vec<&str> = delivered.iter().map(|sim| sim.iccid.as_str()).collect();
    assert_eq!(cards, expected);
    assert_eq!(cards[0], "8988247000000000647");
    for sim in delivered {
        assert_eq!(sim.status, SimStatus::PreActivated);
        assert_eq!(sim.esim_status, Some(crate::ProfileStatus::Released));
        assert!(sim.number > 60 && sim.eid.is_none() && sim.bought().next().is_none());
    }
}
