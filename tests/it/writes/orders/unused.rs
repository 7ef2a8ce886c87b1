//! Orders that are only for a SIM that nothing uses yet.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Barrier;
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::{Step, Steps};
use transatel_simulator::{Criteria, ProfileStatus};

use super::*;
use crate::support::gateway::{ESIM, Gateway, simulator};
use crate::support::postgres;
use crate::writes::orders_late::SOON;
use crate::writes::stock;

const OTHER_PRODUCT: &str = "WW_901O_STACK_ONEOFF_FRANCE_5GB_30D";

fn unused(request: api::CreateOrderRequest) -> api::CreateOrderRequest {
    api::CreateOrderRequest {
        require_unused: true,
        ..request
    }
}

/// What uses the SIM, by the error of an order that wanted an unused one.
fn in_use(answer: Result<api::Order, Status>) -> (String, Option<String>) {
    let reason = reason(&answer.unwrap_err());
    assert_eq!(
        (reason.code, reason.reason.as_str()),
        (Code::FailedPrecondition, "SIM_IN_USE")
    );
    assert_eq!(reason.metadata["known_state"], "NONE");
    (
        reason.metadata["sim_use"].clone(),
        reason.metadata.get("other_order_id").cloned(),
    )
}

#[tokio::test]
async fn an_order_for_an_unused_sim_is_refused_for_one_that_is_in_use() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let fresh = env.control().find_sims(Criteria::FRESH, usize::MAX);
    let mut fresh = fresh.into_iter().filter(|sim| sim.eid.is_none());

    // A subscription, and one that is bought first.
    let sim = fresh.next().unwrap();
    let first = unused(order(&sim.msisdn));
    let placed = create(&mut client, &first).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    let second = api::CreateOrderRequest {
        product_id: OTHER_PRODUCT.into(),
        ..unused(order(&sim.msisdn))
    };
    assert_eq!(
        in_use(create(&mut client, &second).await),
        ("SUBSCRIPTION".into(), None)
    );
    let validated = api::CreateOrderRequest {
        validate_only: true,
        ..second.clone()
    };
    assert_eq!(
        in_use(create(&mut client, &validated).await),
        ("SUBSCRIPTION".into(), None)
    );
    // A repeat of what has bought is answered, and the condition is not content.
    assert_eq!(create(&mut client, &first).await.unwrap(), placed);
    let repeat = api::CreateOrderRequest {
        require_unused: false,
        ..first
    };
    assert_eq!(create(&mut client, &repeat).await.unwrap(), placed);

    // An eSIM on a device, whichever identifier names the SIM.
    let sim = fresh.next().unwrap();
    env.control()
        .set_esim_status(&sim.iccid, ProfileStatus::Installed)
        .unwrap();
    for sim in [by_msisdn(&sim.msisdn), by_iccid(&sim.iccid)] {
        let request = api::CreateOrderRequest {
            sim,
            ..unused(order(FRESH))
        };
        assert_eq!(in_use(create(&mut client, &request).await), ("ESIM".into(), None));
    }

    // An order that is still being sent.
    let sim = fresh.next().unwrap();
    fault(&env, Fault::hold("post"));
    let held = order(&sim.msisdn);
    let call = spawn_create(client.clone(), &held);
    until("it is being sent", async || sent(&env) == 2).await;
    let request = api::CreateOrderRequest {
        product_id: OTHER_PRODUCT.into(),
        ..unused(order(&sim.msisdn))
    };
    let (by, order_id) = in_use(create(&mut client, &request).await);
    assert_eq!(by, "ORDER");
    assert_eq!(order_id, Some(get(&mut client, &held).await.unwrap().order_id));
    env.control().release("post");
    call.await.unwrap().unwrap();
    assert_eq!(sent(&env), 2);
}

#[tokio::test]
async fn an_order_that_may_show_late_keeps_the_sim_in_use() {
    let env = TestEnv::with(&SOON).await;
    let mut client = env.provisioning();
    fault(&env, Fault::Reset);
    let first = order(FRESH);
    let _ = create(&mut client, &first).await;
    until_state(&mut client, &first, OrderState::NotPlaced).await;
    let other = api::CreateOrderRequest {
        product_id: OTHER_PRODUCT.into(),
        ..unused(order(FRESH))
    };
    let (by, order_id) = in_use(create(&mut client, &other).await);
    assert_eq!(by, "ORDER");
    assert_eq!(order_id, Some(get(&mut client, &first).await.unwrap().order_id));
    // Its own repeat is not in its own way.
    let placed = create(&mut client, &unused(first)).await.unwrap();
    assert_eq!(placed.state(), OrderState::Placed);
    assert_eq!(sent(&env), 2);
}

