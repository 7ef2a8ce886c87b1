//! Operations on SIMs, over gRPC: sent once, followed to their
//! end.

mod eligibility;
mod labels;
mod listing;
mod outcomes;

use std::collections::HashMap;
use std::time::Duration;

use api::SimOperationState::{Pending, Succeeded};
use api::{SimOperationKind, SimOperationState};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use transatel_gateway::domain::Iccid;
use transatel_gateway::domain::change::{Labels, OptionalOperation, SimAction};
use transatel_gateway::transatel::client::endpoint;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Fault, Outcome, Script, SimStatus, Step};
use uuid::Uuid;

use crate::support::gateway::{FRANCE, Provisioning, SUSPEND, TestEnv, by_iccid, by_msisdn, until};

pub const PLAN: &str = "M2MA_WW_TSL_BUNDLES_1";
/// In use, nothing bought.
pub const IN_USE: &str = "882470000000038";

/// What is asked of a SIM, without the request id.
#[derive(Clone, Debug)]
pub enum Action {
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

impl Action {
    /// One of every kind, for a SIM with this card.
    pub fn each(card: &str, spare: &str, label: &str) -> Vec<Self> {
        vec![
            Self::Activate,
            Self::Suspend,
            Self::Reactivate,
            Self::Terminate {
                confirm: card.to_owned(),
            },
            Self::Update {
                group: label.to_owned(),
                metadata: vec![("case".into(), label.to_owned())],
            },
            Self::Swap {
                new_iccid: spare.to_owned(),
            },
        ]
    }

    /// As the ledger keeps it.
    pub fn as_domain(&self) -> SimAction {
        match self.clone() {
            Self::Activate => SimAction::Activate,
            Self::Suspend => SimAction::Suspend,
            Self::Reactivate => SimAction::Reactivate,
            Self::Terminate { .. } => SimAction::Terminate,
            Self::Update { group, metadata } => SimAction::Update(Labels {
                group: Some(group),
                reference: None,
                metadata: metadata.into_iter().collect(),
            }),
            Self::Swap { new_iccid } => SimAction::Swap {
                new_iccid: Iccid::parse(&new_iccid).unwrap(),
            },
        }
    }

    /// The URL that it is sent to.
    pub fn route(&self) -> &'static str {
        endpoint::of_operation(OptionalOperation::of_sim(&self.as_domain())).template
    }

    /// The status that tells that it was carried out.
    pub fn leads_to(&self) -> Option<SimStatus> {
        match self {
            Self::Activate | Self::Reactivate => Some(SimStatus::Active),
            Self::Suspend => Some(SimStatus::Suspended),
            Self::Terminate { .. } => Some(SimStatus::Terminated),
            Self::Update { .. } | Self::Swap { .. } => None,
        }
    }
}

/// A change of a SIM that is asked for.
#[derive(Clone, Debug)]
pub struct Change {
    pub request_id: String,
    pub sim: Option<api::SimRef>,
    pub action: Action,
    pub plan: String,
}

impl Change {
    pub fn new(msisdn: &str, action: Action) -> Self {
        Self {
            request_id: Uuid::new_v4().to_string(),
            sim: by_msisdn(msisdn),
            action,
            plan: String::new(),
        }
    }

    /// Asks, within a deadline when there is one.
    pub async fn within(
        &self,
        client: &mut Provisioning,
        deadline: Option<Duration>,
    ) -> Result<api::SimOperation, Status> {
        macro_rules! send {
            ($method:ident, $request:ident { $($field:ident: $value:expr),* }) => {{
                let mut request = Request::new(api::$request {
                    request_id: self.request_id.clone(),
                    sim: self.sim.clone(),
                    plan: self.plan.clone(),
                    $($field: $value),*
                });
                if let Some(deadline) = deadline {
                    request.set_timeout(deadline);
                }
                client.$method(request).await?.into_inner().operation
            }};
        }
        let operation = match self.action.clone() {
            Action::Activate => send!(activate_sim, ActivateSimRequest {}),
            Action::Suspend => send!(suspend_sim, SuspendSimRequest {}),
            Action::Reactivate => send!(reactivate_sim, ReactivateSimRequest {}),
            Action::Terminate { confirm } => {
                send!(
                    terminate_sim,
                    TerminateSimRequest {
                        confirm_iccid: confirm
                    }
                )
            }
            Action::Update { group, metadata } => send!(
                update_sim,
                UpdateSimRequest {
                    group: Some(group),
                    reference: None,
                    metadata: metadata.into_iter().collect::<HashMap<_, _>>()
                }
            ),
            Action::Swap { new_iccid } => send!(swap_sim, SwapSimRequest { new_iccid: new_iccid }),
        };
        Ok(operation.unwrap())
    }

