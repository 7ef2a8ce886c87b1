use std::sync::atomic::AtomicU32;

use tokio::sync::Semaphore;

use super::*;

/// Returns the number of the load, when there is a permit.
struct Numbers {
    loads: AtomicU32,
    permits: Semaphore,
    failing: std::sync::atomic::AtomicBool,
}

impl Load for Arc<Numbers> {
    type Key = &'static str;
    type Value = u32;
    type Error = &'static str;
    const NAME: &'static str = "numbers";

    async fn load(&self, _key: &&'static str) -> Result<Loaded<u32>, &'static str> {
        let number = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        let permit = self.permits.acquire().await.unwrap();
        permit.forget();
        if self.failing.load(Ordering::SeqCst) {
            return Err("refused");
        }
        let (fresh_for, usable_for) = (Duration::from_secs(60), Duration::from_secs(600));
        Ok(Loaded {
            value: number,
            fresh_for,
            usable_for,
        })
    }

    fn hold(&self, _error: &&'static str, failures: u32) -> Duration {
        Duration::from_secs(u64::from(failures))
    }

    fn timed_out(&self) -> &'static str {
        "timed out"
    }

    fn resident(&self) -> Option<&'static str> {
        Some("resident")
    }
}

fn cache(permits: usize) -> (Arc<Numbers>, LoadingCache<Arc<Numbers>>) {
    let numbers = Arc::new(Numbers {
        loads: AtomicU32::new(0),
        permits: Semaphore::new(permits),
        failing: false.into(),
    });
    let bounds = Bounds {
        capacity: 10,
        load_within: Duration::from_secs(30),
    };
    (
        Arc::clone(&numbers),
        LoadingCache::new(numbers, bounds, TaskTracker::new()),
    )
}

fn loads(numbers: &Numbers) -> u32 {
    numbers.loads.load(Ordering::SeqCst)
}

