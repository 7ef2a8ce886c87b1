//! The SIM is read before it is changed: what its status does not allow is
//! refused with that status, by the gateway or by the provider.

use tonic::Code;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Outcome, SimStatus};

use crate::support::gateway::{SUSPEND, TestEnv, by_msisdn, reason};
use crate::writes::sim_operations::{Action, Change, IN_USE, fault, sent, suspend};

/// Statuses as the simulator and as callers name them.
const STATUSES: [(SimStatus, &str); 8] = [
    (SimStatus::Available, "AVAILABLE"),
    (SimStatus::PreActivated, "PREACTIVATED"),
    (SimStatus::TestMode, "TEST"),
    (SimStatus::Active, "ACTIVE"),
    (SimStatus::Suspended, "SUSPENDED"),
    (SimStatus::TariffHoliday, "ON_HOLD"),
    (SimStatus::OperatorBarred, "BARRED"),
    (SimStatus::Terminated, "TERMINATED"),
];

#[tokio::test]
async fn every_operation_that_a_status_does_not_allow_says_which_status_it_is() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let card = control.sim(IN_USE).unwrap().iccid;
    let (mut refused, mut taken) = (0, 0);
    for (status, name) in STATUSES {
        let spare = control.sim("882470000000040").unwrap();
        control
            .set_sim_status(&spare.msisdn, SimStatus::PreActivated)
            .unwrap();
        for action in Action::each(&card, &spare.iccid, "label") {
            control.set_sim_status(IN_USE, status).unwrap();
            if matches!(action, Action::Swap { .. } | Action::Terminate { .. })
                && matches!(status, SimStatus::Active | SimStatus::Suspended)
            {
                // Would be carried out, and the SIM be gone.
                continue;
            }
            let what = format!("{action:?} {name}");
            let request = Change::new(IN_USE, action);
            match request.send(&mut client).await {
                Ok(_) => {
                    taken += 1;
                    request
                        .until(&mut client, api::SimOperationState::Succeeded)
                        .await;
                }
                Err(error) => {
                    refused += 1;
                    let error = reason(&error);
                    assert_eq!(
                        (error.code, error.reason.as_str()),
                        (Code::FailedPrecondition, "SIM_STATUS_NOT_ELIGIBLE"),
                        "{what}"
                    );
                    assert_eq!(error.metadata["sim_status"], name, "{what}");
                }
            }
        }
    }
    assert!(refused >= 25 && taken >= 8, "{refused} refused, {taken} taken");
}

#[tokio::test]
async fn what_an_error_says_of_an_earlier_call_is_the_state_of_the_operation() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    for (outcome, state) in [
        (Outcome::Finish, api::SimOperationState::Succeeded),
        (Outcome::Fail, api::SimOperationState::Failed),
        (Outcome::Hang, api::SimOperationState::Pending),
    ] {
        control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
        control.decide_operation(IN_USE, outcome, None).unwrap();
        let first = suspend(IN_USE);
        first.send(&mut client).await.unwrap();
        first.until(&mut client, state).await;
        let other = Change {
            sim: by_msisdn("882470000000039"),
            ..first
        };
        let error = reason(&other.send(&mut client).await.unwrap_err());
        assert_eq!(error.reason, "REQUEST_ID_REUSED");
        assert_eq!(error.metadata["fields"], "sim");
        let name = state.as_str_name().trim_start_matches("SIM_OPERATION_STATE_");
        assert_eq!(error.metadata["known_state"], name);
    }
}

#[tokio::test]
async fn what_cannot_change_anything_is_not_sent() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.set_sim_status(IN_USE, SimStatus::Suspended).unwrap();
    let request = suspend(IN_USE);
    let error = reason(&request.send(&mut client).await.unwrap_err());
    assert_eq!(error.reason, "SIM_STATUS_NOT_ELIGIBLE");
    assert_eq!(error.metadata["sim_status"], "SUSPENDED");
    assert_eq!(error.metadata["known_state"], "NONE");
    assert_eq!(sent(&env), 0);
    // Nothing is kept of it: the same request is carried out once it can be.
    control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
    request.send(&mut client).await.unwrap();
    request
        .until(&mut client, api::SimOperationState::Succeeded)
        .await;
}

#[tokio::test]
async fn a_refusal_for_another_reason_blames_no_status() {
    let env = TestEnv::with_operations(&[]).await;
    let mut client = env.provisioning();
    fault(&env, SUSPEND, Fault::problem(400, "BAD_REQUEST"));
    let error = reason(&suspend(IN_USE).send(&mut client).await.unwrap_err());
    assert_eq!(error.reason, "PROVIDER_REJECTED");
    assert_eq!(error.metadata.get("sim_status"), None);
}
