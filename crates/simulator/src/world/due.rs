//! Carries out what is due. Every request starts with it, and a task does it while there are none.

use crate::world::{agenda::Due, operations::progress, provider::Provider};

impl Provider {
    /// Does everything that is due by now.
    pub(crate) fn catch_up(&self) {
        while let Some((at, due)) = self.agenda.take(self.clock.now()) {
            match due {
                Due::Transaction(id, well) => {
                    progress::end(self, id, at, well);
                }
                Due::Sim(number) => {
                    self.with_sim(number, |_, _| ());
                }
            }
        }
    }
}
