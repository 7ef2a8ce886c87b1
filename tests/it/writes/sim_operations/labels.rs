//! Labels of a SIM: what `UpdateSim` writes can be read back, and cleared.

use std::collections::HashMap;

use api::SimOperationState::{Succeeded, Unknown};
use serde_json::json;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};
use uuid::Uuid;

use super::{IN_USE, PLAN};
use crate::support::gateway::{LINE, TestEnv, by_msisdn, reason, until, violations};

const MODIFY: &str = "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/modify";
const CLEARS: (&str, &str) = ("TRANSATEL__EMPTY_LABEL", "clears");

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn entries(entries: &[(&str, &str)]) -> HashMap<String, String> {
    let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    entries.iter().map(entry).collect()
}

fn update(
    group: Option<String>,
    reference: Option<String>,
    metadata: &[(&str, &str)],
) -> api::UpdateSimRequest {
    api::UpdateSimRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(IN_USE),
        group,
        reference,
        metadata: entries(metadata),
        ..Default::default()
    }
}

async fn state(env: &TestEnv, request: &api::UpdateSimRequest) -> api::SimOperationState {
    let answer = env.provisioning().update_sim(request.clone()).await.unwrap();
    answer.into_inner().operation.unwrap().state()
}

/// Sends it and waits until the SIM is as requested.
async fn carry_out(env: &TestEnv, request: &api::UpdateSimRequest) {
    until("it is carried out", async || {
        state(env, request).await == Succeeded
    })
    .await;
}

async fn get(env: &TestEnv) -> api::Sim {
    let request = api::GetSimRequest {
        sim: by_msisdn(IN_USE),
    };
    let answer = env.inventory().get_sim(request).await.unwrap();
    answer.into_inner().sim.unwrap()
}

async fn listed(env: &TestEnv) -> api::Sim {
    let request = api::ListSimsRequest {
        page_size: 1000,
        ..Default::default()
    };
    let page = env.inventory().list_sims(request).await.unwrap().into_inner();
    let is_meant = |sim: &api::Sim| sim.ids.as_ref().is_some_and(|ids| ids.msisdn == IN_USE);
    page.sims.into_iter().find(is_meant).unwrap()
}

type Labels = (String, String, HashMap<String, String>);

fn labels(sim: api::Sim) -> Labels {
    (sim.group, sim.reference, sim.metadata)
}

fn expected(group: &str, reference: &str, metadata: &[(&str, &str)]) -> Labels {
    (group.into(), reference.into(), entries(metadata))
}

#[tokio::test]
async fn labels_read_back_as_they_were_written() {
    let env = TestEnv::with_operations(&[CLEARS]).await;
    for (request, then) in [
        (
            update(
                text("fleet-b"),
                text("shelf 7"),
                &[("depot", "Lyon"), ("owner", "Jane Doe")],
            ),
            expected("fleet-b", "shelf 7", &[("depot", "Lyon"), ("owner", "Jane Doe")]),
        ),
        // What is absent stays.
        (
            update(None, None, &[("owner", "")]),
            expected("fleet-b", "shelf 7", &[("depot", "Lyon")]),
        ),
        (
            update(None, text("shelf 8"), &[]),
            expected("fleet-b", "shelf 8", &[("depot", "Lyon")]),
        ),
        // What is empty is cleared.
        (
            update(text(""), None, &[]),
            expected("", "shelf 8", &[("depot", "Lyon")]),
        ),
        (update(None, text(""), &[("depot", "")]), expected("", "", &[])),
    ] {
        carry_out(&env, &request).await;
        assert_eq!(labels(get(&env).await), then, "{request:?}");
        assert_eq!(labels(listed(&env).await), then, "{request:?}");
    }
    assert_eq!(get(&env).await.plan, PLAN);
}

#[tokio::test]
async fn metadata_that_the_search_does_not_show_is_read_elsewhere() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    carry_out(
        &env,
        &update(text("fleet-b"), text("shelf 7"), &[("depot", "Lyon")]),
    )
    .await;
    control.configure(|settings| settings.operations.labels_shown = false);
    let read = control.received("GET", LINE);
    let found = get(&env).await;
    // What only the search knows stays.
    assert!(found.last_seen_at.is_some());
    assert_eq!(labels(found), expected("fleet-b", "", &[("depot", "Lyon")]));
    assert_eq!(control.received("GET", LINE) - read, 1);
    assert_eq!(labels(listed(&env).await), expected("fleet-b", "", &[]));
    // Without an answer from there the rest is still shown.
    control.queue(Script::on("GET", LINE).then(Fault::status(500).step().forever()));
    assert_eq!(labels(get(&env).await), expected("fleet-b", "", &[]));
}

#[tokio::test]
async fn a_label_is_cleared_only_where_the_account_is_known_to_clear_it() {
    let env = TestEnv::with_operations(&[]).await;
    let request = update(text(""), text(""), &[("depot", "Lyon")]);
    let refused = env.provisioning().update_sim(request.clone()).await.unwrap_err();
    assert_eq!(violations(&refused), ["group", "reference"]);
    assert_eq!(env.control().counters().requests, Default::default());
    // Entries of the metadata are.
    carry_out(&env, &update(None, None, &[("depot", "Lyon")])).await;
    carry_out(&env, &update(None, None, &[("depot", "")])).await;
    assert!(get(&env).await.metadata.is_empty());

    let env = TestEnv::with_operations(&[CLEARS]).await;
    carry_out(&env, &request).await;
    let posts = env.control().requests();
    let post = posts
        .iter()
        .find(|request| request.route == Some(MODIFY))
        .unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&post.body).unwrap(),
        json!({ "ratePlan": PLAN, "group": "", "externalReference": "", "metadata": { "depot": "Lyon" } })
    );
}

#[tokio::test]
async fn an_absent_label_and_an_empty_one_are_different_requests() {
    let env = TestEnv::with_operations(&[CLEARS]).await;
    let first = update(None, text("shelf 7"), &[]);
    carry_out(&env, &first).await;
    let other = api::UpdateSimRequest {
        group: text(""),
        ..first.clone()
    };
    let refused = env.provisioning().update_sim(other.clone()).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    let cleared = api::UpdateSimRequest {
        request_id: Uuid::new_v4().to_string(),
        ..other
    };
    carry_out(&env, &cleared).await;
    let absent = api::UpdateSimRequest {
        group: None,
        ..cleared.clone()
    };
    let refused = env.provisioning().update_sim(absent).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    assert_eq!(state(&env, &cleared).await, Succeeded);
    assert_eq!(env.control().received("POST", MODIFY), 2);
}

#[tokio::test]
async fn a_lost_answer_to_a_change_of_the_reference_is_found_out_from_the_sim() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    control.queue(Script::on("POST", MODIFY).then(Fault::Reset.after_commit()));
    let request = update(None, text("shelf 7"), &[]);
    assert_eq!(state(&env, &request).await, Unknown);
    carry_out(&env, &request).await;
    assert_eq!(control.received("POST", MODIFY), 1);
}
