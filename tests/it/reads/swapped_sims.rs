//! Lines that move to another card while a gateway knows the pair as it was:
//! money goes where the provider says that the line is now.

use api::SimOperationState::Succeeded;
use tonic::Status;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Control, Fault, Sandbox, Script, Webhook};

use crate::support::gateway::{
    Gateway, OPERATIONS, ORDERS, SECRET, Secret, by_iccid, by_msisdn, reason, until,
};
use crate::support::postgres;
use crate::writes::follow_ups;
use crate::writes::orders::{create, order, until_state};
use crate::writes::sim_operations::{Action, Change};

/// In use, and what its line moves to.
const LINE: &str = "882470000000009";
const SPARE: &str = "882470000000040";

/// A gateway that read both pairs before another one, with a ledger of its
/// own, swaps the card of the line.
struct Swap {
    sandbox: Sandbox,
    gateway: Gateway,
    other: Gateway,
    old: String,
    new: String,
}

impl Swap {
    /// Reads the pairs under these references.
    async fn known_by(known: impl Fn(&str, &str) -> Vec<Option<api::SimRef>>) -> Self {
        let sandbox = crate::support::gateway::simulator().await;
        let gateway = Gateway::start(&sandbox.base_url(), &OPERATIONS).await;
        let other = Gateway::start(&sandbox.base_url(), &OPERATIONS).await;
        let control = sandbox.control();
        control.configure(|settings| {
            settings.follow_ups.enabled = true;
            settings.operations.delay = std::time::Duration::ZERO;
        });
        let [old, new] = [LINE, SPARE].map(|sim| control.sim(sim).unwrap().iccid);
        for sim in known(&old, &new) {
            number(&gateway, sim).await;
        }
        Self {
            sandbox,
            gateway,
            other,
            old,
            new,
        }
    }

    async fn carry_out(&self) {
        swap(&self.other, &self.new).await;
    }

    fn control(&self) -> Control {
        self.sandbox.control()
    }

    fn bought(&self, line: &str) -> usize {
        self.control().sim(line).unwrap().bought().count()
    }
}

async fn swap(through: &Gateway, new: &str) {
    let action = Action::Swap {
        new_iccid: new.to_owned(),
    };
    let request = Change::new(LINE, action);
    let mut client = through.provisioning();
    request.send(&mut client).await.unwrap();
    request.until(&mut client, Succeeded).await;
}

/// The number under which a gateway reads the inventory of a SIM.
async fn number(gateway: &Gateway, sim: Option<api::SimRef>) -> String {
    let mut inventory = api::inventory_client::InventoryClient::new(gateway.channel.clone());
    let request = api::GetInventoryRequest {
        sim,
        ..Default::default()
    };
    let answer = inventory.get_inventory(request).await.unwrap().into_inner();
    answer.sim.unwrap().msisdn
}

fn by_card(old: &str, new: &str) -> Vec<Option<api::SimRef>> {
    vec![by_iccid(old), by_iccid(new)]
}

async fn buy(
    swap: &Swap,
    sim: Option<api::SimRef>,
    activation: api::ActivationMode,
) -> Result<api::Order, Status> {
    let request = api::CreateOrderRequest {
        sim,
        activation: activation.into(),
        ..order(LINE)
    };
    create(&mut swap.gateway.provisioning(), &request).await
}

#[tokio::test]
async fn an_order_for_the_new_card_goes_to_the_line_that_moved_there() {
    for activation in [api::ActivationMode::Unspecified, api::ActivationMode::Immediate] {
        let swap = Swap::known_by(by_card).await;
        swap.carry_out().await;
        let before = swap.bought(LINE);
        let order = buy(&swap, by_iccid(&swap.new), activation).await.unwrap();
        let sim = order.sim.unwrap();
        assert_eq!((sim.iccid, sim.msisdn.as_str()), (swap.new.clone(), LINE));
        assert_eq!(swap.bought(LINE), before + 1, "{activation:?}");
        // The pair that was found wrong is not used for reads either.
        assert_eq!(number(&swap.gateway, by_iccid(&swap.new)).await, LINE);
        assert_eq!(number(&swap.gateway, by_iccid(&swap.old)).await, SPARE);
    }
}

#[tokio::test]
async fn an_order_for_the_old_card_buys_nothing_for_the_line_that_left_it() {
    for activation in [api::ActivationMode::Unspecified, api::ActivationMode::Immediate] {
        let swap = Swap::known_by(by_card).await;
        swap.carry_out().await;
        let before = swap.bought(LINE);
        let error = buy(&swap, by_iccid(&swap.old), activation).await;
        assert!(error.is_err(), "{activation:?}: {error:?}");
        assert_eq!(swap.bought(LINE), before, "{activation:?}");
    }
}

