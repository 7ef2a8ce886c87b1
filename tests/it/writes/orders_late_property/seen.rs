//! What really happened in a run: a worst day that never comes proves nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// What may happen in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    AnswerLost,
    NotCarriedOut,
    CarriedOutAfterTheCallerGaveUp,
    AnswerAfterItsEvents,
    InventoryLateWithinTheWindow,
    InventoryLateAtTheWindow,
    InventoryLateBeyondTheWindow,
    InventoryNever,
    EventsLost,
    EventsTwice,
    EventsOutOfOrder,
    EventsLate,
    EventAfterNotPlaced,
    InventoryAfterNotPlaced,
    NotPlacedBecamePlaced,
    RepeatSentAndBought,
    ClockAheadWhileInFlight,
    ClockAheadWhileUnknown,
    ClockBack,
    NeededAnOperator,
    FrozenBeforeTheSend,
    FrozenAfterTheAnswer,
    FrozenPastTheLease,
}

/// How often each thing happened.
#[derive(Debug, Default)]
pub struct Seen(Mutex<BTreeMap<What, u64>>);

impl Seen {
    /// What has to happen in a run with one gateway.
    pub const ALONE: [What; 19] = [
        What::AnswerLost,
        What::NotCarriedOut,
        What::CarriedOutAfterTheCallerGaveUp,
        What::AnswerAfterItsEvents,
        What::InventoryLateWithinTheWindow,
        What::InventoryLateAtTheWindow,
        What::InventoryLateBeyondTheWindow,
        What::InventoryNever,
        What::EventsLost,
        What::EventsTwice,
        What::EventsOutOfOrder,
        What::EventsLate,
        What::EventAfterNotPlaced,
        What::InventoryAfterNotPlaced,
        What::NotPlacedBecamePlaced,
        What::RepeatSentAndBought,
        What::ClockAheadWhileInFlight,
        What::ClockAheadWhileUnknown,
        What::ClockBack,
    ];

    /// What has to happen in a run with two replicas.
    pub const REPLICATED: [What; 7] = [
        What::FrozenBeforeTheSend,
        What::FrozenAfterTheAnswer,
        What::FrozenPastTheLease,
        What::EventAfterNotPlaced,
        What::NotPlacedBecamePlaced,
        What::ClockAheadWhileInFlight,
        What::ClockBack,
    ];

    pub fn note(&self, what: What) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    /// Prints the counts, and fails when something did not happen. A single
    /// case, run again by its seed, need not show everything.
    pub fn report(&self, needed: &[What]) {
        let counts = self.0.lock().unwrap();
        for (what, count) in &*counts {
            println!("{count:>6}  {what:?}");
        }
        // Fewer cases than usual show less; a single one, run again by its
        // seed, need not show anything.
        let cases = std::env::vars().find(|(name, _)| name.starts_with("LATE") && name.ends_with("CASES"));
        let least = match cases {
            None => 10,
            Some((_, cases)) => u64::from(cases != "1"),
        };
        let missing: Vec<_> = needed
            .iter()
            .filter(|what| counts.get(what).copied().unwrap_or_default() < least)
            .collect();
        assert!(
            missing.is_empty(),
            "happened less than {least} times: {missing:?}"
        );
    }
}
