//! Numbers of SIMs that have ended are given to others: what is cached of such a
//! pair is dropped as soon as anything shows that the SIM has ended.

use serde_json::json;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script, SimStatus};

use crate::support::gateway::{TestEnv, by_iccid, by_msisdn, reason, until};

const SEARCH: &str = "/sim-search/api/sim/search";
/// In use.
const ENDS: &str = "882470000000038";

/// Whose eSIM a caller gets by the number: the ICCID that it was resolved to.
async fn card(env: &TestEnv) -> String {
    let request = api::GetEsimRequest {
        sim: by_msisdn(ENDS),
        include_history: false,
    };
    let mut esims = api::esim_client::EsimClient::new(env.gateway.channel.clone());
    let answer = esims.get_esim(request).await.unwrap().into_inner();
    answer.esim.unwrap().sim.unwrap().iccid
}

fn searches(env: &TestEnv) -> u64 {
    env.control().received("GET", SEARCH)
}

/// The pair is cached: another look-up asks nothing.
async fn is_cached(env: &TestEnv) -> bool {
    card(env).await;
    let before = searches(env);
    card(env).await;
    searches(env) == before
}

/// SIM Search shows that another card has the number of a SIM that has ended.
fn give_number_to(env: &TestEnv, new: &str) {
    let old = env.control().sim(ENDS).unwrap().iccid;
    let record = |iccid: &str, status: &str| json!({ "simSerial": iccid, "msisdn": format!("+{ENDS}"), "status": status });
    let body = json!({ "sims": [record(&old, "Terminated"), record(new, "Active")] });
    let answer = Fault::body(200, body.to_string()).step();
    env.control()
        .queue(Script::on("GET", SEARCH).then(answer.forever()));
}

#[tokio::test]
async fn a_number_is_looked_up_again_after_an_event_says_that_its_sim_ended() {
    let env = TestEnv::with_events(&[]).await;
    assert!(is_cached(&env).await);
    env.control().set_sim_status(ENDS, SimStatus::Terminated).unwrap();
    env.control().until_events_sent().await;
    until("the pair is dropped", async || {
        let before = searches(&env);
        card(&env).await;
        searches(&env) > before
    })
    .await;
    // Nothing is cached of a SIM that has ended, by either identifier.
    assert!(!is_cached(&env).await);
    let new = env.control().sim("9").unwrap().iccid;
    give_number_to(&env, &new);
    assert_eq!(card(&env).await, new);
    assert!(is_cached(&env).await, "the new pair is");
}

#[tokio::test]
async fn a_number_is_looked_up_again_after_a_reading_shows_that_its_sim_ended() {
    let by_card = |env: &TestEnv| by_iccid(&env.control().sim(ENDS).unwrap().iccid);
    for listed in [false, true] {
        // Without events.
        let env = TestEnv::open().await;
        assert!(is_cached(&env).await);
        env.control().set_sim_status(ENDS, SimStatus::Terminated).unwrap();
        assert!(is_cached(&env).await, "nothing shows it yet");
        let mut inventory = env.inventory();
        if listed {
            let request = api::ListSimsRequest {
                statuses: vec![api::SimStatus::Terminated.into()],
                ..Default::default()
            };
            let answer = inventory.list_sims(request).await.unwrap().into_inner();
            assert!(!answer.sims.is_empty());
        } else {
            let request = api::GetSimRequest { sim: by_card(&env) };
            let answer = inventory.get_sim(request).await.unwrap().into_inner();
            assert_eq!(answer.sim.unwrap().status(), api::SimStatus::Terminated);
        }
        assert!(!is_cached(&env).await, "listed: {listed}");
        let new = env.control().sim("9").unwrap().iccid;
        give_number_to(&env, &new);
        assert_eq!(card(&env).await, new, "listed: {listed}");
    }
}

#[tokio::test]
async fn an_ended_sim_is_not_read_by_a_number_that_is_another_sims_now() {
    let env = TestEnv::open().await;
    let ended = env.control().sim(ENDS).unwrap().iccid;
    let request = api::GetInventoryRequest {
        sim: by_iccid(&ended),
        ..Default::default()
    };
    env.control().set_sim_status(ENDS, SimStatus::Terminated).unwrap();
    let mut inventory = env.inventory();
    inventory.get_inventory(request.clone()).await.unwrap();
    give_number_to(&env, &env.control().sim("9").unwrap().iccid);
    let refused = reason(&inventory.get_inventory(request).await.unwrap_err());
    assert_eq!(refused.reason, "SIM_NOT_RESOLVABLE");
    assert_eq!(refused.metadata["needed"], "msisdn");
}
