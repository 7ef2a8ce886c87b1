//! Bought once and known always, also when the truth comes late: after the
//! settle window, after an opinion was given, twice, out of order, or to a
//! replica that was frozen, while clocks are set.
//!
//! A run counts how often each of these happened, prints it, and fails when
//! one of them did not. `LATE_CASES` sets how many cases are run, `LATE_SEED`
//! which. A failing case names its own seed: run it alone with `LATE_CASES=1
//! LATE_SEED=<seed>`.

mod case;
mod harness;
mod seen;

use seen::Seen;

use crate::support::property::Run;

/// Cases on SQLite, and on PostgreSQL with two replicas.
const CASES: u64 = 1_500;
const REPLICATED: u64 = 240;

/// Cases that run at once: most of a case is waiting.
const AT_ONCE: u64 = 48;
const AT_ONCE_REPLICATED: u64 = 12;

#[test]
fn the_documents_say_how_many_cases() {
    let page = include_str!("../../../docs/orders.md");
    assert!(page.contains("1,500 cases a run, and 240 on two replicas"));
    assert_eq!((CASES, REPLICATED), (1_500, 240));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_bought_once_however_late_its_outcome_is_known() {
    let seen = Seen::default();
    Run::from_environment("LATE", CASES)
        .over(
            AT_ONCE,
            async |cases| harness::Harness::alone(cases).await,
            async |harness, seed, number| harness.run(seed, number, &seen).await,
        )
        .await;
    seen.report(&Seen::ALONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_for_two_replicas_one_of_which_freezes_and_wakes() {
    if crate::support::postgres::database().await.is_none() {
        return;
    }
    let seen = Seen::default();
    Run::from_environment("LATE_REPLICATED", REPLICATED)
        .over(
            AT_ONCE_REPLICATED,
            async |cases| harness::Harness::replicated(cases).await,
            async |harness, seed, number| harness.run(seed, number, &seen).await,
        )
        .await;
    seen.report(&Seen::REPLICATED);
}
