//! A gateway that is killed (`kill -9`) at every step of an operation on a
//! SIM, and the process that comes after it on the same ledger.

use api::SimOperationState::{Failed, Succeeded};
use transatel_gateway::service::writes::steps::Step;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Sandbox, Script, SimStatus};

use crate::support::gateway::{LINE, OPERATIONS, SUSPEND, TRANSACTION, simulator, until};
use crate::writes::orders::was_not_sent;
use crate::writes::orders_crash::{Death, on_both_ledgers, spawn_until_sent, start};
use crate::writes::sim_operations::{Action, Change};

/// How the provider answers before that, and what it has done in the end when
/// nobody sends anything again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Ordinary,
    /// Taken, answer lost.
    CarriedOut,
    /// Not taken, answer lost.
    Dropped,
}

fn scenarios() -> Vec<(Death, Answer)> {
    use Answer::{CarriedOut, Dropped, Ordinary};
    vec![
        (Death::At(Step::BeforeReads), Ordinary),
        (Death::Waiting("GET", LINE), Ordinary),
        (Death::At(Step::BeforeDurable), Ordinary),
        (Death::At(Step::Durable), Ordinary),
        (Death::Waiting("POST", SUSPEND), Ordinary),
        (Death::WaitingAfterCommit("POST", SUSPEND), Ordinary),
        (Death::At(Step::Answered), Ordinary),
        (Death::At(Step::Answered), Dropped),
        (Death::At(Step::Settled), Ordinary),
        (Death::At(Step::Settled), CarriedOut),
        (Death::At(Step::BeforeCheck), Ordinary),
        (Death::At(Step::BeforeCheck), Dropped),
        (Death::Waiting("GET", TRANSACTION), Ordinary),
        (Death::At(Step::Checked), Ordinary),
        (Death::At(Step::Checked), CarriedOut),
    ]
}

async fn survives(store: &str, msisdn: &str, sandbox: &Sandbox, death: Death, answer: Answer) {
    let what = format!("{death:?}, {answer:?}");
    let control = sandbox.control();
    let on_post = |fault: Fault, done: bool| {
        let step = if done { fault.after_commit() } else { fault.step() };
        control.queue(Script::on("POST", SUSPEND).then(step));
    };
    match answer {
        Answer::Ordinary => {}
        Answer::CarriedOut => on_post(Fault::Reset, true),
        Answer::Dropped => on_post(Fault::Reset, false),
    }
    let stop_at = death.prepare(&control);
    let mut first = start(sandbox, store, stop_at, &OPERATIONS).await;
    let request = Change::new(msisdn, Action::Suspend);
    let call = spawn_until_sent({
        let (client, request) = (first.client.clone(), request.clone());
        move || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { request.send(&mut client).await }
        }
    });
    death.strike(&mut first.process, &control).await;
    let _ = call.await;
    control.release("wait");
    control.clear_faults();

    let mut next = start(sandbox, store, None, &OPERATIONS).await;
    let mut state = api::SimOperationState::Unspecified;
    until(&what, async || {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let standing = match request.send(&mut next.client).await {
            Ok(standing) => standing,
            Err(status) if was_not_sent(&status) => return false,
            Err(status) => panic!("{what}: {status:?}"),
        };
        assert!(!standing.needs_operator, "{what}");
        state = standing.state();
        matches!(state, Succeeded | Failed)
    })
    .await;
    let taken = control.transactions(Some(msisdn)).unwrap();
    let suspended = control.sim(msisdn).unwrap().status == SimStatus::Suspended;
    assert!(taken.len() <= 1, "{what}: {taken:?}");
    assert_eq!(
        (state == Succeeded, suspended),
        (taken.len() == 1, taken.len() == 1),
        "{what}"
    );
    // What was not done can be asked for anew.
    if state == Failed {
        let anew = Change::new(msisdn, Action::Suspend);
        anew.send(&mut next.client).await.unwrap();
        until(&what, async || {
            let standing = anew.get(&mut next.client).await.unwrap();
            standing.state() == Succeeded
        })
        .await;
    }
    next.process.signal("KILL").await;
    next.process.ended().await;
}

/// Every moment, on one ledger after the other.
async fn survive_all(store: &str) {
    for (number, (death, answer)) in scenarios().into_iter().enumerate() {
        let sandbox = simulator().await;
        let control = sandbox.control();
        // One SIM each: they share the ledger.
        let msisdn = format!("8824700000000{}", 41 + number);
        control.set_sim_status(&msisdn, SimStatus::Active).unwrap();
        control.configure(|settings| settings.operations.delay = std::time::Duration::ZERO);
        survives(store, &msisdn, &sandbox, death, answer).await;
    }
}

#[test]
fn the_documents_say_how_many_moments() {
    let moments = format!("{} moments of an operation", scenarios().len());
    assert!(
        include_str!("../../../docs/orders.md").contains(&moments),
        "{moments}"
    );
}

on_both_ledgers!(survive_all);
