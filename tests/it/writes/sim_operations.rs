//! Operations on SIMs, through the front door: sent once, followed to their
//! end.

use std::collections::HashMap;
use std::time::Duration;

use api::SimOperationState::{Failed, Pending, Succeeded, Unknown};
use api::{SimOperationKind, SimOperationState};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Fault, Outcome, Script, SimStatus, Step};
use uuid::Uuid;

use crate::support::gateway::{
    FRANCE, LINE, Provisioning, SUSPEND, TRANSACTION, TestEnv, by_iccid, by_msisdn, reason, spawn, until,
};
use crate::writes::sim_operations_refusals::refusal;

pub const PLAN: &str = "M2MA_WW_TSL_BUNDLES_1";
/// In use, nothing bought.
pub const IN_USE: &str = "882470000000038";

/// What is asked of a SIM, without the request id.
#[derive(Clone, Debug)]
pub enum Ask {
    Activate,
    Suspend,
    Reactivate,
    Terminate {
        confirm: String,
    },
    Update {
        group: String,
        metadata: Vec<(String, String)>,
    },
    Swap {
        new_iccid: String,
    },
}

/// A wish about a SIM.
#[derive(Clone, Debug)]
pub struct Wish {
    pub request_id: String,
    pub sim: Option<api::SimRef>,
    pub ask: Ask,
    pub rate_plan: String,
}

impl Wish {
    pub fn new(msisdn: &str, ask: Ask) -> Self {
        Self {
            request_id: Uuid::new_v4().to_string(),
            sim: by_msisdn(msisdn),
            ask,
            rate_plan: String::new(),
        }
    }

    /// Asks, within a deadline when there is one.
    pub async fn within(
        &self,
        client: &mut Provisioning,
        deadline: Option<Duration>,
    ) -> Result<api::SimOperation, Status> {
        macro_rules! ask {
            ($method:ident, $request:ident { $($field:ident: $value:expr),* }) => {{
                let mut request = Request::new(api::$request {
                    request_id: self.request_id.clone(),
                    sim: self.sim.clone(),
                    rate_plan: self.rate_plan.clone(),
                    $($field: $value),*
                });
                if let Some(deadline) = deadline {
                    request.set_timeout(deadline);
                }
                client.$method(request).await?.into_inner().operation
            }};
        }
        let operation = match self.ask.clone() {
            Ask::Activate => ask!(activate_sim, ActivateSimRequest {}),
            Ask::Suspend => ask!(suspend_sim, SuspendSimRequest {}),
            Ask::Reactivate => ask!(reactivate_sim, ReactivateSimRequest {}),
            Ask::Terminate { confirm } => {
                ask!(
                    terminate_sim,
                    TerminateSimRequest {
                        confirm_iccid: confirm
                    }
                )
            }
            Ask::Update { group, metadata } => ask!(
                update_sim,
                UpdateSimRequest {
                    group: group,
                    reference: String::new(),
                    metadata: metadata.into_iter().collect::<HashMap<_, _>>()
                }
            ),
            Ask::Swap { new_iccid } => ask!(swap_sim, SwapSimRequest { new_iccid: new_iccid }),
        };
        Ok(operation.unwrap())
    }

    pub async fn ask(&self, client: &mut Provisioning) -> Result<api::SimOperation, Status> {
        self.within(client, None).await
    }

    /// The operation as the ledger has it.
    pub async fn get(&self, client: &mut Provisioning) -> Result<api::SimOperation, Status> {
        let key = api::get_sim_operation_request::Key::RequestId(self.request_id.clone());
        let request = api::GetSimOperationRequest { key: Some(key) };
        Ok(client
            .get_sim_operation(request)
            .await?
            .into_inner()
            .operation
            .unwrap())
    }

    pub async fn until(&self, client: &mut Provisioning, state: SimOperationState) -> api::SimOperation {
        until(state.as_str_name(), async || {
            self.get(client)
                .await
                .is_ok_and(|operation| operation.state() == state)
        })
        .await;
        self.get(client).await.unwrap()
    }
}

pub fn suspend(msisdn: &str) -> Wish {
    Wish::new(msisdn, Ask::Suspend)
}

pub fn sent(env: &TestEnv) -> u64 {
    env.control().received("POST", SUSPEND)
}

