//! Inventories of many SIMs in one call.

use std::collections::BTreeSet;
use std::time::Duration;

use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Criteria, Fault, Options, Sandbox, Script, SimStatus};

use super::{INVENTORY, SEARCH, iccid, msisdn};
use crate::support::gateway::{Gateway, StillClock, TestEnv, by_iccid, by_msisdn, reason};

pub fn batch(sims: Vec<Option<SimRef>>) -> BatchGetInventoryRequest {
    BatchGetInventoryRequest {
        sims: sims.into_iter().flatten().collect(),
        ..Default::default()
    }
}

async fn all(env: &TestEnv, request: BatchGetInventoryRequest) -> Vec<BatchGetInventoryResponse> {
    let mut stream = env
        .inventory()
        .batch_get_inventory(request)
        .await
        .unwrap()
        .into_inner();
    let mut entries = Vec::new();
    while let Some(entry) = stream.message().await.unwrap() {
        entries.push(entry);
    }
    entries
}

#[tokio::test]
async fn a_batch_answers_every_sim_under_a_bounded_concurrency_and_a_bad_one_spoils_nothing() {
    let env = TestEnv::with(&[("INVENTORY__BATCH_CONCURRENCY", "8")]).await;
    // So that reads overlap.
    env.control()
        .configure(|settings| settings.latency = Duration::from_millis(1));
    let mut sims: Vec<Option<SimRef>> = (0..997).map(|n| by_msisdn(&msisdn(n % 100 + 1))).collect();
    sims.push(by_msisdn("33600000000"));
    sims.push(by_iccid(&iccid(&env, 3)));
    sims.push(by_iccid("8988247999999999999"));
    let entries = all(&env, batch(sims.clone())).await;
    assert_eq!(entries.len(), 1000);
    let indices: BTreeSet<i32> = entries.iter().map(|entry| entry.index).collect();
    assert_eq!(indices.len(), 1000);
    for entry in &entries {
        assert_eq!(entry.sim, sims[entry.index as usize]);
        match entry.outcome.as_ref().unwrap() {
            batch_get_inventory_response::Outcome::Inventory(inventory) => {
                assert!(!inventory.sim.as_ref().unwrap().msisdn.is_empty());
            }
            batch_get_inventory_response::Outcome::Error(error) => {
                assert!([997, 999].contains(&entry.index), "{error:?}");
                assert_eq!(error.code, Code::NotFound as i32);
                assert_eq!(error.details.len(), 1, "with the same details as a call");
            }
        }
    }
    let peak = env.control().counters().requests[&format!("GET {INVENTORY}")].peak_in_flight;
    assert!((2..=8).contains(&peak), "{peak} at once");
}

