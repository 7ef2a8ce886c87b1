//! Gates: places where a request waits until a test lets it go on.
//!
//! A gate exists from the first request that waits at it, or the first release.
//! Releasing lets go who waits then; who comes later waits again.

use std::{collections::BTreeMap, sync::Mutex};

use tokio::sync::watch;

use crate::lock::lock;

#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    waiting: usize,
    releases: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Gates {
    by_name: Mutex<BTreeMap<String, watch::Sender<Gate>>>,
}

impl Gates {
    fn gate(&self, name: &str) -> watch::Sender<Gate> {
        lock(&self.by_name)
            .entry(name.to_owned())
            .or_insert_with(|| watch::Sender::new(Gate::default()))
            .clone()
    }

    /// Returns when the gate has been released after this call.
    pub(crate) async fn wait(&self, name: &str) {
        let gate = self.gate(name);
        let mut changes = gate.subscribe();
        let mut before = 0;
        gate.send_modify(|gate| {
            gate.waiting += 1;
            before = gate.releases;
        });
        let _leaving = Leaving(&gate);
        // An error would mean that the sender is gone, but it is held here.
        let _ = changes.wait_for(|gate| gate.releases > before).await;
    }

    /// Returns when at least so many requests wait at the gate.
    pub(crate) async fn until_waiting(&self, name: &str, count: usize) {
        let gate = self.gate(name);
        let _ = gate.subscribe().wait_for(|gate| gate.waiting >= count).await;
    }

    /// Lets every request go on that waits at the gate, and says how many did.
    pub(crate) fn release(&self, name: &str) -> usize {
        let mut released = 0;
        self.gate(name).send_modify(|gate| {
            gate.releases += 1;
            released = gate.waiting;
        });
        released
    }

    /// How many requests wait at each gate.
    pub(crate) fn list(&self) -> BTreeMap<String, usize> {
        lock(&self.by_name)
            .iter()
            .map(|(name, gate)| (name.clone(), gate.borrow().waiting))
            .collect()
    }
}

struct Leaving<'a>(&'a watch::Sender<Gate>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0
            .send_modify(|gate| gate.waiting = gate.waiting.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_release_lets_go_who_waits_and_not_who_comes_later() {
        let gates = Gates::default();
        let mut first = pin!(gates.wait("g"));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), &mut first)
                .await
                .is_err()
        );
        gates.until_waiting("g", 1).await;
        assert_eq!(gates.release("g"), 1);
        first.await;
        assert_eq!(gates.list(), BTreeMap::from([("g".to_owned(), 0)]));
        tokio::time::timeout(Duration::from_secs(1), gates.wait("g"))
            .await
            .unwrap_err();
    }
}