/// Lets every runnable task run.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_neither_cancel_nor_multiply_a_load() {
    let (numbers, cache) = cache(0);
    for _ in 0..5 {
        let impatient = tokio::time::timeout(Duration::from_millis(10), cache.get(&"a")).await;
        assert!(impatient.is_err());
    }
    assert_eq!(loads(&numbers), 1);
    numbers.permits.add_permits(1);
    assert_eq!(*cache.get(&"a").await.unwrap().value, 1);
    assert_eq!(loads(&numbers), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_returns_at_once_and_is_refreshed_once() {
    let (numbers, cache) = cache(1);
    assert!(!cache.get(&"a").await.unwrap().stale);
    tokio::time::advance(Duration::from_secs(61)).await;
    for _ in 0..10 {
        let stale = cache.get(&"a").await.unwrap();
        assert!(stale.stale);
        assert_eq!(*stale.value, 1);
    }
    settle().await;
    assert_eq!(loads(&numbers), 2);
    numbers.permits.add_permits(1);
    settle().await;
    let renewed = cache.get(&"a").await.unwrap();
    assert!(!renewed.stale);
    assert_eq!(*renewed.value, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failing_refresh_keeps_the_stale_value_until_it_is_not_usable() {
    let (numbers, cache) = cache(100);
    cache.get(&"a").await.unwrap();
    numbers.failing.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(cache.get(&"a").await.unwrap().stale);
    settle().await;
    assert!(cache.get(&"a").await.unwrap().stale);
    settle().await;
    assert_eq!(
        loads(&numbers),
        2,
        "the failed refresh is not repeated within its hold"
    );
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(cache.get(&"a").await.unwrap_err(), "refused");
}

#[tokio::test(start_paused = true)]
async fn a_failed_miss_is_shared_held_and_then_tried_again() {
    let (numbers, cache) = cache(0);
    numbers.failing.store(true, Ordering::SeqCst);
    let (first, second, _) = tokio::join!(cache.get(&"a"), cache.get(&"a"), async {
        settle().await;
        numbers.permits.add_permits(1);
    });
    assert_eq!((first.unwrap_err(), second.unwrap_err()), ("refused", "refused"));
    assert_eq!(cache.get(&"a").await.unwrap_err(), "refused");
    assert_eq!(loads(&numbers), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    numbers.permits.add_permits(1);
    assert_eq!(cache.get(&"a").await.unwrap_err(), "refused");
    assert_eq!(loads(&numbers), 2);
    tokio::time::advance(Duration::from_millis(1500)).await;
    assert_eq!(cache.get(&"a").await.unwrap_err(), "refused");
    assert_eq!(loads(&numbers), 2, "the second hold is longer");
    tokio::time::advance(Duration::from_millis(600)).await;
    numbers.failing.store(false, Ordering::SeqCst);
    numbers.permits.add_permits(1);
    assert_eq!(*cache.get(&"a").await.unwrap().value, 3);
}

#[tokio::test(start_paused = true)]
async fn only_the_value_that_was_used_is_invalidated() {
    let (numbers, cache) = cache(100);
    let first = cache.get(&"a").await.unwrap().value;
    cache.invalidate(&"a", &first).await;
    let second = cache.get(&"a").await.unwrap().value;
    assert_eq!((*first, *second), (1, 2));
    cache.invalidate(&"a", &first).await;
    assert_eq!(*cache.get(&"a").await.unwrap().value, 2);
    assert_eq!(loads(&numbers), 2);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_is_ended_and_the_key_stays_usable() {
    let (numbers, cache) = cache(0);
    assert_eq!(cache.get(&"a").await.unwrap_err(), "timed out");
    tokio::time::advance(Duration::from_secs(2)).await;
    numbers.permits.add_permits(1);
    assert_eq!(*cache.get(&"a").await.unwrap().value, 2);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_value_can_be_required_over_a_stale_one() {
    let (numbers, cache) = cache(100);
    cache.get(&"a").await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(*cache.get_fresh(&"a").await.unwrap().value, 2);
    numbers.failing.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(cache.get_fresh(&"a").await.unwrap_err(), "refused");
}

/// The reason why this module exists; when moka changes, check again.
#[tokio::test(start_paused = true)]
async fn moka_alone_repeats_a_load_that_impatient_callers_abandon() {
    let bare: moka::future::Cache<u8, u8> = moka::future::Cache::new(10);
    let loads = Arc::new(AtomicU32::new(0));
    let mut callers = Vec::new();
    for caller in 0..5_u64 {
        let (bare, loads) = (bare.clone(), Arc::clone(&loads));
        callers.push(async move {
            let load = async {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok::<u8, u8>(1)
            };
            tokio::time::timeout(
                Duration::from_millis(20 + 30 * caller),
                bare.try_get_with(1, load),
            )
            .await
        });
    }
    let answers = futures_util::future::join_all(callers).await;
    assert!(loads.load(Ordering::SeqCst) > 1);
    assert!(answers.iter().filter(|answer| answer.is_err()).count() >= 3);
}

#[tokio::test(start_paused = true)]
async fn the_resident_key_is_loaded_shared_forgotten_and_held_like_any_other() {
    let (numbers, cache) = cache(1);
    let value = cache.get(&"resident").await.unwrap().value;
    assert_eq!(*cache.peek(&"resident").await.unwrap(), 1);
    assert_eq!(*cache.get_fresh(&"resident").await.unwrap().value, 1);
    cache.invalidate(&"resident", &value).await;
    assert!(cache.peek(&"resident").await.is_none());
    numbers.failing.store(true, Ordering::SeqCst);
    numbers.permits.add_permits(10);
    for _ in 0..3 {
        assert_eq!(cache.get(&"resident").await.unwrap_err(), "refused");
    }
    assert_eq!(loads(&numbers), 2);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_a_change_is_not_cached() {
    for key in ["a", "resident"] {
        let (numbers, cache) = cache(0);
        let waiting = cache.clone();
        let waiting = TaskTracker::new().spawn(async move { waiting.get(&key).await });
        settle().await;
        assert_eq!(loads(&numbers), 1);
        cache.put(&key, of(7)).await;
        assert_eq!(*cache.get(&key).await.unwrap().value, 7);
        numbers.permits.add_permits(1);
        assert_eq!(*waiting.await.unwrap().unwrap().value, 1);
        assert_eq!(*cache.get(&key).await.unwrap().value, 7);
        // The next load is kept again.
        cache.forget(&key).await;
        numbers.permits.add_permits(1);
        assert_eq!(*cache.get(&key).await.unwrap().value, 2);
        assert_eq!(*cache.get(&key).await.unwrap().value, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_dropped_during_a_load_is_loaded_again() {
    let (numbers, cache) = cache(0);
    let waiting = cache.clone();
    let waiting = TaskTracker::new().spawn(async move { waiting.get(&"a").await });
    settle().await;
    cache.put(&"b", of(7)).await;
    cache.forget_all();
    assert!(cache.peek(&"b").await.is_none());
    numbers.permits.add_permits(2);
    assert_eq!(*waiting.await.unwrap().unwrap().value, 1);
    assert_eq!(*cache.get(&"a").await.unwrap().value, 2);
}

fn of(value: u32) -> Loaded<u32> {
    Loaded {
        value,
        fresh_for: Duration::from_secs(60),
        usable_for: Duration::from_secs(600),
    }
}