pub fn fault(env: &TestEnv, route: &'static str, step: impl Into<Step>) {
    let method = if route == SUSPEND { "POST" } else { "GET" };
    env.control().queue(Script::on(method, route).then(step));
}

/// Makes every kind of call and waits for its end; gives what a careless
/// caller would log, and what must be in no log.
pub async fn every_call(control: &Control, address: String) -> (Vec<String>, Vec<String>) {
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut client = Provisioning::new(channel);
    let sims = ["2", "3", "8", "9", "38", "39", "40"].map(|number| control.sim(number).unwrap());
    let card = |number: usize| sims[number].iccid.clone();
    let mut secrets = vec!["Jane Doe".to_owned()];
    secrets.extend(
        sims.iter()
            .flat_map(|sim| [sim.iccid.clone(), sim.msisdn.clone()]),
    );
    control.decide_operation("8", Outcome::Fail, None).unwrap();
    control.queue(
        Script::on("POST", SUSPEND)
            .then(Fault::Pass)
            .then(Fault::Reset)
            .then(Fault::problem(400, "BAD_REQUEST")),
    );
    let update = Ask::Update {
        group: "fleet-b".into(),
        metadata: vec![("owner".into(), "Jane Doe".into())],
    };
    let swap = Ask::Swap { new_iccid: card(6) };
    let end = |confirm| Ask::Terminate { confirm };
    let mut log = Vec::new();
    for (sim, ask) in [
        (&sims[0], Ask::Suspend),
        (&sims[1], Ask::Suspend),
        (&sims[4], Ask::Suspend),
        (&sims[2], Ask::Suspend),
        (&sims[5], update),
        (&sims[3], swap),
        (&sims[4], end(card(0))),
        (&sims[4], end(card(4))),
    ] {
        let wish = Wish {
            sim: by_iccid(&sim.iccid),
            ..Wish::new(&sim.msisdn, ask)
        };
        match wish.ask(&mut client).await {
            Ok(_) => {
                until("it is over", async || {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let operation = wish.get(&mut client).await.unwrap();
                    log.push(format!("{operation:?}"));
                    operation.next_check_at.is_none()
                })
                .await;
            }
            Err(status) => log.push(format!("{status:?}")),
        }
    }
    (log, secrets)
}

#[tokio::test]
async fn every_operation_does_what_it_says() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let iccid = |msisdn: &str| control.sim(msisdn).unwrap().iccid;
    let update = Ask::Update {
        group: "fleet-b".into(),
        metadata: vec![("depot".into(), "Lyon".into()), ("gone".into(), String::new())],
    };
    let swapped = Ask::Swap {
        new_iccid: iccid("40"),
    };
    let confirm = iccid("2");
    for (number, ask, kind, word, body, status) in [
        (
            15,
            Ask::Activate,
            SimOperationKind::Activate,
            "activate",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Active,
        ),
        (
            38,
            Ask::Suspend,
            SimOperationKind::Suspend,
            "suspend",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Suspended,
        ),
        (
            12,
            Ask::Reactivate,
            SimOperationKind::Reactivate,
            "reactivate",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Active,
        ),
        (
            39,
            update,
            SimOperationKind::Update,
            "modify",
            serde_json::json!({
                "ratePlan": PLAN,
                "group": "fleet-b",
                "metadata": { "depot": "Lyon", "gone": "" },
            }),
            SimStatus::PreActivated,
        ),
        (
            9,
            swapped,
            SimOperationKind::Swap,
            "sim-swap",
            serde_json::json!({ "ratePlan": PLAN, "newSimSerial": iccid("40") }),
            SimStatus::Active,
        ),
        (
            2,
            Ask::Terminate { confirm },
            SimOperationKind::Terminate,
            "terminate",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Terminated,
        ),
    ] {
        control.clear_requests();
        let msisdn = format!("8824700000000{number:02}");
        let card = iccid(&msisdn);
        let wish = Wish::new(&msisdn, ask);
        let begun = wish.ask(&mut client).await.unwrap();
        assert_eq!((begun.state(), begun.kind()), (Pending, kind), "{word}");
        assert_eq!(begun.request_id, wish.request_id);
        assert!(begun.next_check_at.is_some() && !begun.needs_operator);
        let sim = begun.sim.clone().unwrap();
        assert_eq!((&sim.iccid, &sim.msisdn), (&card, &msisdn), "{word}");

        let done = wish.until(&mut client, Succeeded).await;
        assert_eq!(done.operation_id, begun.operation_id, "{word}");
        assert!(done.next_check_at.is_none() && done.failure.is_none(), "{word}");
        assert_eq!(control.sim(&msisdn).unwrap().status, status, "{word}");
        let transactions = control.transactions(Some(&msisdn)).unwrap();
        assert_eq!(transactions.len(), 1, "{word}");
        assert_eq!(
            transactions[0].transaction_id.to_string(),
            done.provider_reference
        );
        let posts: Vec<_> = control
            .requests()
            .into_iter()
            .filter(|request| request.method == "POST" && request.path.contains("/connectivity-management/"))
            .collect();
        assert_eq!(posts.len(), 1, "{word}");
        assert!(posts[0].path.ends_with(&format!("/{card}/{word}")), "{word}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&posts[0].body).unwrap(),
            body
        );

        // The same again: the same answer, and nothing sent.
        let again = Wish {
            sim: by_iccid(&card),
            request_id: wish.request_id.to_uppercase(),
            ..wish.clone()
        };
        assert_eq!(again.ask(&mut client).await.unwrap(), done, "{word}");
        assert_eq!(control.transactions(Some(&msisdn)).unwrap().len(), 1, "{word}");
    }
    let labelled = control.sim("39").unwrap();
    assert_eq!(labelled.group.as_deref(), Some("fleet-b"));
    assert_eq!(
        labelled.metadata.into_iter().collect::<Vec<_>>(),
        [("depot".into(), "Lyon".into())]
    );
}