#[tokio::test]
async fn an_order_by_number_goes_to_that_number_and_names_its_new_card() {
    let swap = Swap::known_by(|_, _| vec![by_msisdn(LINE)]).await;
    swap.carry_out().await;
    let before = swap.bought(LINE);
    let order = buy(&swap, by_msisdn(LINE), api::ActivationMode::Unspecified)
        .await
        .unwrap();
    let sim = order.sim.unwrap();
    assert_eq!((sim.iccid, sim.msisdn.as_str()), (swap.new.clone(), LINE));
    assert_eq!(swap.bought(LINE), before + 1);
}

#[tokio::test]
async fn a_subscription_is_not_ended_through_a_card_that_its_line_has_left() {
    let swap = Swap::known_by(by_card).await;
    let control = swap.control();
    let id = control.grant(LINE, follow_ups::MONTHLY).unwrap();
    swap.carry_out().await;
    let request = |sim| follow_ups::FollowUp {
        sim,
        ..follow_ups::FollowUp::new(follow_ups::Action::End, LINE, id)
    };
    let mut client = swap.gateway.provisioning();
    let error = request(by_iccid(&swap.old)).send(&mut client).await.unwrap_err();
    assert_eq!(
        crate::support::gateway::reason(&error).reason,
        "SIM_NOT_RESOLVABLE"
    );
    request(by_iccid(&swap.new)).send(&mut client).await.unwrap();
}

/// The SIM itself and its inventory, at the same time.
#[tokio::test]
async fn an_order_for_a_card_that_is_known_costs_two_reads() {
    let swap = Swap::known_by(by_card).await;
    let control = swap.control();
    let reads = || {
        let requests = control.requests();
        requests.iter().filter(|request| request.method == "GET").count()
    };
    // The catalog is read once.
    buy(&swap, by_iccid(&swap.old), api::ActivationMode::Unspecified)
        .await
        .unwrap();
    for activation in [api::ActivationMode::Unspecified, api::ActivationMode::Immediate] {
        let before = reads();
        buy(&swap, by_iccid(&swap.old), activation).await.unwrap();
        assert_eq!(reads() - before, 2, "{activation:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_swap_drops_the_pair_in_every_replica() {
    let Some(store) = postgres::database().await else {
        return;
    };
    let sandbox = crate::support::gateway::simulator().await;
    let secret = Secret::new(SECRET);
    let settings = [&secret.settings()[..], &[("STORE__URL", &*store)]].concat();
    let receiver = Gateway::start(&sandbox.base_url(), &settings).await;
    let replica = Gateway::start(&sandbox.base_url(), &settings).await;
    let elsewhere = Gateway::start(&sandbox.base_url(), &OPERATIONS).await;
    let control = sandbox.control();
    control.configure(|settings| settings.operations.delay = std::time::Duration::ZERO);
    control
        .set_webhook(Some(Webhook::new(receiver.webhook(), SECRET)))
        .unwrap();
    let [old, new] = [LINE, SPARE].map(|sim| control.sim(sim).unwrap().iccid);
    for gateway in [&receiver, &replica] {
        assert_eq!(number(gateway, by_iccid(&old)).await, LINE);
        assert_eq!(number(gateway, by_iccid(&new)).await, SPARE);
    }
    swap(&elsewhere, &new).await;
    for gateway in [&receiver, &replica] {
        until("the new card is known to have the line", async || {
            number(gateway, by_iccid(&new)).await == LINE
        })
        .await;
        // The event names the new card only.
        until("the old card is known not to have it", async || {
            number(gateway, by_iccid(&old)).await != LINE
        })
        .await;
    }
}

#[tokio::test]
async fn an_order_whose_card_has_another_number_now_is_not_repeated() {
    let swap = Swap::known_by(by_card).await;
    let control = swap.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.step()));
    let mut client = swap.gateway.provisioning();
    let request = api::CreateOrderRequest {
        sim: by_iccid(&swap.new),
        ..order(SPARE)
    };
    create(&mut client, &request).await.unwrap();
    until_state(&mut client, &request, api::OrderState::NotPlaced).await;
    let sent = control.received("POST", ORDERS);
    swap.carry_out().await;
    // What is on the line that came here says nothing about the first attempt.
    let error = reason(&create(&mut client, &request).await.unwrap_err());
    assert_eq!(error.reason, "REQUEST_ID_REUSED");
    assert_eq!(control.received("POST", ORDERS), sent);
}
