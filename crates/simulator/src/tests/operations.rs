use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{Impossible, Outcome, SimStatus, world::stock::ids::SimNumber};

pub(super) const SUBSCRIBERS: &str = "/connectivity-management/subscribers/api/subscribers/sim-serial";
pub(super) const TRANSACTIONS: &str = "/connectivity-management/subscribers/api/transactions";
pub(super) const PLAN: &str = "M2MA_WW_TSL_BUNDLES_1";
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn iccid(number: u32) -> String {
    SimNumber(number).iccid()
}

pub(super) fn plan() -> Value {
    json!({ "ratePlan": PLAN })
}

pub(super) async fn operate(bench: &Bench, number: u32, operation: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("{SUBSCRIBERS}/{}/{operation}", iccid(number));
    read(bench.send_json(Method::POST, &path, &body).send().await.unwrap()).await
}

/// Begins an operation that is accepted.
pub(super) async fn begin(bench: &Bench, number: u32, operation: &str, body: Value) -> Uuid {
    let (status, body) = operate(bench, number, operation, body).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["transactionId"].as_str().unwrap().parse().unwrap()
}

pub(super) async fn transaction(bench: &Bench, id: Uuid) -> Value {
    let (status, body) = bench.get(&format!("{TRANSACTIONS}/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

pub(super) async fn subscriber(bench: &Bench, number: u32) -> Value {
    bench.get(&format!("{SUBSCRIBERS}/{}", iccid(number))).await.1
}

/// What each operation leads to from each status; `None` is a refusal.
fn transitions() -> Vec<(&'static str, SimStatus, Option<SimStatus>)> {
    use SimStatus::*;
    const ALL: [SimStatus; 9] = [
        Loaded,
        Available,
        PreActivated,
        TestMode,
        Active,
        Suspended,
        TariffHoliday,
        OperatorBarred,
        Terminated,
    ];
    let legal = |operation: &'static str, from: &'static [SimStatus], to: fn(SimStatus) -> SimStatus| {
        ALL.map(|status| (operation, status, from.contains(&status).then(|| to(status))))
    };
    let held: &[SimStatus] = &[
        PreActivated,
        TestMode,
        Active,
        Suspended,
        TariffHoliday,
        OperatorBarred,
    ];
    [
        legal("activate", &[Available, PreActivated], |_| Active),
        legal("suspend", &[Active], |_| Suspended),
        legal("reactivate", &[Suspended], |_| Active),
        legal("terminate", held, |_| Terminated),
        legal("modify", held, |status| status),
        legal("sim-swap", &[Active, Suspended], |status| status),
    ]
    .concat()
}

#[tokio::test(start_paused = true)]
async fn every_operation_is_possible_from_its_statuses_and_no_other() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let sims = control.find_sims(crate::Criteria::FRESH, 60);
    for (position, (operation, from, to)) in transitions().into_iter().enumerate() {
        let (sim, spare) = (&sims[position], &sims[59]);
        let body = match operation {
            "sim-swap" => json!({ "ratePlan": PLAN, "newSimSerial": spare.iccid }),
            _ => plan(),
        };
        control.set_sim_status(&sim.msisdn, from).unwrap();
        control
            .set_sim_status(&spare.msisdn, SimStatus::PreActivated)
            .unwrap();
        // A swap before this one has left its old card here.
        let spare = control.sim(&spare.msisdn).unwrap();
        let body = match body.get("newSimSerial") {
            Some(_) => json!({ "ratePlan": PLAN, "newSimSerial": spare.iccid }),
            None => body,
        };
        let (status, answer) = operate(&bench, sim.number, operation, body).await;
        let Some(to) = to else {
            let case = format!("{operation} from {from:?}: {answer}");
            assert_eq!(
                (status, title(&answer)),
                (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
                "{case}"
            );
            continue;
        };
        assert_eq!(status, StatusCode::CREATED, "{operation} from {from:?}: {answer}");
        let id = answer["transactionId"].as_str().unwrap().parse().unwrap();
        let status = || control.sim(&sim.msisdn).unwrap().status;
        assert_eq!(status(), from);
        assert_eq!(transaction(&bench, id).await["asyncStatus"], "PENDING");
        control.advance(SECOND);
        assert_eq!(
            transaction(&bench, id).await["asyncStatus"],
            "DONE",
            "{operation}"
        );
        assert_eq!(status(), to, "{operation} from {from:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_pending_and_then_done() {
    let bench = Bench::start().await;
    let (status, body) = operate(
        &bench,
        2,
        "suspend",
        json!({ "ratePlan": PLAN, "externalReference": "ours" }),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED);
    let id: Uuid = body["transactionId"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        body,
        json!({ "transactionId": id, "simSerial": iccid(2), "transactionStatus": "PENDING" })
    );
    let pending = transaction(&bench, id).await;
    assert_eq!(
        (&pending["syncStatus"], &pending["asyncStatus"]),
        (&json!("SUCCESS"), &json!("PENDING"))
    );
    assert_eq!(subscriber(&bench, 2).await["status"], "Active");
    // The clock of tests does it as well as a control call.
    tokio::time::advance(SECOND).await;
    let done = transaction(&bench, id).await;
    assert_eq!(done["asyncStatus"], "DONE");
    assert_eq!(
        (
            &done["transactionId"],
            &done["simSerial"],
            &done["externalReference"]
        ),
        (&json!(id), &json!(iccid(2)), &json!("ours"))
    );
    for member in ["syncStatusDate", "asyncStatusDate", "creationDate", "serviceRef"] {
        assert!(done[member].is_string(), "{member}");
    }
    assert_eq!(subscriber(&bench, 2).await["status"], "Suspended");
}

#[tokio::test(start_paused = true)]
async fn transactions_can_fail_be_rejected_and_hang() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.operations.outcome = Outcome::Fail);
    let failing = begin(&bench, 2, "suspend", plan()).await;
    control.advance(SECOND);
    let failed = transaction(&bench, failing).await;
    assert_eq!(
        (&failed["syncStatus"], &failed["asyncStatus"]),
        (&json!("SUCCESS"), &json!("ERROR"))
    );
    assert_eq!(control.sim("2").unwrap().status, SimStatus::Active);

    // What is decided for a SIM goes before the setting, once.
    control.decide_operation("2", Outcome::Reject, None).unwrap();
    control.decide_operation("2", Outcome::Hang, None).unwrap();
    let rejected = begin(&bench, 2, "suspend", plan()).await;
    let rejected = transaction(&bench, rejected).await;
    assert_eq!(
        (&rejected["syncStatus"], &rejected["asyncStatus"]),
        (&json!("ERROR"), &json!("PENDING"))
    );
    let hanging = begin(&bench, 2, "suspend", plan()).await;
    control.advance(Duration::from_secs(86_400));
    assert_eq!(transaction(&bench, hanging).await["asyncStatus"], "PENDING");
    assert_eq!(control.sim("2").unwrap().pending, Some(hanging));
    control.end_transaction(hanging, true).unwrap();
    assert_eq!(transaction(&bench, hanging).await["asyncStatus"], "DONE");
    assert_eq!(control.sim("2").unwrap().status, SimStatus::Suspended);
    assert_eq!(
        control.end_transaction(hanging, true),
        Err(Impossible::UnknownTransaction)
    );
    let words: Vec<_> = control
        .transactions(Some("2"))
        .unwrap()
        .iter()
        .map(|view| (view.operation, view.status))
        .collect();
    assert_eq!(
        words,
        [("suspend", "ERROR"), ("suspend", "PENDING"), ("suspend", "DONE")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_operation_is_a_conflict_until_the_first_has_ended() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    begin(&bench, 2, "suspend", plan()).await;
    for operation in ["suspend", "reactivate", "modify", "terminate"] {
        let (status, body) = operate(&bench, 2, operation, plan()).await;
        assert_eq!((status.as_u16(), title(&body)), (409, "CONFLICT"), "{operation}");
    }
    // Both SIMs of a swap are taken.
    let swap = json!({ "ratePlan": PLAN, "newSimSerial": iccid(1) });
    begin(&bench, 38, "sim-swap", swap.clone()).await;
    assert_eq!(title(&operate(&bench, 1, "activate", plan()).await.1), "CONFLICT");
    assert_eq!(title(&operate(&bench, 3, "sim-swap", swap).await.1), "CONFLICT");
    control.advance(SECOND);
    begin(&bench, 2, "reactivate", plan()).await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_time_has_made_impossible_ends_badly() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let id = begin(&bench, 2, "suspend", plan()).await;
    control.set_sim_status("2", SimStatus::OperatorBarred).unwrap();
    control.advance(SECOND);
    assert_eq!(transaction(&bench, id).await["asyncStatus"], "ERROR");
    assert_eq!(control.sim("2").unwrap().status, SimStatus::OperatorBarred);
}

#[tokio::test]
async fn without_a_delay_the_next_request_sees_the_end() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.operations.delay = Duration::ZERO);
    let id = begin(&bench, 2, "suspend", plan()).await;
    assert_eq!(subscriber(&bench, 2).await["status"], "Suspended");
    assert_eq!(transaction(&bench, id).await["asyncStatus"], "DONE");
}

#[tokio::test(start_paused = true)]
async fn a_swap_moves_the_line_to_the_new_card() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    let before = control.sim("2").unwrap();
    let (_, body) = operate(
        &bench,
        2,
        "sim-swap",
        json!({ "ratePlan": PLAN, "newSimSerial": iccid(1) }),
    )
    .await;
    assert_eq!(body["simSerial"], iccid(1));
    assert_eq!(subscriber(&bench, 1).await["msisdn"], SimNumber(1).msisdn());
    control.advance(SECOND);

    // The new ICCID leads to the old number with its subscriptions, everywhere.
    assert_eq!(subscriber(&bench, 1).await["msisdn"], before.msisdn);
    let found = bench
        .get(&format!("/sim-search/api/sim/search?simSerial=eq:{}", iccid(1)))
        .await
        .1;
    assert_eq!(found["sims"][0]["msisdn"], format!("+{}", before.msisdn));
    let esim = bench
        .get(&format!("/sim-management/sims/api/esims/sim-serial/{}", iccid(1)))
        .await
        .1;
    assert_eq!(
        (&esim["simSerial"], &esim["status"]),
        (&json!(iccid(1)), &json!("released"))
    );
    let after = control.sim(&iccid(1)).unwrap();
    assert_eq!(
        (after.number, after.subscriptions.len()),
        (2, before.subscriptions.len())
    );
    // The old card is out of use.
    assert_eq!(subscriber(&bench, 2).await["status"], "Terminated");
    // The customer installs the new profile and goes on with the subscriptions.
    control.attach(&iccid(1), "FR").unwrap();
    assert_eq!(control.use_data(&iccid(1), 1024).unwrap(), 0);

    for (new, code) in [
        (iccid(1), 400),
        (iccid(3), 400),
        (iccid(4), 400),
        (iccid(999_999), 404),
    ] {
        let body = json!({ "ratePlan": PLAN, "newSimSerial": new });
        let (status, body) = operate(&bench, 1, "sim-swap", body).await;
        assert_eq!(status.as_u16(), code, "{new} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_sim_keeps_losing_its_subscriptions() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    begin(&bench, 36, "suspend", plan()).await;
    control.advance(SECOND);
    assert_eq!(
        control.use_data("36", 1),
        Err(Impossible::Status(SimStatus::Suspended))
    );
    assert_eq!(control.sim("36").unwrap().bought().count(), 1);
    control.advance(Duration::from_secs(3600));
    assert_eq!(control.sim("36").unwrap().bought().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_terminated_sim_has_no_subscriptions_left() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    begin(&bench, 2, "terminate", plan()).await;
    assert_eq!(control.sim("2").unwrap().bought().count(), 2);
    control.advance(SECOND);
    assert_eq!(control.sim("2").unwrap().bought().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_operations_at_once_one_is_accepted() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    control.configure(|settings| settings.operations.outcome = Outcome::Hang);
    // Both ways of a swap, so that two SIMs are locked from both sides.
    let swap = |new: u32| json!({ "ratePlan": PLAN, "newSimSerial": iccid(new) });
    control.set_sim_status("3", SimStatus::Active).unwrap();
    let calls = (0..40).map(|number| match number % 4 {
        0 => operate(&bench, 2, "suspend", plan()),
        1 => operate(&bench, 2, "sim-swap", swap(1)),
        2 => operate(&bench, 1, "sim-swap", swap(2)),
        _ => operate(&bench, 3, "sim-swap", swap(1)),
    });
    let answers = futures_util::future::join_all(calls).await;
    let accepted = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    // SIM 1 has never been in use, so nothing can take its place.
    let refused = |body: &Value| matches!(title(body), "CONFLICT" | "BAD_REQUEST");
    assert_eq!(
        answers.iter().filter(|(_, body)| refused(body)).count(),
        40 - accepted
    );
    let pending = control.transactions(None).unwrap();
    assert_eq!(pending.len(), accepted);
    // Each SIM is in one transaction at most.
    assert!((1..=2).contains(&accepted), "{pending:?}");
    for view in pending {
        control.end_transaction(view.transaction_id, true).unwrap();
    }
    for sim in ["1", "2", "3"] {
        assert_eq!(control.sim(sim).unwrap().pending, None);
    }
}
