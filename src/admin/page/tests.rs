//! The page, rendered from facts that a test makes up.

use std::time::Duration;

use jiff::Timestamp;

use super::facts::*;
use super::render::page;
use super::verdict::{Level, judge};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Nothing is wrong.
fn well() -> Facts {
    let requests = |sent, failed| Requests { sent, failed };
    let api = |name: &str| Api {
        name: name.into(),
        breaker: Some(Breaker::Closed),
        recent: requests(41, 1),
        total: requests(4_217, 13),
    };
    Facts {
        at: at(0),
        process: Process {
            version: "9.8.7".into(),
            revision: "0a1b2c3d".into(),
            uptime: Duration::from_secs(93_600),
            certificate_expires: Some(at(86_400)),
            certificate_unusable: false,
        },
        not_ready: None,
        provider: Provider {
            simulated: false,
            token: Token {
                granted: Some(at(-600)),
                expires: Some(at(3_000)),
                failed: Some(TokenFailure {
                    at: at(-7_200),
                    why: "503".into(),
                    over: true,
                }),
            },
            apis: vec![api("catalog"), api("sim_management")],
            window: minutes(5),
        },
        catalog: Catalog {
            loaded: Some(at(-90)),
            products: 1_207,
            dropped: 6,
            failed_loads: 17,
        },
        ledger: Ledger {
            read_at: Some(at(-2)),
            written_at: Some(at(-31)),
            failing: Vec::new(),
            connections: Some(Connections {
                used: 1,
                idle: 3,
                max: 16,
                waiting: 22,
            }),
        },
        stored: Ok(Stored {
            counts: vec![
                Count {
                    kind: Kind::Purchase,
                    state: "placed".into(),
                    number: 81_234,
                },
                Count {
                    kind: Kind::Purchase,
                    state: "unknown".into(),
                    number: 1,
                },
            ],
            unsettled: vec![open("unknown", "0192-unknown", -40)],
            needs_operator: Vec::new(),
            last_event: 777_123,
            last_received: Some(at(-12)),
        }),
        events: Events {
            received: vec![("new".into(), 5_432), ("wrong_signature".into(), 19)],
            followers: 23,
            orders_without_event: Some(0),
        },
        calls: Calls {
            window: minutes(15),
            failed: vec![Reason {
                name: "SIM_NOT_FOUND".into(),
                ours: false,
                calls: 37,
            }],
            without_funds: 0,
            last: vec![FailedCall {
                at: at(-61),
                method: "connectivity.v1.Esim/GetEsim".into(),
                reason: "SIM_NOT_FOUND".into(),
            }],
        },
    }
}

fn open(state: &str, id: &str, since: i64) -> Open {
    Open {
        id: Some(id.into()),
        kind: Kind::Purchase,
        state: state.into(),
        since: Some(at(since)),
    }
}

fn stored(facts: &mut Facts) -> &mut Stored {
    facts.stored.as_mut().unwrap()
}

fn levels(facts: &Facts) -> [Level; 3] {
    let verdicts = judge(facts);
    [verdicts.us.level, verdicts.them.level, verdicts.money.level]
}

#[test]
fn every_fact_is_on_the_page() {
    let page = page(&well());
    for text in [
        "Us: No. Them: No. Money: No.",
        "9.8.7",
        "0a1b2c3d",
        "1 d 2 h",
        "expires 2027-01-16 08:00:00 UTC",
        "Valid",
        "for 50 min",
        "503, 2 h ago",
        "1 min 30 s ago",
        "1207 products",
        "6 not readable",
        "17 since the start",
        "sim management",
        "1 of 41 (2\u{a0}%)",
        "13 of 4217",
        "Last 5 min",
        "31 s ago",
        "1 used, 3 idle, 16 at most, 22 waiting",
        "81234",
        "0192-unknown",
        "for 40 s",
        "777123",
        "<dt>Followers</dt><dd>23</dd>",
        "5432 new, 19 wrong signature",
        "SIM_NOT_FOUND",
        "Esim/GetEsim",
        "in the last 15 min",
    ] {
        assert!(page.contains(text), "{text} is missing:\n{page}");
    }
}