    pub async fn send(&self, client: &mut Provisioning) -> Result<api::SimOperation, Status> {
        self.within(client, None).await
    }

    /// The operation as the ledger has it.
    pub async fn get(&self, client: &mut Provisioning) -> Result<api::SimOperation, Status> {
        let key = api::get_sim_operation_request::Key::RequestId(self.request_id.clone());
        let request = api::GetSimOperationRequest {
            key: Some(key),
            wait: None,
        };
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

pub fn suspend(msisdn: &str) -> Change {
    Change::new(msisdn, Action::Suspend)
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
    let update = Action::Update {
        group: "fleet-b".into(),
        metadata: vec![("owner".into(), "Jane Doe".into())],
    };
    let swap = Action::Swap { new_iccid: card(6) };
    let end = |confirm| Action::Terminate { confirm };
    let mut log = Vec::new();
    for (sim, action) in [
        (&sims[0], Action::Suspend),
        (&sims[1], Action::Suspend),
        (&sims[4], Action::Suspend),
        (&sims[2], Action::Suspend),
        (&sims[5], update),
        (&sims[3], swap),
        (&sims[4], end(card(0))),
        (&sims[4], end(card(4))),
    ] {
        let request = Change {
            sim: by_iccid(&sim.iccid),
            ..Change::new(&sim.msisdn, action)
        };
        match request.send(&mut client).await {
            Ok(_) => {
                until("it is over", async || {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let operation = request.get(&mut client).await.unwrap();
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
    let update = Action::Update {
        group: "fleet-b".into(),
        metadata: vec![("depot".into(), "Lyon".into()), ("gone".into(), String::new())],
    };
    let swapped = Action::Swap {
        new_iccid: iccid("40"),
    };
    let confirm = iccid("2");
    let cases = [
        (
            15,
            Action::Activate,
            SimOperationKind::Activate,
            "activate",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Active,
        ),
        (
            38,
            Action::Suspend,
            SimOperationKind::Suspend,
            "suspend",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Suspended,
        ),
        (
            12,
            Action::Reactivate,
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
            Action::Terminate {
                confirm: confirm.clone(),
            },
            SimOperationKind::Terminate,
            "terminate",
            serde_json::json!({ "ratePlan": PLAN }),
            SimStatus::Terminated,
        ),
    ];
    assert_eq!(cases.len(), Action::each(&confirm, &confirm, "").len());
    for (number, action, kind, word, body, status) in cases {
        control.clear_requests();
        let msisdn = format!("8824700000000{number:02}");
        let card = iccid(&msisdn);
        let request = Change::new(&msisdn, action);
        let begun = request.send(&mut client).await.unwrap();
        assert_eq!((begun.state(), begun.kind()), (Pending, kind), "{word}");
        assert_eq!(begun.request_id, request.request_id);
        assert!(begun.next_check_at.is_some() && !begun.needs_operator);
        let sim = begun.sim.clone().unwrap();
        assert_eq!((&sim.iccid, &sim.msisdn), (&card, &msisdn), "{word}");

        let done = request.until(&mut client, Succeeded).await;
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
        let again = Change {
            sim: by_iccid(&card),
            request_id: request.request_id.to_uppercase(),
            ..request.clone()
        };
        assert_eq!(again.send(&mut client).await.unwrap(), done, "{word}");
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
    let request = Change::new(
        line,
        Action::Swap {
            new_iccid: new.clone(),
        },
    );
    let begun = request.send(&mut client).await.unwrap();
    assert_eq!(begun.new_iccid, new);
    request.until(&mut client, Succeeded).await;
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
    let request = suspend(sim);
    request.send(&mut client).await.unwrap();
    request.until(&mut client, Succeeded).await;
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
        reference: Some(secret.into()),
        metadata: HashMap::from([("owner".into(), secret.into())]),
        ..Default::default()
    };
    let sim = api::Sim {
        reference: secret.into(),
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
        format!("{sim:?}"),
        format!("{operation:?}"),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
}
