//! Operations on SIMs, through the front door: sent once, followed to their
//! end.

use std::collections::HashMap;
use std::time::Duration;

use api::SimOperationState::{Failed, Pending, Succeeded, Unknown};
use api::{SimOperationKind, SimOperationState};
use tonic::{Code, Request, Status};
use transatel_gateway::client::connectivity::v1 as api;
use transatel_gateway::sandbox::{Fault, Outcome, Script, SimStatus, Step};
use uuid::Uuid;

use crate::house::{
    FRANCE, House, LINE, Provisioning, SUSPEND, TRANSACTION, by_iccid, by_msisdn, reason, spawn, until,
    violations,
};
use crate::orders;

const PLAN: &str = "M2MA_WW_TSL_BUNDLES_1";
/// In use, nothing bought.
const IN_USE: &str = "882470000000038";

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

    async fn until(&self, client: &mut Provisioning, state: SimOperationState) -> api::SimOperation {
        until(state.as_str_name(), async || {
            self.get(client)
                .await
                .is_ok_and(|operation| operation.state() == state)
        })
        .await;
        self.get(client).await.unwrap()
    }
}

fn suspend(msisdn: &str) -> Wish {
    Wish::new(msisdn, Ask::Suspend)
}

fn sent(house: &House) -> u64 {
    house.control().received("POST", SUSPEND)
}

fn fault(house: &House, route: &'static str, step: impl Into<Step>) {
    let method = if route == SUSPEND { "POST" } else { "GET" };
    house.control().queue(Script::on(method, route).then(step));
}

fn refusal(status: &Status) -> (Code, String) {
    let error = reason(status);
    (error.code, error.reason)
}

#[tokio::test]
async fn every_operation_does_what_it_says() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
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
async fn what_is_not_enabled_is_neither_read_nor_written() {
    let house = House::open().await;
    let mut client = house.provisioning();
    let wishes = [
        Ask::Activate,
        Ask::Suspend,
        Ask::Reactivate,
        Ask::Terminate {
            confirm: "8988247000000000381".into(),
        },
        Ask::Update {
            group: "G".into(),
            metadata: Vec::new(),
        },
        Ask::Swap {
            new_iccid: "8988247000000000407".into(),
        },
    ];
    for ask in wishes {
        let wish = Wish::new(IN_USE, ask);
        let refused = wish.ask(&mut client).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "OPERATION_NOT_ENABLED".to_owned());
        assert_eq!(refusal(&refused), expected, "{wish:?}");
        let unknown = wish.get(&mut client).await.unwrap_err();
        assert_eq!(
            refusal(&unknown),
            (Code::NotFound, "SIM_OPERATION_NOT_FOUND".into())
        );
    }
    assert_eq!(house.control().counters().requests, Default::default());
}

#[tokio::test]
async fn an_operation_ends_as_its_transaction_does() {
    // Nobody looks at the SIM itself, unless it is given up.
    let house = House::with_operations(&[("ORDERS__ESCALATE_AFTER", "1h")]).await;
    let control = house.control();
    let mut client = house.provisioning();
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
            let before = sent(&house);
            assert_eq!(wish.ask(&mut client).await.unwrap(), over);
            assert_eq!(sent(&house), before);
        }
    }
    // What could not be read is read again.
    control.set_sim_status(IN_USE, SimStatus::Active).unwrap();
    fault(&house, TRANSACTION, Fault::status(503).step().times(2));
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
    let house = House::with_operations(&settings).await;
    let control = house.control();
    let mut client = house.provisioning();
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
    assert_eq!(sent(&house), 1);
}