#[tokio::test]
async fn an_esim_whose_status_is_not_known_is_in_use() {
    let env = TestEnv::open().await;
    let sim = env.control().find_sims(Criteria::FRESH, 1).remove(0);
    let body = r#"{"status":"in transfer","activationCode":"1$a.example$B"}"#;
    let answer = Fault::body(200, body).step();
    env.control().queue(Script::on("GET", ESIM).then(answer));
    let request = api::CreateOrderRequest {
        sim: by_iccid(&sim.iccid),
        ..unused(order(FRESH))
    };
    let refused = create(&mut env.provisioning(), &request).await;
    assert_eq!(in_use(refused), ("ESIM".into(), None));
    assert_eq!(sent(&env), 0);
}

#[tokio::test]
async fn a_reserved_sim_that_was_used_since_is_not_sold_as_unused() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    stock::deliver(&env.sandbox, &mut env.inventory(), 2).await;
    for (require_unused, refused) in [(true, true), (false, false)] {
        let reservation = api::ReserveSimRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            pool: stock::POOL.into(),
            ..Default::default()
        };
        let held = client
            .reserve_sim(reservation)
            .await
            .unwrap()
            .into_inner()
            .reservation
            .unwrap();
        let card = held.sim.unwrap().iccid;
        env.control()
            .set_esim_status(&card, ProfileStatus::Installed)
            .unwrap();
        let request = api::CreateOrderRequest {
            sim: None,
            reservation_id: held.reservation_id,
            require_unused,
            ..order(FRESH)
        };
        let answer = create(&mut client, &request).await;
        match refused {
            true => assert_eq!(in_use(answer), ("ESIM".into(), None)),
            false => assert_eq!(answer.unwrap().state(), OrderState::Placed),
        }
    }
}

/// A gateway that begins as many orders at the same moment.
async fn beginning_at_once(base_url: &str, barrier: &Arc<Barrier>, settings: &[(&str, &str)]) -> Gateway {
    let barrier = Arc::clone(barrier);
    let steps = Steps::new(move |step| {
        let barrier = Arc::clone(&barrier);
        async move {
            if step == Step::BeforeDurable {
                barrier.wait().await;
            }
        }
        .boxed()
    });
    let seams = Seams {
        steps,
        ..Seams::default()
    };
    Gateway::start_in(base_url, settings, seams).await
}

/// Both have read the SIM when neither has begun.
async fn one_of_two_is_placed(store: Option<&str>) {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let barrier = Arc::new(Barrier::new(2));
    let settings: Vec<_> = store.map(|store| ("STORE__URL", store)).into_iter().collect();
    let one = beginning_at_once(&sandbox.base_url(), &barrier, &settings).await;
    let replica = match store {
        Some(_) => Some(beginning_at_once(&sandbox.base_url(), &barrier, &settings).await),
        None => None,
    };
    let other = replica.as_ref().unwrap_or(&one);
    let sims = control.find_sims(Criteria::FRESH, usize::MAX);
    for sim in sims.iter().filter(|sim| sim.eid.is_none()).take(3) {
        let first = unused(order(&sim.msisdn));
        let second = api::CreateOrderRequest {
            product_id: OTHER_PRODUCT.into(),
            ..unused(order(&sim.msisdn))
        };
        let calls = [
            spawn_create(one.provisioning(), &first),
            spawn_create(other.provisioning(), &second),
        ];
        // A third attempt would wait for another one for ever.
        let answers = tokio::time::timeout(Duration::from_secs(60), futures_util::future::join_all(calls));
        let answers = answers.await.unwrap();
        let (placed, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!((placed.len(), refused.len()), (1, 1), "{placed:?} {refused:?}");
        for answer in refused {
            in_use(answer);
        }
        assert_eq!(control.sim(&sim.msisdn).unwrap().bought().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_orders_for_an_unused_sim_at_the_same_moment_is_placed() {
    one_of_two_is_placed(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_orders_for_an_unused_sim_at_two_replicas_is_placed() {
    let Some(store) = postgres::database().await else {
        return;
    };
    one_of_two_is_placed(Some(&store)).await;
}