#[tokio::test]
async fn an_operation_ends_as_its_transaction_does() {
    // Nobody looks at the SIM itself, unless it is given up.
    let env = TestEnv::with_operations(&[("ORDERS__ESCALATE_AFTER", "1h")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    for member in ["transactionStatus", "status"] {
        control.configure(|settings| settings.operations.status_member = member.to_owned());
        for (outcome, expected) in [
            (Outcome::Fail, Failed),
            (Outcome::Reject, Failed),
            (Outcome::Finish, Succeeded),
        ] {
            control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
            control.decide_operation(IN_USE, outcome, None).unwrap();
            let wish = suspend(IN_USE);
            assert_eq!(
                wish.ask(&mut client).await.unwrap().state(),
                Pending,
                "{member} {outcome:?}"
            );
            let over = wish.until(&mut client, expected).await;
            let suspended = control.sim(IN_USE).unwrap().status == SimStatus::Suspended;
            assert_eq!(suspended, expected == Succeeded, "{member} {outcome:?}");
            // It failed for good: a repeat does not send it again.
            let before = sent(&env);
            assert_eq!(wish.ask(&mut client).await.unwrap(), over);
            assert_eq!(sent(&env), before);
        }
    }
    // What could not be read is read again.
    control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
    fault(&env, TRANSACTION, Fault::status(503).step().times(2));
    let wish = suspend(IN_USE);
    wish.ask(&mut client).await.unwrap();
    wish.until(&mut client, Succeeded).await;
}

#[tokio::test]
async fn an_operation_that_hangs_is_given_up_and_found_out_from_the_sim() {
    let settings = [
        ("OPERATIONS__GIVE_UP_AFTER", "700ms"),
        ("ORDERS__ESCALATE_AFTER", "1h"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let control = env.control();
    let mut client = env.provisioning();
    control.decide_operation(IN_USE, Outcome::Hang, None).unwrap();
    let wish = suspend(IN_USE);
    assert_eq!(wish.ask(&mut client).await.unwrap().state(), Pending);
    let given_up = wish.until(&mut client, Unknown).await;
    assert!(!given_up.needs_operator && given_up.next_check_at.is_some());
    assert_eq!(wish.ask(&mut client).await.unwrap().state(), Unknown);
    // It stays in the way of others: what becomes of it is still open.
    let refused = suspend(IN_USE).ask(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".into())
    );
    // The transaction says nothing, the SIM does.
    control.set_sim_status(IN_USE, SimStatus::Suspended).unwrap();
    wish.until(&mut client, Succeeded).await;
    assert_eq!(sent(&env), 1);
}

#[tokio::test]
async fn what_nobody_can_find_out_is_left_to_an_operator() {
    let settings = [
        ("OPERATIONS__GIVE_UP_AFTER", "50ms"),
        ("ORDERS__ESCALATE_AFTER", "100ms"),
        ("ORDERS__SETTLE_WINDOW", "50ms"),
    ];
    let env = TestEnv::with_operations(&settings).await;
    let control = env.control();
    let mut client = env.provisioning();
    for (resolution, other, expected) in [
        (api::Resolution::NotPlaced, api::Resolution::Placed, Failed),
        (api::Resolution::Placed, api::Resolution::NotPlaced, Succeeded),
    ] {
        control.decide_operation(IN_USE, Outcome::Hang, None).unwrap();
        let wish = suspend(IN_USE);
        wish.ask(&mut client).await.unwrap();
        until("an operator is needed", async || {
            wish.get(&mut client).await.unwrap().needs_operator
        })
        .await;
        let stuck = wish.get(&mut client).await.unwrap();
        assert_eq!(stuck.state(), Unknown);
        assert!(stuck.failure.unwrap().message.contains("could not be read"));
        assert!(stuck.next_check_at.is_none());
        let refused = suspend(IN_USE).ask(&mut client).await.unwrap_err();
        let error = reason(&refused);
        assert_eq!(error.reason, "SIM_OPERATION_IN_PROGRESS");
        assert_eq!(error.metadata["operation_id"], stuck.operation_id);

        let word = |resolution: api::Resolution| api::ResolveSimOperationRequest {
            operation_id: stuck.operation_id.clone(),
            resolution: resolution.into(),
            note: "seen in the portal".into(),
        };
        for _ in 0..2 {
            let answer = client.resolve_sim_operation(word(resolution)).await.unwrap();
            let resolved = answer.into_inner().operation.unwrap();
            assert_eq!((resolved.state(), resolved.needs_operator), (expected, false));
        }
        let late = reason(&client.resolve_sim_operation(word(other)).await.unwrap_err());
        assert_eq!(late.reason, "ORDER_NOT_RESOLVABLE");
        let state = expected.as_str_name().trim_start_matches("SIM_OPERATION_STATE_");
        assert_eq!(late.metadata["state"], state);
        // The SIM is free again, here and at the provider.
        let pending = control.sim(IN_USE).unwrap().pending.unwrap();
        control.end_transaction(pending, false).unwrap();
    }
    let unknown = api::ResolveSimOperationRequest {
        operation_id: Uuid::now_v7().to_string(),
        resolution: api::Resolution::Placed.into(),
        note: String::new(),
    };
    let error = reason(&client.resolve_sim_operation(unknown).await.unwrap_err());
    assert_eq!(error.reason, "SIM_OPERATION_NOT_FOUND");
}

#[tokio::test]
async fn a_label_that_does_not_show_is_left_to_an_operator() {
    let env = TestEnv::with_operations(&[("ORDERS__SETTLE_WINDOW", "50ms")]).await;
    let mut client = env.provisioning();
    let modify = "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/modify";
    env.control()
        .queue(Script::on("POST", modify).then(Fault::Reset.after_commit()));
    let request = api::UpdateSimRequest {
        request_id: Uuid::new_v4().to_string(),
        sim: by_msisdn(IN_USE),
        reference: "shelf 7".into(),
        ..Default::default()
    };
    let answer = client.update_sim(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.operation.unwrap().state(), Unknown);
    until("an operator is needed", async || {
        let answer = client.update_sim(request.clone()).await.unwrap().into_inner();
        answer.operation.unwrap().needs_operator
    })
    .await;
    assert_eq!(env.control().received("POST", modify), 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_found_out_from_the_sim() {
    let env = TestEnv::with_operations(&[("ORDERS__SEND_TIMEOUT", "200ms")]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let faults = || {
        [
            Fault::Reset,
            Fault::Close,
            Fault::Hang,
            Fault::status(500),
            Fault::status(504),
            Fault::body(400, "no title"),
            Fault::body(409, "no title"),
            Fault::Garbage,
            Fault::Truncated,
            Fault::body(201, "{}"),
        ]
    };
    for done in [true, false] {
        for kind in faults() {
            let name = format!("{kind:?}, carried out: {done}");
            control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
            fault(
                &env,
                SUSPEND,
                if done { kind.after_commit() } else { kind.step() },
            );
            let posts = sent(&env);
            let wish = suspend(IN_USE);
            assert_eq!(wish.ask(&mut client).await.unwrap().state(), Unknown, "{name}");
            let over = wish
                .until(&mut client, if done { Succeeded } else { Failed })
                .await;
            assert!(over.provider_reference.is_empty(), "{name}");
            let suspended = control.sim(IN_USE).unwrap().status == SimStatus::Suspended;
            assert_eq!(suspended, done, "{name}");
            assert_eq!(wish.ask(&mut client).await.unwrap(), over, "{name}");
            assert_eq!(sent(&env) - posts, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_or_is_late_changes_nothing() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    fault(&env, SUSPEND, Fault::hold("post"));
    let wish = suspend(IN_USE);
    let call = spawn({
        let (mut client, wish) = (client.clone(), wish.clone());
        async move { wish.ask(&mut client).await }
    });
    control.until_held("post", 1).await;
    call.abort();
    let _ = call.await;
    let late = wish
        .within(&mut client, Some(Duration::from_millis(900)))
        .await
        .unwrap();
    assert_eq!(late.state(), Pending);
    control.release("post");
    wish.until(&mut client, Succeeded).await;
    assert_eq!(sent(&env), 1);
    // Without time nothing is sent and nothing kept.
    fault(&env, LINE, Fault::hold("read"));
    let wish = Wish::new(IN_USE, Ask::Reactivate);
    let error = wish
        .within(&mut client, Some(Duration::from_millis(300)))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    control.release("read");
    assert!(wish.get(&mut client).await.is_err());
}

#[tokio::test]
async fn a_swapped_card_is_known_at_once_under_its_new_line() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let (line, spare) = ("882470000000009", "882470000000040");
    let [old, new] = [line, spare].map(|sim| control.sim(sim).unwrap().iccid);
    // Both pairs are known as they were, under all four names.
    let mut inventory = env.inventory();
    for sim in [by_iccid(&old), by_iccid(&new)] {
        inventory
            .get_inventory(api::GetInventoryRequest {
                sim,
                ..Default::default()
            })
            .await
            .unwrap();
    }
    let wish = Wish::new(
        line,
        Ask::Swap {
            new_iccid: new.clone(),
        },
    );
    let begun = wish.ask(&mut client).await.unwrap();
    assert_eq!(begun.new_iccid, new);
    wish.until(&mut client, Succeeded).await;
    let moved = inventory
        .get_inventory(api::GetInventoryRequest {
            sim: by_iccid(&new),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(moved.sim.unwrap().msisdn, line);
}

#[tokio::test]
async fn a_suspension_does_not_stop_the_clock_of_a_subscription() {
    let env = TestEnv::with_operations(&[]).await;
    let control = env.control();
    let mut client = env.provisioning();
    let (sim, france) = ("882470000000036", FRANCE);
    let running = |control: &Control| {
        let sim = control.sim("36").unwrap();
        sim.bought().any(|subscription| subscription.product_id == france)
    };
    let wish = suspend(sim);
    wish.ask(&mut client).await.unwrap();
    wish.until(&mut client, Succeeded).await;
    assert!(running(&control));
    // Its last hour.
    control.advance(Duration::from_secs(2 * 3600));
    assert!(!running(&control));
}

#[tokio::test]
async fn nothing_identifying_is_said_of_a_request_or_an_answer() {
    let secret = "8988247000000000407";
    let swap = api::SwapSimRequest {
        sim: by_iccid(secret),
        new_iccid: secret.into(),
        ..Default::default()
    };
    let end = api::TerminateSimRequest {
        confirm_iccid: secret.into(),
        ..Default::default()
    };
    let update = api::UpdateSimRequest {
        metadata: HashMap::from([("owner".into(), secret.into())]),
        ..Default::default()
    };
    let operation = api::SimOperation {
        new_iccid: secret.into(),
        sim: Some(api::SimIds {
            iccid: secret.into(),
            msisdn: secret.into(),
        }),
        ..Default::default()
    };
    for text in [
        format!("{swap:?}"),
        format!("{end:?}"),
        format!("{update:?}"),
        format!("{operation:?}"),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
}
