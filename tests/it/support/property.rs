//! What the property tests share: generated faults, and how many cases are
//! run where.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::OrderState;
use fastrand::Rng;
use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Step};

use crate::support::gateway::{FRANCE, Gateway, get};

/// The provider carries out what it was asked at most this long after the
/// gateway gave up.
const LATE: Duration = Duration::from_millis(100);

/// Only a defect takes longer, also on a machine that is busy with the rest of
/// the suite.
pub const AT_LAST: Duration = Duration::from_secs(120);

/// The gateway has its token and its catalog. When the first try of either fails, it is
/// not tried again for a while, and the cases of a place would wait for that.
pub async fn loaded(gateway: &Gateway) {
    let started = std::time::Instant::now();
    while let Err(status) = gateway.catalog().get_product(get(FRANCE)).await {
        assert!(started.elapsed() < AT_LAST, "no catalog: {status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What one caller does.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which of the requests.
    pub request: usize,
    after: Duration,
    deadline: Duration,
    gives_up: Option<Duration>,
    /// Names the SIM by its card.
    pub by_iccid: bool,
}

impl Call {
    /// A few calls for so many requests.
    pub fn some(rng: &mut Rng, requests: usize) -> Vec<Self> {
        let deadlines = [20, 160, 200, 400, 2_000, 5_000];
        (0..rng.usize(1..6))
            .map(|_| Self {
                request: rng.usize(0..requests),
                after: Duration::from_millis(rng.u64(0..200)),
                deadline: Duration::from_millis(*rng.choice(&deadlines).unwrap_or(&400)),
                gives_up: rng.bool().then(|| Duration::from_millis(rng.u64(0..250))),
                by_iccid: rng.bool(),
            })
            .collect()
    }

    /// Asks with its deadline, and perhaps does not wait for the answer.
    pub async fn make(&self, ask: impl AsyncFnOnce(Duration)) {
        tokio::time::sleep(self.after).await;
        let answer = ask(self.deadline);
        match self.gives_up {
            Some(after) => {
                let _ = tokio::time::timeout(after, answer).await;
            }
            None => answer.await,
        }
    }
}

/// Any fault, as often as it likes.
pub fn any_fault(rng: &mut Rng) -> Step {
    let fault = match rng.u8(0..20) {
        0 => Fault::Reset,
        1 => Fault::Close,
        2 => Fault::Hang,
        3 => Fault::Garbage,
        4 => Fault::Html,
        5 => Fault::Truncated,
        6 => Fault::Stalled,
        7 => Fault::Unauthorized,
        8 => Fault::RateLimited { retry_after: None },
        9 => Fault::RateLimited {
            retry_after: Some(Duration::from_secs(1)),
        },
        10 => Fault::delay(LATE),
        11 => Fault::delay(Duration::from_millis(rng.u64(1..120))),
        12 => Fault::status(*rng.choice(&[500_u16, 502, 503, 504]).unwrap_or(&500)),
        13 => Fault::body(*rng.choice(&[200_u16, 201, 204, 302, 400]).unwrap_or(&200), ""),
        14 => Fault::body(201, "{}"),
        15 => Fault::problem(400, "SUBSCRIBER_STATUS_NOT_ELIGIBLE"),
        16 => Fault::problem(409, "CONFLICT"),
        17 => Fault::problem(404, "NOT_FOUND"),
        18 => Fault::problem(501, "NOT_IMPLEMENTED"),
        _ => Fault::Pass,
    };
    // A provider that says no and does it all the same would be a liar: what
    // is definite is not carried out.
    let definite = matches!(
        &fault,
        Fault::Unauthorized | Fault::RateLimited { .. } | Fault::Status { title: Some(_), .. }
    ) || matches!(&fault, Fault::Status { status: 501, .. });
    let step = if !definite && rng.bool() {
        fault.after_commit()
    } else {
        fault.step()
    };
    step.times(rng.u32(1..4))
}

/// An order once nothing will change by itself.
pub async fn settled(
    mut get: impl AsyncFnMut() -> Result<api::Order, Status>,
    name: &impl Fn() -> String,
) -> Option<api::Order> {
    let started = std::time::Instant::now();
    loop {
        assert!(started.elapsed() < AT_LAST, "not settled: {}", name());
        match get().await {
            Ok(order) if order.next_check_at.is_none() && order.state() != OrderState::Submitting => {
                return Some(order);
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{}", name());
                return None;
            }
        }
    }
}

/// The cases of a property test, and the first of their seeds.
pub struct Run {
    cases: u64,
    seed: u64,
}

impl Run {
    /// `NAME_CASES` says how many instead of the usual, `NAME_SEED` which;
    /// both are printed.
    pub fn from_environment(name: &str, usual: u64) -> Self {
        let number = |what: &str| {
            let text = std::env::var(format!("{name}_{what}")).ok()?;
            Some(text.parse().unwrap())
        };
        let run = Self {
            cases: number("CASES").unwrap_or(usual),
            seed: number("SEED").unwrap_or_else(|| fastrand::u64(..)),
        };
        println!("{name}_CASES={} {name}_SEED={}", run.cases, run.seed);
        run
    }

    /// Runs every case, many at once, each on one of a few places, with the
    /// number that it has there. A place is opened for so many cases. All are open before
    /// the first case begins, one after the other: many at once would take too long to start.
    pub async fn over<P>(
        &self,
        at_once: u64,
        open: impl AsyncFn(u64) -> P,
        case: impl AsyncFn(&P, u64, usize),
    ) {
        let next = AtomicU64::new(0);
        let places = at_once.min(self.cases);
        let each = self.cases.div_ceil(places) * 2;
        let mut opened = Vec::new();
        for _ in 0..places {
            opened.push(open(each).await);
        }
        let work = opened.iter().map(async |place| {
            for at in 0..usize::try_from(each).unwrap() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.cases {
                    break;
                }
                case(place, self.seed.wrapping_add(number), at).await;
            }
        });
        futures_util::future::join_all(work).await;
        assert!(
            next.load(Ordering::Relaxed) >= self.cases,
            "not every case was run"
        );
    }
}