#[test]
fn hostile_text_is_shown_and_is_no_markup() {
    let hostile = "</style><script>alert('1')</script>\"><img src=x onerror=\"1\">&amp;";
    let mut facts = well();
    facts.not_ready = Some(hostile.into());
    facts.process.version = hostile.into();
    facts.process.revision = hostile.into();
    facts.provider.apis[0].name = hostile.into();
    facts.provider.token.failed = Some(TokenFailure {
        at: at(0),
        why: hostile.into(),
        over: false,
    });
    facts.ledger.failing.push(Failing {
        access: hostile.into(),
        since: minutes(1),
        failures: 1,
        why: hostile.into(),
    });
    facts.events.received.push((hostile.into(), 1));
    facts.calls.failed[0].name = hostile.into();
    facts.calls.last[0].method = hostile.into();
    facts.calls.last[0].reason = hostile.into();
    stored(&mut facts).counts[0].state = hostile.into();
    stored(&mut facts).unsettled.push(open(hostile, hostile, 0));
    stored(&mut facts).needs_operator.push(open(hostile, hostile, 0));
    let page = page(&facts);
    assert!(page.contains("&lt;/style&gt;&lt;script&gt;"));
    for markup in ["<script", "<img", "onerror=\"", "<SCRIPT"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    facts.stored = Err(NotRead::Failed(hostile.into()));
    assert!(!super::render::page(&facts).contains("<script"));
}

#[test]
fn the_page_needs_nothing_else_and_offers_nothing_to_send() {
    let mut facts = well();
    stored(&mut facts)
        .needs_operator
        .push(open("needs_operator", "0192", -60));
    let page = page(&facts);
    for part in [
        "src=", "href=", "url(", "@import", "http:", "https:", "<script", "<form", "<input", "<link",
        "style=",
    ] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn an_operator_gets_the_command_for_what_has_to_be_settled() {
    let mut facts = well();
    let stored = stored(&mut facts);
    stored.counts.push(Count {
        kind: Kind::Sim,
        state: "needs_operator".into(),
        number: 2,
    });
    stored.needs_operator = vec![
        open("needs_operator", "0192-a", -7_200),
        open("needs_operator", "0192-b", -60),
    ];
    stored.needs_operator[1].kind = Kind::Sim;
    assert_eq!(levels(&facts), [Level::No, Level::No, Level::Yes]);
    let shown = page(&facts);
    for command in ["orders show 0192-a --config", "operations show 0192-b --config"] {
        assert!(
            shown.contains(&format!(
                "kubectl exec deployment/NAME -- /transatel-gateway {command}"
            )),
            "{command}"
        );
    }
    assert!(shown.contains("2 need an operator."));

    let stored = facts.stored.as_mut().unwrap();
    stored.needs_operator.iter_mut().for_each(|open| open.id = None);
    stored.unsettled.iter_mut().for_each(|open| open.id = None);
    let shown = page(&facts);
    assert!(!shown.contains("0192"), "{shown}");
    assert!(shown.contains("orders list --needs-operator"));
    assert!(shown.contains("2 need an operator."));
}

/// A name, what is changed where nothing is wrong, and the three answers.
type Case = (&'static str, fn(&mut Facts), [Level; 3]);

#[test]
fn a_fault_is_blamed_on_whom_it_is_of() {
    use Level::{No, NotKnown, Perhaps, Yes};
    let cases: [Case; 20] = [
        ("well", |_| {}, [No, No, No]),
        (
            "not ready",
            |facts| facts.not_ready = Some("waiting".into()),
            [Yes, No, No],
        ),
        (
            "not open",
            |facts| facts.stored = Err(NotRead::NotOpen),
            [No, No, NotKnown],
        ),
        (
            "no answer",
            |facts| facts.stored = Err(NotRead::NoAnswer(Duration::from_secs(2))),
            [Yes, No, NotKnown],
        ),
        (
            "ledger fails",
            |facts| {
                facts.ledger.failing.push(Failing {
                    access: "write".into(),
                    since: minutes(3),
                    failures: 40,
                    why: "disk".into(),
                });
            },
            [Yes, No, No],
        ),
        ("refused credentials", |facts| token(facts, "401"), [Yes, No, No]),
        ("limited token", |facts| token(facts, "429"), [No, Yes, No]),
        ("no token", |facts| token(facts, "503"), [No, Yes, No]),
        ("token timeout", |facts| token(facts, "timeout"), [No, Yes, No]),
        (
            "open",
            |facts| facts.provider.apis[1].breaker = Some(Breaker::Open),
            [No, Yes, No],
        ),
        (
            "half open",
            |facts| facts.provider.apis[1].breaker = Some(Breaker::HalfOpen),
            [No, Perhaps, No],
        ),
        ("half fails", |facts| recent(facts, 8, 4), [No, Yes, No]),
        ("some fail", |facts| recent(facts, 60, 3), [No, Perhaps, No]),
        ("few fail", |facts| recent(facts, 2, 2), [No, No, No]),
        ("quiet", |facts| nothing(facts, false), [No, No, No]),
        ("new", |facts| nothing(facts, true), [No, NotKnown, No]),
        (
            "our fault",
            |facts| facts.calls.failed[0].ours = true,
            [Perhaps, No, No],
        ),
        ("no funds", |facts| facts.calls.without_funds = 1, [No, No, Yes]),
        (
            "long unknown",
            |facts| stored(facts).unsettled[0].since = Some(at(-16 * 60)),
            [No, No, Perhaps],
        ),
        (
            "no event",
            |facts| facts.events.orders_without_event = Some(1),
            [No, No, Perhaps],
        ),
    ];
    for (name, change, expected) in cases {
        let mut facts = well();
        change(&mut facts);
        assert_eq!(levels(&facts), expected, "{name}");
        let page = page(&facts);
        for level in expected {
            assert!(page.contains(level.word()), "{name}");
        }
    }
}

fn token(facts: &mut Facts, why: &str) {
    facts.provider.token.failed = Some(TokenFailure {
        at: at(-5),
        why: why.into(),
        over: false,
    });
}

fn recent(facts: &mut Facts, sent: u64, failed: u64) {
    facts.provider.apis[0].recent = Requests { sent, failed };
}

fn nothing(facts: &mut Facts, ever: bool) {
    for api in &mut facts.provider.apis {
        api.recent = Requests::default();
        if ever {
            api.total = Requests::default();
        }
    }
}

#[test]
fn every_reason_is_a_sentence_and_the_worst_comes_first() {
    let mut facts = well();
    recent(&mut facts, 60, 3);
    facts.provider.apis[1].breaker = Some(Breaker::Open);
    let them = judge(&facts).them;
    assert_eq!(them.reasons.len(), 2);
    assert!(them.reasons[0].contains("is open"), "{them:?}");
    assert!(them.reasons.iter().all(|reason| reason.ends_with('.')));
}
