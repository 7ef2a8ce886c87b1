//! The stock's conformance suite on a store with two users: 10,000 requests for
//! SIMs, many at once, some of them repeated, released, replaced, expired and
//! sold. No SIM is ever held by two requests, and none is lost.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use transatel_gateway::config::StoreUrl;
use transatel_gateway::domain::stock::{Delivered, Reservation, ReservationState, SetAside, StockState};
use transatel_gateway::domain::write::{FromStock, Kind, RequestId};
use transatel_gateway::domain::{Iccid, Pool, Requester};
use transatel_gateway::store::{Begun, Opened, StockFilter, Taken, Wanted};
use uuid::Uuid;

use crate::operations::commands::run;
use crate::support::gateway::{spawn, until};
use crate::support::postgres;
use crate::writes::ledger::{Folder, at, next_id, open, open_within, placed, wanted as attempt};

const SIMS: u64 = 12_000;
const ROUNDS: usize = 20;
const AT_ONCE: usize = 500;
/// Each waits for all of them.
const PATIENCE: Duration = Duration::from_secs(60);

async fn open_patient(url: StoreUrl) -> Opened {
    open_within(url, PATIENCE).await.unwrap()
}

fn pool() -> Pool {
    Pool::parse("shop").unwrap()
}

pub fn card(number: u64) -> Iccid {
    Iccid::parse(&(8_988_247_000_000_000_000 + 10 * number).to_string()).unwrap()
}

fn wanted(request_id: RequestId, until: Timestamp) -> Wanted {
    Wanted {
        request_id,
        pool: pool(),
        reference: String::new(),
        by: Requester::default(),
        until,
        for_sale: false,
    }
}

fn reservation(taken: Taken) -> Reservation {
    match taken {
        Taken::Reservation(reservation) => *reservation,
        other => panic!("{other:?}"),
    }
}

fn of(reservation: &Reservation) -> Iccid {
    reservation.sim.iccid.clone().unwrap()
}

/// What becomes of a reservation.
#[derive(Clone, Copy)]
enum Fate {
    Held,
    Released,
    /// The SIM cannot be sold, and the next one is taken.
    Replaced,
    Expired,
    Sold,
    /// Sold too late: somebody else may have it.
    SoldAfterExpiry,
}

const FATES: [Fate; 6] = [
    Fate::Held,
    Fate::Released,
    Fate::Replaced,
    Fate::Expired,
    Fate::Sold,
    Fate::SoldAfterExpiry,
];

fn delivery(sims: u64) -> Vec<Delivered> {
    let sim = |number| Delivered {
        iccid: card(number),
        msisdn: None,
    };
    (0..sims).map(sim).collect()
}

async fn deliver(stores: &[Opened; 2]) {
    let sims = delivery(SIMS);
    let added = stores[0]
        .stock
        .deliver(&pool(), sims.clone(), at(0))
        .await
        .unwrap();
    assert_eq!(added, SIMS);
    // A second delivery of the same adds none.
    assert_eq!(stores[1].stock.deliver(&pool(), sims, at(1)).await.unwrap(), 0);
}

/// An order for the SIM of a reservation; whether it was begun.
async fn sell(store: &Opened, reservation: &Reservation, number: usize) -> bool {
    let mut attempt = attempt(u32::try_from(number).unwrap(), "P", RequestId(Uuid::new_v4()));
    attempt.write.id = next_id();
    if let Kind::Purchase(purchase) = &mut attempt.write.kind {
        purchase.line.iccid = Some(of(reservation));
        purchase.terms.from_stock = Some(FromStock::Reservation(reservation.request_id));
    }
    match store.ledger.begin(attempt).await.unwrap() {
        Begun::Yes(record) => {
            let (id, attempt) = (record.write.id, record.attempt);
            let settled = store.ledger.settle(id, attempt, placed(None), None, at(3)).await;
            settled.unwrap();
            true
        }
        Begun::Unreserved => false,
        other => panic!("{other:?}"),
    }
}

