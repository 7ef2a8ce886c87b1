//! Calls that stand still at a step until a test lets them go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use transatel_gateway::app::Seams;
use transatel_gateway::service::writes::steps::{Step, Steps};

/// Where calls stand still.
#[derive(Clone)]
pub struct Frozen {
    reached: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Frozen {
    pub fn new() -> Self {
        let [reached, go] = [0; 2].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { reached, go }
    }

    /// At a step, after it was passed so many times.
    pub fn after(passes: usize, step: Step) -> (Self, Seams) {
        let passed = AtomicUsize::new(0);
        let frozen = Self::new();
        let own = frozen.clone();
        let stops = move |at| at == step && passed.fetch_add(1, Ordering::Relaxed) >= passes;
        (frozen, seams(move |at| stops(at).then(|| own.clone())))
    }

    pub async fn until_reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub fn wake(&self) {
        self.go.add_permits(100);
    }

    async fn stand_still(&self) {
        self.reached.add_permits(1);
        let _ = self.go.acquire().await;
    }
}

/// A gateway whose calls stand still where this says so.
pub fn seams(place: impl Fn(Step) -> Option<Frozen> + Send + Sync + 'static) -> Seams {
    let steps = Steps::new(move |step| {
        let place = place(step);
        Box::pin(async move {
            if let Some(frozen) = place {
                frozen.stand_still().await;
            }
        })
    });
    Seams {
        steps,
        ..Seams::default()
    }
}
