//! One case, drawn from its seed.

use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use transatel_gateway::service::writes::steps;
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Disturbance, Fault, Showing, Step};

use crate::support::gateway::{FRANCE, by_msisdn};

/// What the gateway takes for long enough.
pub const WINDOW: Duration = Duration::from_millis(240);
/// No answer takes longer.
pub const SEND_TIMEOUT: Duration = Duration::from_millis(60);

/// What becomes of the answer to the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Ordinary,
    LostBefore,
    LostAfter,
    HangsAfter,
    Late,
    OnceGone(Duration),
    TooLate(Duration),
    AfterEvents,
}

/// When the inventory shows what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    AtOnce,
    Within,
    AtTheWindow,
    Beyond,
    AfterNotPlaced,
    Never,
}

/// What becomes of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    AtOnce,
    Twice,
    Late(Duration),
    Lost,
    AfterNotPlaced { reversed: bool },
}

/// One caller.
#[derive(Clone, Debug)]
pub struct Call {
    pub after: Duration,
    pub deadline: Duration,
    pub gives_up: Option<Duration>,
    /// Which replica, where there are two.
    pub replica: usize,
}

/// Where the first replica stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub at: steps::Step,
    /// Until the other one has an opinion, or only for a moment.
    pub past_the_lease: bool,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub request: api::CreateOrderRequest,
    pub answer: Answer,
    pub shows: Shows,
    pub events: Events,
    pub calls: Vec<Call>,
    /// Steps of the first replica's wall clock, and when.
    pub clock: Vec<(Duration, SignedDuration)>,
    pub active: bool,
    pub names_subscription: bool,
    pub freeze: Option<Freeze>,
}

impl Case {
    pub fn of(seed: u64, msisdn: &str, replicated: bool) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let millis = Duration::from_millis;
        let answer = match rng.u8(0..12) {
            0 => Answer::Ordinary,
            1 | 2 => Answer::LostBefore,
            3..=5 => Answer::LostAfter,
            6 => Answer::HangsAfter,
            7 => Answer::Late,
            8 => Answer::OnceGone(millis(rng.u64(0..120))),
            9 => Answer::TooLate(millis(rng.u64(70..200))),
            _ => Answer::AfterEvents,
        };
        let mut shows = match rng.u8(0..7) {
            0 => Shows::AtOnce,
            1 => Shows::Within,
            2 => Shows::AtTheWindow,
            3 => Shows::Beyond,
            4 => Shows::AfterNotPlaced,
            _ => Shows::Never,
        };
        let events = match rng.u8(0..9) {
            0 => Events::AtOnce,
            1 => Events::Twice,
            2 => Events::Late(millis(rng.u64(20..500))),
            3 | 4 => Events::Lost,
            _ => Events::AfterNotPlaced { reversed: rng.bool() },
        };
        // What nobody ever says cannot be known.
        if events == Events::Lost && shows == Shows::Never {
            shows = match rng.bool() {
                true => Shows::AfterNotPlaced,
                false => Shows::Beyond,
            };
        }
        // An answer that waits for its events needs some.
        let answer = match (answer, events) {
            (Answer::AfterEvents, Events::AtOnce | Events::Twice) => answer,
            (Answer::AfterEvents, _) => Answer::LostAfter,
            _ => answer,
        };
        let calls = (0..rng.usize(1..4))
            .map(|number| Call {
                after: millis(if number == 0 { 0 } else { rng.u64(0..100) }),
                deadline: millis(*rng.choice(&[200_u64, 400, 2_000]).unwrap_or(&400)),
                gives_up: (rng.u8(0..3) == 0).then(|| millis(rng.u64(0..150))),
                replica: if number == 0 { 0 } else { rng.usize(0..2) },
            })
            .collect();
        let hours = [
            SignedDuration::from_hours(1),
            SignedDuration::from_mins(18),
            SignedDuration::from_hours(-1),
        ];
        let clock = (0..rng.usize(0..3))
            .map(|_| {
                (
                    millis(rng.u64(0..400)),
                    *rng.choice(&hours).unwrap_or(&SignedDuration::ZERO),
                )
            })
            .collect();
        let freeze = (replicated && rng.u8(0..3) > 0).then(|| Freeze {
            at: *rng
                .choice(&[steps::Step::Durable, steps::Step::Answered])
                .unwrap_or(&steps::Step::Durable),
            past_the_lease: rng.u8(0..4) > 0,
        });
        Self {
            request: api::CreateOrderRequest {
                request_id: uuid::Uuid::from_u128(rng.u128(..)).to_string(),
                sim: by_msisdn(msisdn),
                product_id: FRANCE.into(),
                ..Default::default()
            },
            answer,
            shows,
            events,
            calls,
            clock,
            active: rng.bool(),
            names_subscription: rng.u8(0..4) > 0,
            freeze,
        }
    }

    /// What the provider does with the order.
    pub fn fault(&self) -> Step {
        match self.answer {
            Answer::Ordinary => Fault::Pass.step(),
            Answer::LostBefore => Fault::Reset.step(),
            Answer::LostAfter => Fault::Reset.after_commit(),
            Answer::HangsAfter => Fault::Hang.after_commit(),
            Answer::Late => Fault::delay(SEND_TIMEOUT / 3).after_commit(),
            Answer::OnceGone(later) => Fault::once_gone(later).step(),
            Answer::TooLate(later) => Fault::delay(later).step(),
            Answer::AfterEvents => Fault::AfterEvents.step(),
        }
    }

    pub fn showing(&self) -> Showing {
        match self.shows {
            Shows::AtOnce => Showing::default(),
            Shows::Within => Showing::after(WINDOW / 2),
            Shows::AtTheWindow => Showing::after(WINDOW),
            Shows::Beyond => Showing::after(WINDOW * 2),
            Shows::AfterNotPlaced => Showing::held(),
            Shows::Never => Showing::never(),
        }
    }

    /// What becomes of each of the next events of the SIM.
    pub fn disturbances(&self) -> Vec<Disturbance> {
        let each = match self.events {
            Events::AtOnce | Events::AfterNotPlaced { .. } => Disturbance::Pass,
            Events::Twice => Disturbance::Duplicate { times: 1 },
            Events::Late(duration) => Disturbance::Delay { duration },
            Events::Lost => Disturbance::Lose,
        };
        vec![each; 12]
    }

    /// Whether the answer tells what came of it.
    pub fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Ordinary | Answer::Late | Answer::AfterEvents)
    }

    pub fn is_carried_out(&self) -> bool {
        self.answer != Answer::LostBefore
    }
}
