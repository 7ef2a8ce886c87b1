use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;

use super::*;

type Loads = SharedLoads<&'static str, u32, &'static str>;

const WITHIN: Duration = Duration::from_secs(30);

/// A load that waits for a permit and returns its number.
struct Numbers {
    begun: AtomicU32,
    permits: Semaphore,
}

impl Numbers {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicU32::new(0),
            permits: Semaphore::new(permits),
        })
    }

    async fn next(self: Arc<Self>) -> Result<u32, &'static str> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.permits.acquire().await.map_err(|_| "closed")?.forget();
        Ok(number)
    }
}

async fn ask(loads: &Loads, numbers: &Arc<Numbers>, key: &'static str) -> Option<Result<u32, &'static str>> {
    let outcome = loads.get(&key, || Arc::clone(numbers).next()).await;
    outcome.map(|outcome| outcome.map(|number| *number))
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_neither_cancel_nor_multiply_a_load() {
    let (loads, numbers) = (Loads::new("numbers", WITHIN, TaskTracker::new()), Numbers::new(0));
    for _ in 0..5 {
        let impatient = tokio::time::timeout(Duration::from_millis(10), ask(&loads, &numbers, "a"));
        assert!(impatient.await.is_err());
    }
    numbers.permits.add_permits(1);
    assert_eq!(ask(&loads, &numbers, "a").await, Some(Ok(1)));
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_a_load_and_later_ones_do_not() {
    let (loads, numbers) = (Loads::new("numbers", WITHIN, TaskTracker::new()), Numbers::new(0));
    let asked = || ask(&loads, &numbers, "a");
    let permit = async { numbers.permits.add_permits(1) };
    let (one, other, apart, ()) = tokio::join!(asked(), asked(), ask(&loads, &numbers, "b"), async {
        permit.await;
        numbers.permits.add_permits(1);
    });
    assert_eq!((one, other, apart), (Some(Ok(1)), Some(Ok(1)), Some(Ok(2))));
    numbers.permits.close();
    assert_eq!(asked().await, Some(Err("closed")));
    let counts = loads.counts();
    assert_eq!(counts.missed.load(Ordering::SeqCst), 4);
    assert_eq!(counts.loaded.load(Ordering::SeqCst), 2);
    assert_eq!(counts.failed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_or_panics_frees_its_key() {
    let tasks = TaskTracker::new();
    let (loads, numbers) = (Loads::new("numbers", WITHIN, tasks), Numbers::new(0));
    assert_eq!(ask(&loads, &numbers, "a").await, None);
    let panics = loads.get(&"a", || async { panic!("a defect") });
    assert!(panics.await.is_none());
    numbers.permits.add_permits(1);
    assert_eq!(ask(&loads, &numbers, "a").await, Some(Ok(2)));
}