/// The counts are those of the SIMs themselves, at each process.
async fn recount(stores: &[Opened; 2]) {
    let all = stores[0]
        .stock
        .list(StockFilter::default(), 100_000)
        .await
        .unwrap();
    let mut expected = BTreeMap::new();
    for sim in all {
        *expected.entry((sim.pool, sim.state, sim.set_aside)).or_default() += 1;
    }
    for store in stores {
        let counts = store.stock.count().await.unwrap().into_iter();
        let counts: BTreeMap<_, u64> = counts
            .map(|count| ((count.pool, count.state, count.set_aside), count.sims))
            .collect();
        assert_eq!(counts, expected);
    }
}

async fn many_requests(stores: [Opened; 2]) {
    deliver(&stores).await;
    let mut rng = Rng::with_seed(18);
    // What requests have at the end of each round, by card.
    let mut has: HashMap<Iccid, RequestId> = HashMap::new();
    let mut expected: BTreeMap<StockState, u64> = BTreeMap::new();
    let mut over = 0;
    for round in 0..ROUNDS {
        let now = at(10 * i64::try_from(round).unwrap() + 10);
        let soon = at(10 * i64::try_from(round).unwrap() + 15);
        let late = at(1_000_000);
        let mut takes = Vec::new();
        for number in 0..AT_ONCE {
            let fate = *rng.choice(&FATES).unwrap();
            let id = RequestId(Uuid::from_u128(rng.u128(..)));
            let until = match fate {
                Fate::Expired | Fate::SoldAfterExpiry => soon,
                _ => late,
            };
            let take = |process: usize| {
                let store = stores[(process + number) % 2].stock.clone();
                spawn(async move { store.take(wanted(id, until), now).await.unwrap() })
            };
            // Some are asked for twice at the same time, at different processes.
            takes.push((id, fate, take(0), (number % 4 == 0).then(|| take(1))));
        }
        // Meanwhile none is counted twice, and none is missing.
        let counts = stores[round % 2].stock.count().await.unwrap();
        assert_eq!(counts.iter().map(|count| count.sims).sum::<u64>(), SIMS);
        let mut held = Vec::new();
        for (id, fate, first, second) in takes {
            let first = reservation(first.await.unwrap());
            if let Some(second) = second {
                let second = reservation(second.await.unwrap());
                assert_eq!(of(&first), of(&second), "two SIMs for one request");
            }
            assert_eq!(first.state, ReservationState::Held);
            let before = has.insert(of(&first), id);
            assert_eq!(before, None, "a SIM is held by two requests");
            held.push((first, fate));
        }
        let mut work = Vec::new();
        for (number, (reservation, fate)) in held.into_iter().enumerate() {
            let store = &stores[number % 2];
            let (stock, id) = (store.stock.clone(), reservation.request_id);
            match fate {
                Fate::Held => *expected.entry(StockState::Reserved).or_default() += 1,
                Fate::Expired | Fate::SoldAfterExpiry => {
                    has.remove(&of(&reservation));
                    over += 1;
                    if matches!(fate, Fate::SoldAfterExpiry) {
                        work.push((number, reservation));
                    }
                }
                Fate::Released => {
                    has.remove(&of(&reservation));
                    over += 1;
                    let released = stock.release(id, now).await.unwrap().unwrap();
                    assert_eq!(released.state, ReservationState::Released);
                }
                Fate::Replaced => {
                    let bad = of(&reservation);
                    let next = stock
                        .replace(id, &bad, SetAside::NotPreactivated, now)
                        .await
                        .unwrap();
                    let next = match next {
                        Taken::Reservation(next) => *next,
                        other => panic!("{other:?}"),
                    };
                    assert_eq!(has.insert(of(&next), id), None, "a SIM is held by two requests");
                    // It keeps its first holder here: nobody gets it again.
                    *expected.entry(StockState::SetAside).or_default() += 1;
                    *expected.entry(StockState::Reserved).or_default() += 1;
                }
                Fate::Sold => {
                    let number = round * AT_ONCE + number;
                    assert!(sell(store, &reservation, number).await);
                    *expected.entry(StockState::Sold).or_default() += 1;
                }
            }
        }
        while stores[round % 2].stock.expire(soon).await.unwrap() > 0 {}
        for (number, reservation) in work {
            let number = round * AT_ONCE + number;
            assert!(
                !sell(&stores[number % 2], &reservation, number).await,
                "sold after its time"
            );
            let known = stores[0].stock.reservation(reservation.request_id).await.unwrap();
            assert_eq!(known.unwrap().state, ReservationState::Expired);
        }
        // With PostgreSQL this adds the changes to the totals; in other rounds they are
        // counted as they are.
        if round % 3 == 0 {
            stores[round % 2].events.publish().await.unwrap();
        }
        recount(&stores).await;
    }
    let mut counts: BTreeMap<StockState, u64> = BTreeMap::new();
    for count in stores[1].stock.count().await.unwrap() {
        *counts.entry(count.state).or_default() += count.sims;
    }
    assert_eq!(counts.values().sum::<u64>(), SIMS, "{counts:?}");
    expected.insert(StockState::Available, SIMS - expected.values().sum::<u64>());
    assert_eq!(counts, expected);
    assert!(counts.values().all(|count| *count > 500), "{counts:?}");
    let filter = StockFilter {
        state: Some(StockState::Sold),
        ..Default::default()
    };
    let sold = stores[0].stock.list(filter, 100_000).await.unwrap();
    assert_eq!(sold.len() as u64, counts[&StockState::Sold]);
    assert!(
        sold.iter()
            .all(|sim| has.contains_key(sim.ids.iccid.as_ref().unwrap()))
    );
    // Operators change pools and reasons.
    let now = at(2_000_000);
    let other = Pool::parse("other").unwrap();
    for (number, state) in [StockState::SetAside, StockState::Available]
        .into_iter()
        .enumerate()
    {
        let filter = StockFilter {
            state: Some(state),
            ..Default::default()
        };
        let stock = &stores[number].stock;
        let some = stock.list(filter, 30).await.unwrap();
        for (number, sim) in some.into_iter().enumerate() {
            let card = sim.ids.iccid.unwrap();
            match number % 3 {
                0 => assert!(stock.move_to(&card, &other, now).await.unwrap()),
                1 => assert!(stock.withdraw(&card, now).await.unwrap().is_some()),
                _ => assert!(stock.move_to(&card, &pool(), now).await.unwrap()),
            }
        }
        recount(&stores).await;
    }
    // Reservations that are over are forgotten; those that have a SIM are not.
    assert!(over > 1_000, "{over}");
    for expected in [over, 0] {
        assert_eq!(stores[0].stock.forget_reservations(now).await.unwrap(), expected);
    }
    for request in has.values() {
        assert!(stores[1].stock.reservation(*request).await.unwrap().is_some());
    }
    recount(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_share_no_sim_in_a_file() {
    let folder = Folder::new();
    let file = || open_patient(StoreUrl::File(folder.file()));
    many_requests([file().await, file().await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_share_no_sim_in_postgresql() {
    if let Some(url) = postgres::database().await {
        let url = StoreUrl::parse(&url).unwrap();
        many_requests([open_patient(url.clone()).await, open_patient(url).await]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_that_moves_to_postgresql_is_counted_once() {
    let Some(target) = postgres::database().await else {
        return;
    };
    let folder = Folder::new();
    let opened = folder.open().await;
    opened.stock.deliver(&pool(), delivery(7), at(0)).await.unwrap();
    opened.stock.withdraw(&card(3), at(1)).await.unwrap();
    drop(opened);
    let from = format!("sqlite://{}", folder.file().display());
    // The file is closed soon after.
    until("the file is moved", async || {
        let moved = run(&["move-ledger", "--from", &from, "--to", &target], &[]).await;
        moved.0 == Some(0)
    })
    .await;
    let url = StoreUrl::parse(&target).unwrap();
    let stores = [open(url.clone()).await, open(url).await];
    recount(&stores).await;
    stores[0]
        .stock
        .deliver(&pool(), delivery(9), at(2))
        .await
        .unwrap();
    recount(&stores).await;
    let counts = stores[0].stock.count().await.unwrap();
    assert_eq!(counts.iter().map(|count| count.sims).sum::<u64>(), 9);
}
