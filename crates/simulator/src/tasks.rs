//! Every task of the simulator runs here, and ends when the simulator stops.

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The owner of all tasks. Copies own the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs work to its end, whether its caller waits or not. `None` when the simulator stopped first.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let stop = self.stop.clone();
        self.tracker
            .spawn(async move { stop.run_until_cancelled(work).await })
    }

    /// Waits for work in the task that calls. `None` when the simulator stopped first.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// Ends every task without waiting for answers.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
    }

    /// Returns when everything has ended after [`Tasks::stop`].
    pub(crate) async fn stopped(&self) {
        self.tracker.wait().await;
    }
}