/// A provider with so many SIMs, a gateway, and their cards.
async fn with_cards(sims: u32) -> (TestEnv, Vec<String>) {
    let options = Options {
        sims,
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let gateway = Gateway::start(&sandbox.base_url(), &[]).await;
    let env = TestEnv { sandbox, gateway };
    let cards = (1..=sims).map(|number| iccid(&env, number)).collect();
    (env, cards)
}

fn succeeded(entries: &[BatchGetInventoryResponse]) -> usize {
    let is_inventory = |entry: &&BatchGetInventoryResponse| {
        matches!(
            entry.outcome,
            Some(batch_get_inventory_response::Outcome::Inventory(_))
        )
    };
    entries.iter().filter(is_inventory).count()
}

#[tokio::test]
async fn a_batch_by_cards_finds_their_numbers_a_hundred_at_a_time() {
    let (env, cards) = with_cards(291).await;
    let request = batch(cards.iter().map(|card| by_iccid(card)).collect());
    let entries = all(&env, request.clone()).await;
    assert_eq!(entries.len(), 291);
    let usable = succeeded(&entries);
    let searches = env.control().received("GET", SEARCH);
    let ended = Criteria {
        status: Some(SimStatus::Terminated),
        ..Criteria::default()
    };
    let ended = env.control().find_sims(ended, usize::MAX).len() as u64;
    // Looked for alone: one whose number the search does not show, and those that have
    // ended, twice, because their number may be another's now.
    assert!(
        (3..=3 + 1 + 2 * ended).contains(&searches),
        "{searches} searches for 291 SIMs, of which {ended} have ended"
    );
    assert!(searches < 100);
    // The same again costs none for those that are known.
    let again = all(&env, request).await;
    assert_eq!(succeeded(&again), usable);
}

#[tokio::test]
async fn a_batch_by_cards_needs_no_search_that_takes_many() {
    let (env, cards) = with_cards(30).await;
    let request = batch(cards.iter().map(|card| by_iccid(card)).collect());
    // The provider refuses the first search, which is for all of them.
    let refused = Fault::problem(400, "BAD_REQUEST");
    env.control().queue(Script::on("GET", SEARCH).then(refused));
    let entries = all(&env, request).await;
    let (alone, together) = (succeeded(&entries), with_cards(30).await);
    let request = batch(together.1.iter().map(|card| by_iccid(card)).collect());
    assert_eq!(alone, succeeded(&all(&together.0, request).await));
    assert!(alone > 20, "{alone}");
    assert!(env.control().received("GET", SEARCH) >= 31);
}

/// A search for many cards that fails is not tried with the next batch.
#[tokio::test]
async fn a_search_for_many_cards_that_fails_is_left_alone_for_a_while() {
    let (env, cards) = with_cards(12).await;
    let [first, second] = [&cards[..6], &cards[6..]];
    let by_card = |cards: &[String]| batch(cards.iter().map(|card| by_iccid(card)).collect());
    let refused = Fault::problem(400, "BAD_REQUEST");
    env.control().queue(Script::on("GET", SEARCH).then(refused));
    all(&env, by_card(first)).await;
    let before = env.control().received("GET", SEARCH);
    all(&env, by_card(second)).await;
    // Each by itself.
    assert!(env.control().received("GET", SEARCH) - before >= 6);
}

#[tokio::test]
async fn a_search_for_many_cards_that_hangs_holds_nothing_back_for_long() {
    let (env, cards) = with_cards(4).await;
    env.control()
        .queue(Script::on("GET", SEARCH).then(Fault::hold("search").step()));
    let request = batch(vec![
        by_msisdn(&msisdn(1)),
        by_iccid(&cards[1]),
        by_iccid(&cards[2]),
    ]);
    let entries = all(&env, request).await;
    assert_eq!((entries.len(), succeeded(&entries)), (3, 3));
    env.control().release("search");
}

#[tokio::test]
async fn a_batch_comes_in_the_order_of_completion() {
    let env = TestEnv::open().await;
    let control = env.control();
    control.queue(Script::on("GET", INVENTORY).then(Fault::hold("slow").step()));
    let request = batch(vec![
        by_msisdn(&msisdn(1)),
        by_msisdn(&msisdn(2)),
        by_msisdn(&msisdn(4)),
    ]);
    let mut stream = env
        .inventory()
        .batch_get_inventory(request)
        .await
        .unwrap()
        .into_inner();
    let mut order = Vec::new();
    order.push(stream.message().await.unwrap().unwrap().index);
    order.push(stream.message().await.unwrap().unwrap().index);
    control.until_held("slow", 1).await;
    control.release("slow");
    order.push(stream.message().await.unwrap().unwrap().index);
    assert!(stream.message().await.unwrap().is_none());
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_obeys_its_deadline_and_keeps_what_it_has() {
    let _still = StillClock::hold();
    // A breaker would end it earlier: nothing would be asked any more.
    let env = TestEnv::with(&[("BREAKER__FAILURES", "1000000")]).await;
    let control = env.control();
    control.queue(
        Script::on("GET", INVENTORY)
            .then(Fault::Pass)
            .then(Fault::Hang.step().forever()),
    );
    let sims = (1..=20).map(|n| by_msisdn(&msisdn(n))).collect();
    let batched = env.batch_untimed(Request::new(batch(sims)), "60S").await;
    let mut stream = batched.into_inner();
    assert!(stream.message().await.unwrap().is_some());
    // Beyond a unary call's longest deadline, which does not count here, and
    // beyond this one's.
    for _ in 0..61 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    let late = loop {
        match stream.message().await {
            Ok(Some(entry)) => assert!(matches!(
                entry.outcome,
                Some(batch_get_inventory_response::Outcome::Error(_))
            )),
            Ok(None) => panic!("the stream ended as if it were complete"),
            Err(status) => break reason(&status),
        }
    };
    assert_eq!(
        (late.code, late.reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
}