#[tokio::test]
async fn what_nobody_can_find_out_is_left_to_an_operator() {
    let settings = [
        ("OPERATIONS__GIVE_UP_AFTER", "50ms"),
        ("ORDERS__ESCALATE_AFTER", "100ms"),
        ("ORDERS__SETTLE_WINDOW", "50ms"),
    ];
    let house = House::with_operations(&settings).await;
    let control = house.control();
    let mut client = house.provisioning();
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
    let house = House::with_operations(&[("ORDERS__SETTLE_WINDOW", "50ms")]).await;
    let mut client = house.provisioning();
    let modify = "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/modify";
    house
        .control()
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
    assert_eq!(house.control().received("POST", modify), 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_found_out_from_the_sim() {
    let house = House::with_operations(&[("ORDERS__SEND_TIMEOUT", "200ms")]).await;
    let control = house.control();
    let mut client = house.provisioning();
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
                &house,
                SUSPEND,
                if done { kind.after_commit() } else { kind.step() },
            );
            let posts = sent(&house);
            let wish = suspend(IN_USE);
            assert_eq!(wish.ask(&mut client).await.unwrap().state(), Unknown, "{name}");
            let over = wish
                .until(&mut client, if done { Succeeded } else { Failed })
                .await;
            assert!(over.provider_reference.is_empty(), "{name}");
            let suspended = control.sim(IN_USE).unwrap().status == SimStatus::Suspended;
            assert_eq!(suspended, done, "{name}");
            assert_eq!(wish.ask(&mut client).await.unwrap(), over, "{name}");
            assert_eq!(sent(&house) - posts, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_definite_refusal_is_an_error_and_stays_one() {
    let house = House::with_operations(&[]).await;
    let mut client = house.provisioning();
    use Code::{FailedPrecondition, Internal, NotFound};
    let text = "Invalid SIM serial / SIM card doesn't belong to customer";
    let unknown_sim = format!(r#"{{"title":"BAD_REQUEST","detail":"{text}"}}"#);
    for (at, (step, code, expected)) in [
        (Fault::body(400, unknown_sim), NotFound, "SIM_NOT_FOUND"),
        (
            Fault::problem(404, "SUBSCRIBER_NOT_FOUND"),
            NotFound,
            "SIM_NOT_FOUND",
        ),
        (
            Fault::problem(400, "BAD_REQUEST"),
            FailedPrecondition,
            "PROVIDER_REJECTED",
        ),
        (
            Fault::problem(422, "SOMETHING_NEW"),
            FailedPrecondition,
            "PROVIDER_REJECTED",
        ),
        (
            Fault::problem(403, "INSUFFICIENT_PERMISSION"),
            FailedPrecondition,
            "OPERATION_NOT_ENABLED",
        ),
        (
            Fault::problem(501, "NOT_IMPLEMENTED"),
            FailedPrecondition,
            "OPERATION_NOT_ENABLED",
        ),
        (Fault::problem(404, "NOT_FOUND"), Internal, "PROVIDER_PROTOCOL"),
    ]
    .into_iter()
    .enumerate()
    {
        fault(&house, SUSPEND, step);
        let wish = suspend(IN_USE);
        let refused = wish.ask(&mut client).await.unwrap_err();
        assert_eq!(refusal(&refused), (code, expected.into()));
        let operation = wish.get(&mut client).await.unwrap();
        assert_eq!(operation.state(), Failed, "{expected}");
        assert_eq!(reason(&refused).metadata["operation_id"], operation.operation_id);
        let failure = operation.failure.unwrap();
        assert_eq!(failure.reason().as_str_name(), format!("ERROR_REASON_{expected}"));
        let again = wish.ask(&mut client).await.unwrap_err();
        assert_eq!(
            (again.code(), again.message()),
            (refused.code(), refused.message())
        );
        assert_eq!(sent(&house), at as u64 + 1, "{expected}");
    }
    // What the provider itself refuses: a SIM that is suspended already.
    let refused = suspend("882470000000012").ask(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (FailedPrecondition, "PROVIDER_REJECTED".into())
    );
    assert_eq!(reason(&refused).metadata["provider_code"], "BAD_REQUEST");
}

#[tokio::test]
async fn a_sim_that_the_provider_does_not_know_is_not_found() {
    let house = House::with_operations(&[]).await;
    let mut client = house.provisioning();
    for bad_request in [true, false] {
        house
            .control()
            .configure(|settings| settings.unknown_sim_is_bad_request = bad_request);
        for sim in [by_msisdn("999000000000000"), by_iccid("8999900000000000006")] {
            let wish = Wish {
                sim,
                ..suspend(IN_USE)
            };
            let refused = wish.ask(&mut client).await.unwrap_err();
            assert_eq!(refusal(&refused), (Code::NotFound, "SIM_NOT_FOUND".into()));
            assert!(!reason(&refused).metadata.contains_key("operation_id"));
        }
    }
    house.control().deny("/connectivity-management");
    let refused = suspend(IN_USE).ask(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::FailedPrecondition, "OPERATION_NOT_ENABLED".into())
    );
    assert_eq!(sent(&house), 0);
}

#[tokio::test]
async fn one_operation_at_a_time_for_a_sim() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
    fault(&house, SUSPEND, Fault::hold("post"));
    let first = suspend(IN_USE);
    let running = spawn({
        let (mut client, first) = (client.clone(), first.clone());
        async move { first.ask(&mut client).await }
    });
    control.until_held("post", 1).await;
    let update = Wish::new(
        IN_USE,
        Ask::Update {
            group: "G".into(),
            metadata: Vec::new(),
        },
    );
    let refused = update.ask(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".into())
    );
    let standing = first.get(&mut client).await.unwrap();
    assert_eq!(standing.state(), Pending);
    assert_eq!(reason(&refused).metadata["operation_id"], standing.operation_id);
    // Bundles and other SIMs are no matter of it.
    orders::create(&mut client, &orders::order(IN_USE)).await.unwrap();
    suspend("882470000000003").ask(&mut client).await.unwrap();
    control.release("post");
    running.await.unwrap().unwrap();
    first.until(&mut client, Succeeded).await;
    // Nothing was kept of the second: it can be sent now.
    update.ask(&mut client).await.unwrap();
    update.until(&mut client, Succeeded).await;
}

#[tokio::test]
async fn what_the_provider_is_too_busy_for_may_be_asked_for_again() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
    fault(&house, SUSPEND, Fault::problem(409, "CONFLICT"));
    let wish = suspend(IN_USE);
    let refused = wish.ask(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::Aborted, "SIM_OPERATION_IN_PROGRESS".into())
    );
    assert_eq!(reason(&refused).metadata["provider_code"], "CONFLICT");
    assert!(wish.get(&mut client).await.is_err());

    fault(&house, SUSPEND, Fault::RateLimited { retry_after: None });
    let refused = wish.ask(&mut client).await.unwrap_err();
    assert_eq!(
        refusal(&refused),
        (Code::ResourceExhausted, "PROVIDER_RATE_LIMITED".into())
    );
    assert!(wish.get(&mut client).await.is_err());

    wish.ask(&mut client).await.unwrap();
    wish.until(&mut client, Succeeded).await;
    assert_eq!(control.transactions(Some(IN_USE)).unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_id_is_for_one_wish_of_whatever_kind() {
    let house = House::with_operations(&[]).await;
    let mut client = house.provisioning();
    let wish = suspend(IN_USE);
    let begun = wish.ask(&mut client).await.unwrap();
    let with = |ask: Ask| Wish { ask, ..wish.clone() };
    for other in [
        with(Ask::Reactivate),
        Wish {
            sim: by_msisdn("882470000000003"),
            ..wish.clone()
        },
        Wish {
            rate_plan: "OTHER".into(),
            ..wish.clone()
        },
    ] {
        let refused = other.ask(&mut client).await.unwrap_err();
        assert_eq!(
            refusal(&refused),
            (Code::InvalidArgument, "REQUEST_ID_REUSED".into())
        );
    }
    // An order is no operation, and the other way round.
    let order = api::CreateOrderRequest {
        request_id: wish.request_id.clone(),
        ..orders::order(IN_USE)
    };
    let refused = orders::create(&mut client, &order).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    assert_eq!(
        reason(&orders::get(&mut client, &order).await.unwrap_err()).reason,
        "ORDER_NOT_FOUND"
    );
    let resolve = api::ResolveOrderRequest {
        order_id: begun.operation_id.clone(),
        resolution: api::Resolution::NotPlaced.into(),
        ..Default::default()
    };
    let refused = client.resolve_order(resolve).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "ORDER_NOT_FOUND");

    let order = orders::order("882470000000001");
    let placed = orders::create(&mut client, &order).await.unwrap();
    let as_operation = Wish {
        request_id: order.request_id.clone(),
        ..suspend("882470000000001")
    };
    let refused = as_operation.ask(&mut client).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
    for key in [
        api::get_sim_operation_request::Key::OperationId(placed.order_id.clone()),
        api::get_sim_operation_request::Key::RequestId(order.request_id.clone()),
    ] {
        let request = api::GetSimOperationRequest { key: Some(key) };
        let refused = client.get_sim_operation(request).await.unwrap_err();
        assert_eq!(reason(&refused).reason, "SIM_OPERATION_NOT_FOUND");
    }
    let listed = client
        .list_orders(api::ListOrdersRequest::default())
        .await
        .unwrap();
    let listed: Vec<_> = listed
        .into_inner()
        .orders
        .into_iter()
        .map(|order| order.order_id)
        .collect();
    assert_eq!(listed, [placed.order_id]);
    assert_eq!(sent(&house), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_or_is_late_changes_nothing() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
    fault(&house, SUSPEND, Fault::hold("post"));
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
    assert_eq!(sent(&house), 1);
    // Without time nothing is sent and nothing kept.
    fault(&house, LINE, Fault::hold("read"));
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
async fn a_sim_is_ended_only_by_its_own_card() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
    let card = control.sim(IN_USE).unwrap().iccid;
    let end = |confirm: &str| {
        Wish::new(
            IN_USE,
            Ask::Terminate {
                confirm: confirm.to_owned(),
            },
        )
    };
    for wrong in ["", "8988247", "8988247000000000019"] {
        let refused = end(wrong).ask(&mut client).await.unwrap_err();
        assert_eq!(violations(&refused), ["confirm_iccid"], "{wrong}");
    }
    assert!(control.transactions(Some(IN_USE)).unwrap().is_empty());
    let wish = end(&card);
    wish.ask(&mut client).await.unwrap();
    wish.until(&mut client, Succeeded).await;
    let other = Wish {
        ask: Ask::Terminate {
            confirm: "8988247000000000019".into(),
        },
        ..wish
    };
    let refused = other.ask(&mut client).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_swapped_card_is_known_at_once_under_its_new_line() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
    let (line, spare) = ("882470000000009", "882470000000040");
    let [old, new] = [line, spare].map(|sim| control.sim(sim).unwrap().iccid);
    // Both pairs are known as they were, under all four names.
    let mut inventory = house.inventory();
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
async fn a_rate_plan_is_the_callers_or_the_settings() {
    let house = House::with_operations(&[("TRANSATEL__RATE_PLAN", "")]).await;
    let mut client = house.provisioning();
    let refused = suspend(IN_USE).ask(&mut client).await.unwrap_err();
    assert_eq!(violations(&refused), ["rate_plan"]);
    assert_eq!(house.control().counters().requests, Default::default());
    let wish = Wish {
        rate_plan: PLAN.into(),
        ..suspend(IN_USE)
    };
    wish.ask(&mut client).await.unwrap();
    wish.until(&mut client, Succeeded).await;
    // A plan that is not the account's is the provider's to refuse.
    let foreign = Wish {
        rate_plan: "MVNA Wholesale PAYM 7".into(),
        ..Wish::new(IN_USE, Ask::Reactivate)
    };
    let refused = foreign.ask(&mut client).await.unwrap_err();
    assert_eq!(reason(&refused).reason, "PROVIDER_REJECTED");
}

#[tokio::test]
async fn bad_input_names_everything_and_sends_nothing() {
    let house = House::with_operations(&[]).await;
    let mut client = house.provisioning();
    let bad = Wish {
        request_id: "17".into(),
        sim: by_msisdn("abc"),
        ask: Ask::Suspend,
        rate_plan: "p".repeat(51),
    };
    let common = ["rate_plan", "request_id", "sim.msisdn"];
    for ask in [Ask::Activate, Ask::Suspend, Ask::Reactivate] {
        let bad = Wish { ask, ..bad.clone() };
        assert_eq!(violations(&bad.ask(&mut client).await.unwrap_err()), common);
    }
    for (ask, field) in [
        (Ask::Terminate { confirm: "x".into() }, "confirm_iccid"),
        (
            Ask::Swap {
                new_iccid: "y".into(),
            },
            "new_iccid",
        ),
    ] {
        let bad = Wish { ask, ..bad.clone() };
        let fields = violations(&bad.ask(&mut client).await.unwrap_err());
        assert_eq!(fields, [&[field], common.as_slice()].concat());
    }
    let update =
        |group: String, metadata: Vec<(String, String)>| Wish::new(IN_USE, Ask::Update { group, metadata });
    let entry = |key: String, value: String| vec![(key, value)];
    let eleven = (0..11)
        .map(|number| (format!("k{number}"), "v".to_owned()))
        .collect();
    for (wish, fields) in [
        (update(String::new(), Vec::new()), &["group"][..]),
        (update("g".repeat(101), Vec::new()), &["group"]),
        (update(String::new(), eleven), &["metadata"]),
        (
            update(String::new(), entry("k".repeat(51), "v".into())),
            &["metadata"],
        ),
        (
            update(String::new(), entry(String::new(), "v".into())),
            &["metadata"],
        ),
        (
            update(String::new(), entry("k".into(), "v".repeat(256))),
            &["metadata"],
        ),
    ] {
        assert_eq!(
            violations(&wish.ask(&mut client).await.unwrap_err()),
            fields,
            "{wish:?}"
        );
    }
    let keyless = api::GetSimOperationRequest { key: None };
    assert_eq!(
        violations(&client.get_sim_operation(keyless).await.unwrap_err()),
        ["key"]
    );
    let resolve = api::ResolveSimOperationRequest {
        operation_id: "x".into(),
        resolution: 0,
        note: "n".repeat(501),
    };
    assert_eq!(
        violations(&client.resolve_sim_operation(resolve).await.unwrap_err()),
        ["note", "operation_id", "resolution"]
    );
    assert_eq!(house.control().counters().requests, Default::default());
}

#[tokio::test]
async fn a_suspension_does_not_stop_the_clock_of_a_bundle() {
    let house = House::with_operations(&[]).await;
    let control = house.control();
    let mut client = house.provisioning();
    let (sim, france) = ("882470000000036", FRANCE);
    let running = |control: &transatel_gateway::sandbox::Control| {
        let sim = control.sim("36").unwrap();
        sim.bought().any(|bundle| bundle.product_id == france)
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
