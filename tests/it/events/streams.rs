//! Events from the provider to their followers.

use std::time::Duration;

use prost_types::value::Kind;
use serde_json::json;
use tonic::{Code, Streaming};
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Disturbance, Fault, Script};

use crate::events::webhook::{EventSource, all};
use crate::support::gateway::{
    Events, FRANCE, OPERATIONS, ORDERS, SECRET, SOON, SUSPEND, Secret, TestEnv, by_iccid, by_msisdn, reason,
    settings, until, value, violations,
};
use crate::support::process::Process;
use crate::writes::orders::{create, get, order};
use crate::writes::sim_operations::{Action, Change, IN_USE};

use stream_events_response::Message;

/// The SIM that is ready to be sold.
const SIM: &str = "882470000000001";
const ICCID: &str = "8988247000000000019";

pub fn from_the_beginning() -> StreamEventsRequest {
    StreamEventsRequest {
        start: StreamStart::Earliest.into(),
        ..Default::default()
    }
}

pub fn after(resume_token: &str) -> StreamEventsRequest {
    StreamEventsRequest {
        resume_token: resume_token.into(),
        ..Default::default()
    }
}

/// A stream and the token of its last message.
pub struct Follower {
    stream: Streaming<StreamEventsResponse>,
    pub token: String,
}

impl Follower {
    /// Follows; the first message says from where.
    pub async fn start(events: &mut Events, request: StreamEventsRequest) -> Self {
        let stream = events.stream_events(request).await.unwrap().into_inner();
        let mut follower = Self {
            stream,
            token: String::new(),
        };
        let first = follower.message().await.unwrap();
        assert!(matches!(first, Some(Message::Heartbeat(_))), "{first:?}");
        follower
    }

    pub async fn message(&mut self) -> Result<Option<Message>, tonic::Status> {
        let message = tokio::time::timeout(SOON, self.stream.message())
            .await
            .expect("a message comes")?;
        let Some(message) = message else { return Ok(None) };
        assert!(!message.resume_token.is_empty());
        self.token = message.resume_token;
        Ok(message.message)
    }

    /// The next event.
    pub async fn event(&mut self) -> Event {
        loop {
            match self.message().await.unwrap() {
                Some(Message::Event(event)) => return event,
                Some(Message::Heartbeat(_)) => {}
                None => panic!("the stream ended"),
            }
        }
    }
}

#[tokio::test]
async fn an_order_is_followed_from_its_placement_to_the_first_use() {
    let env = TestEnv::with_events(&[]).await;
    let mut follower = Follower::start(&mut env.events(), StreamEventsRequest::default()).await;
    let request = order(SIM);
    let placed = create(&mut env.provisioning(), &request).await.unwrap();
    // The answer and the event of the provider come in either order.
    let mut first = [follower.event().await, follower.event().await];
    first.sort_by_key(|event| event.r#type);
    let [preloaded, outcome] = first;
    assert_eq!(preloaded.r#type(), EventType::ProductPreloaded);
    assert_eq!(outcome.r#type(), EventType::OrderPlaced);
    assert!(preloaded.activation_deadline.is_some() && preloaded.expires_at.is_none());
    env.control().attach(SIM, "FR").unwrap();
    let mut seen = Vec::new();
    let activated = loop {
        let event = follower.event().await;
        if event.r#type() == EventType::ProductActivated {
            break event;
        }
        seen.push(event.r#type());
    };
    assert!(seen.contains(&EventType::SimActivated), "{seen:?}");
    assert!(activated.activated_at.is_some() && activated.expires_at.is_some());
    for event in [preloaded, activated] {
        assert_eq!(event.order_id, placed.order_id);
        assert_eq!(event.request_id, request.request_id);
        assert_eq!(event.subscription_id, placed.subscription_id);
        assert_eq!(event.product_id, FRANCE);
        let sim = event.sim.unwrap();
        assert_eq!((sim.iccid.as_str(), sim.msisdn.as_str()), (ICCID, SIM));
        let attributes = event.attributes.unwrap().fields;
        let reference = attributes["externalReference"].kind.clone();
        assert_eq!(reference, Some(Kind::StringValue(placed.order_id.clone())));
    }
}

#[tokio::test]
async fn infrastructure_is_marked_and_left_out_unless_it_is_wanted() {
    let env = TestEnv::with_events(&[]).await;
    env.control().attach(SIM, "FR").unwrap();
    env.control().until_events_sent().await;
    let listed = all(&mut env.events()).await;
    let infrastructure: Vec<_> = listed.iter().filter(|event| event.infrastructure).collect();
    assert!(!infrastructure.is_empty());
    assert!(
        infrastructure
            .iter()
            .all(|event| event.product_id.contains("WALLEDGARDEN"))
    );
    let request = ListEventsRequest::default();
    let others = env
        .events()
        .list_events(request)
        .await
        .unwrap()
        .into_inner()
        .events;
    assert_eq!(others.len(), listed.len() - infrastructure.len());
    assert!(others.iter().all(|event| !event.infrastructure));
}

#[tokio::test]
async fn filters_let_through_what_was_asked_for() {
    let env = TestEnv::with_events(&[]).await;
    let control = env.control();
    let subscription = |msisdn: &str| json!({ "msisdn": msisdn });
    control.send_event("OCS/PRODUCT/EXPIRED", subscription(SIM));
    control.send_event("OCS/PRODUCT/RENEWED", subscription("882470000000002"));
    control.send_event("SIM-MANAGEMENT/ESIM/DELETED", json!({ "simSerial": ICCID }));
    control.send_event("NEW/TYPE", subscription("882470000000003"));
    control.until_events_sent().await;
    let listed = async |filter: EventFilter| -> Vec<String> {
        let request = ListEventsRequest {
            filter: Some(filter),
            ..Default::default()
        };
        let page = env.events().list_events(request).await.unwrap().into_inner();
        page.events.into_iter().map(|event| event.raw_type).collect()
    };
    let types = |types: &[EventType]| types.iter().map(|kind| i32::from(*kind)).collect::<Vec<_>>();
    let filter = EventFilter {
        types: types(&[EventType::ProductExpired, EventType::Other]),
        ..Default::default()
    };
    assert_eq!(listed(filter).await, ["OCS/PRODUCT/EXPIRED", "NEW/TYPE"]);
    let filter = EventFilter {
        types: types(&[EventType::ProductExpired]),
        raw_types: vec!["OCS/PRODUCT/RENEWED".into(), "TYPE".into()],
        ..Default::default()
    };
    assert_eq!(
        listed(filter).await,
        ["OCS/PRODUCT/EXPIRED", "OCS/PRODUCT/RENEWED"]
    );
    // An event names a SIM by either identifier, and so does a caller.
    for sim in [by_msisdn(SIM), by_iccid(ICCID)] {
        let filter = EventFilter {
            sims: vec![sim.unwrap()],
            ..Default::default()
        };
        assert_eq!(
            listed(filter).await,
            ["OCS/PRODUCT/EXPIRED", "SIM-MANAGEMENT/ESIM/DELETED"]
        );
    }
}

#[tokio::test]
async fn a_stream_goes_on_after_any_token() {
    let source = EventSource::open(&[]).await;
    let mut events = source.gateway.events();
    source.send_many(0..3).await;
    let mut latest = Follower::start(&mut events, StreamEventsRequest::default()).await;
    let mut first = Follower::start(&mut events, from_the_beginning()).await;
    source.send_many(3..6).await;
    let mut tokens = vec![first.token.clone()];
    for id in 0..6 {
        assert_eq!(first.event().await.event_id, id.to_string());
        tokens.push(first.token.clone());
    }
    for id in 3..6 {
        assert_eq!(latest.event().await.event_id, id.to_string());
    }
    for (token, next) in tokens[..6].iter().zip(0..) {
        let mut resumed = Follower::start(&mut events, after(token)).await;
        assert_eq!(resumed.event().await.event_id, next.to_string());
    }
    let mut resumed = Follower::start(&mut events, after(&tokens[6])).await;
    source.send_many(6..7).await;
    assert_eq!(resumed.event().await.event_id, "6");
}

#[tokio::test]
async fn heartbeats_tell_how_far_a_stream_is_also_past_what_it_leaves_out() {
    let source = EventSource::open(&[("EVENTS__HEARTBEAT", "20ms")]).await;
    let mut events = source.gateway.events();
    let nothing = StreamEventsRequest {
        filter: Some(EventFilter {
            raw_types: vec!["NEVER".into()],
            ..Default::default()
        }),
        ..from_the_beginning()
    };
    let mut follower = Follower::start(&mut events, nothing).await;
    let beginning = follower.token.clone();
    source.send_many(0..3).await;
    while follower.token == beginning {
        let message = follower.message().await.unwrap();
        assert!(matches!(message, Some(Message::Heartbeat(_))), "{message:?}");
    }
    let mut resumed = Follower::start(&mut events, after(&follower.token)).await;
    source.send_many(3..4).await;
    let id: u32 = resumed.event().await.event_id.parse().unwrap();
    assert!(id > 0);
}

#[tokio::test]
async fn tokens_that_cannot_be_used_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("store.db").display());
    let source = EventSource::open(&[("STORE__URL", &store)]).await;
    let elsewhere = EventSource::open(&[]).await;
    let mut events = source.gateway.events();
    let refused = async |events: &mut Events, token: &str| {
        let status = events.stream_events(after(token)).await.unwrap_err();
        let reason = reason(&status);
        (reason.code, reason.reason)
    };
    let invalid = (Code::InvalidArgument, "EVENT_CURSOR_INVALID".to_owned());
    assert_eq!(refused(&mut events, "foreign").await, invalid);
    source.send_many(0..2).await;
    let mut follower = Follower::start(&mut events, from_the_beginning()).await;
    let beginning = follower.token.clone();
    follower.event().await;
    let one = follower.token.clone();
    assert_eq!(refused(&mut elsewhere.gateway.events(), &one).await, invalid);

    let list = |page_token: &str, raw_types: &[&str]| ListEventsRequest {
        page_token: page_token.into(),
        page_size: 1,
        filter: Some(EventFilter {
            raw_types: raw_types.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }),
    };
    let page = events.list_events(list("", &["T"])).await.unwrap().into_inner();
    let page_token = page.next_page_token;
    for wrong in [list(&page_token, &["U"]), list(&one, &["T"]), list("x", &[])] {
        let status = events.list_events(wrong).await.unwrap_err();
        assert_eq!(reason(&status).reason, "PAGE_TOKEN_INVALID");
    }

    let settings = transatel_gateway::config::Store {
        url: transatel_gateway::config::StoreUrl::parse(&store).unwrap(),
        connections: 1,
        operation_timeout: crate::support::postgres::OPERATION_TIMEOUT,
    };
    let log = transatel_gateway::store::open(&settings, transatel_gateway::domain::Clock::system())
        .await
        .unwrap()
        .events;
    let future = jiff::Timestamp::now() + Duration::from_secs(60);
    assert_eq!(log.forget_events(future).await.unwrap(), 2);
    let expired = (Code::OutOfRange, "EVENT_CURSOR_EXPIRED".to_owned());
    assert_eq!(refused(&mut events, &beginning).await, expired);
    assert_eq!(refused(&mut events, &one).await, expired);
    let status = events.list_events(list(&page_token, &["T"])).await.unwrap_err();
    assert_eq!(reason(&status).reason, "EVENT_CURSOR_EXPIRED");
    source.send_many(7..8).await;
    let mut again = Follower::start(&mut events, from_the_beginning()).await;
    assert_eq!(again.event().await.event_id, "7");
}

#[tokio::test]
async fn pages_walk_the_log_to_its_end_and_on() {
    let source = EventSource::open(&[]).await;
    let mut events = source.gateway.events();
    source.send_many(0..5).await;
    let mut page = async |page_token: &str| {
        let request = ListEventsRequest {
            page_size: 2,
            page_token: page_token.into(),
            ..Default::default()
        };
        let page = events.list_events(request).await.unwrap().into_inner();
        let ids: Vec<String> = page.events.into_iter().map(|event| event.event_id).collect();
        (ids, page.next_page_token)
    };
    let (ids, token) = page("").await;
    assert_eq!(ids, ["0", "1"]);
    let (ids, token) = page(&token).await;
    assert_eq!(ids, ["2", "3"]);
    let (ids, token) = page(&token).await;
    assert_eq!(ids, ["4"]);
    assert_eq!(page(&token).await, (vec![], String::new()));
    source.send_many(5..6).await;
    assert_eq!(page(&token).await.0, ["5"]);
}

#[tokio::test]
async fn every_violation_is_named_at_once() {
    let source = EventSource::open(&[]).await;
    let filter = Some(EventFilter {
        types: vec![0, 999, EventType::Other.into()],
        raw_types: vec![String::new(), "x".repeat(256)],
        sims: vec![SimRef::default(), by_msisdn("1").unwrap()],
        ..Default::default()
    });
    let request = StreamEventsRequest {
        filter: filter.clone(),
        start: 9,
        resume_token: "x".into(),
    };
    let expected = [
        "filter.raw_types[0]",
        "filter.raw_types[1]",
        "filter.sims[0]",
        "filter.sims[1].msisdn",
        "filter.types[0]",
        "filter.types[1]",
    ];
    let status = source.gateway.events().stream_events(request).await.unwrap_err();
    assert_eq!(violations(&status), [&expected[..], &["start"]].concat());
    let request = ListEventsRequest {
        filter,
        page_size: -1,
        page_token: "x".into(),
    };
    let status = source.gateway.events().list_events(request).await.unwrap_err();
    assert_eq!(violations(&status), [&expected[..], &["page_size"]].concat());
}

#[tokio::test]
async fn a_stream_ends_well_before_its_deadline_and_at_its_longest_age() {
    let source = EventSource::open(&[("EVENTS__MAX_STREAM_AGE", "300ms")]).await;
    let mut follower = Follower::start(&mut source.gateway.events(), from_the_beginning()).await;
    while follower.message().await.unwrap().is_some() {}
    let source = EventSource::open(&[]).await;
    let mut request = tonic::Request::new(from_the_beginning());
    request.set_timeout(Duration::from_millis(1_500));
    let mut stream = source
        .gateway
        .events()
        .stream_events(request)
        .await
        .unwrap()
        .into_inner();
    while stream.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn streams_end_when_the_replica_goes_away() {
    let source = EventSource::open(&[]).await;
    source.send_many(0..1).await;
    let mut follower = Follower::start(&mut source.gateway.events(), from_the_beginning()).await;
    follower.event().await;
    let stopping = source.gateway.stop();
    let end = async {
        let status = loop {
            if let Err(status) = follower.message().await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status).reason, "SHUTTING_DOWN");
        drop(follower);
    };
    tokio::time::timeout(SOON, async { tokio::join!(stopping, end) })
        .await
        .expect("the gateway stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_is_sent_away_and_resumes_without_loss() {
    const MANY: u32 = 600;
    let source = EventSource::open(&[("EVENTS__SLOW_AFTER", "100ms"), ("EVENTS__STREAM_BUFFER", "4")]).await;
    let mut events = source.gateway.events();
    let mut quick = Follower::start(&mut events, from_the_beginning()).await;
    // Beyond what the connection's window holds for one stream.
    let text = "x".repeat(20_000);
    let slow = Follower::start(&mut events, from_the_beginning()).await;
    for id in 0..MANY {
        source.send(id, "T", json!({ "text": text })).await;
        assert_eq!(quick.event().await.event_id, id.to_string(), "the others go on");
    }
    until("it is sent away", async || {
        let metrics = source.gateway.metrics().await;
        let ended = "transatel_gateway_events_streams_ended_total{";
        crate::support::gateway::is_counted(&metrics, &[ended, "too_slow"])
    })
    .await;
    let mut slow = slow;
    let mut seen = 0;
    let status = loop {
        match slow.message().await {
            Ok(Some(Message::Event(event))) => {
                assert_eq!(event.event_id, seen.to_string());
                seen += 1;
            }
            Ok(Some(Message::Heartbeat(_))) => {}
            Ok(None) => panic!("ended as if all were well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status).reason, "EVENT_STREAM_TOO_SLOW");
    assert!(seen < MANY, "{seen}");
    let mut resumed = Follower::start(&mut events, after(&slow.token)).await;
    for id in seen..MANY {
        assert_eq!(resumed.event().await.event_id, id.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_see_everything_in_order() {
    let source = EventSource::open(&[]).await;
    source.send_many(0..20).await;
    let starts = (0..200).map(|_| {
        let mut events = source.gateway.events();
        async move { Follower::start(&mut events, from_the_beginning()).await }
    });
    let followers = futures_util::future::join_all(starts).await;
    let sent = source.send_many(20..60);
    let seen = followers.into_iter().map(|mut follower| async move {
        for id in 0..60 {
            assert_eq!(follower.event().await.event_id, id.to_string());
        }
    });
    tokio::join!(sent, futures_util::future::join_all(seen));
}

/// Orders of unknown outcome are left alone for an hour.
const NOT_LOOKED_FOR: [(&str, &str); 3] = [
    ("ORDERS__RECONCILE_AFTER", "1h"),
    ("ORDERS__RECONCILE_AT_MOST", "1h"),
    ("ORDERS__SETTLE_WINDOW", "2h"),
];

#[tokio::test]
async fn an_event_settles_an_order_of_unknown_outcome_at_once() {
    // Nobody would look for an hour.
    let env = TestEnv::with_events(&NOT_LOOKED_FOR).await;
    let control = env.control();
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    let request = order(SIM);
    let mut orders = env.provisioning();
    create(&mut orders, &request).await.unwrap();
    until("it is placed", async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        get(&mut orders, &request).await.unwrap().state() == OrderState::Placed
    })
    .await;
    let bought = control.sim(SIM).unwrap().bought().next().unwrap().subscription_id;
    assert_eq!(
        get(&mut orders, &request).await.unwrap().subscription_id,
        bought.to_string()
    );
    assert_eq!(control.received("POST", ORDERS), 1);
}

#[tokio::test]
async fn an_event_settles_an_operation_on_a_sim_at_once() {
    // Nobody would look for an hour.
    let slow = [OPERATIONS.as_slice(), &[("OPERATIONS__POLL_AFTER", "1h")]].concat();
    let env = TestEnv::with_events(&slow).await;
    let request = Change::new(IN_USE, Action::Suspend);
    let mut client = env.provisioning();
    request.send(&mut client).await.unwrap();
    until("it is over", async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        request.get(&mut client).await.unwrap().state() == SimOperationState::Succeeded
    })
    .await;
    assert_eq!(env.control().received("POST", SUSPEND), 1);
}

#[tokio::test]
async fn an_event_without_the_subscription_has_the_order_looked_for_at_once() {
    let env = TestEnv::with_events(&NOT_LOOKED_FOR).await;
    let control = env.control();
    // The provider's own event is lost.
    control.disturb_events([Disturbance::Lose]);
    control.queue(Script::on("POST", ORDERS).then(Fault::Reset.after_commit()));
    let request = order(SIM);
    let mut orders = env.provisioning();
    let unknown = create(&mut orders, &request).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Unknown);
    control.send_event(
        "OCS/PRODUCT/NEW",
        json!({ "externalReference": unknown.order_id, "msisdn": SIM }),
    );
    until("it is placed", async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        get(&mut orders, &request).await.unwrap().state() == OrderState::Placed
    })
    .await;
}

#[tokio::test]
async fn an_order_without_its_event_shows_in_the_metrics() {
    let env = TestEnv::with_events(&[("EVENTS__ORDER_EVENT_WITHIN", "50ms")]).await;
    let without = async || {
        let metrics = env.gateway.metrics().await;
        value(&metrics, "transatel_gateway_orders_without_event{", &[]).unwrap()
    };
    env.control().disturb_events([Disturbance::Lose]);
    let request = order(SIM);
    create(&mut env.provisioning(), &request).await.unwrap();
    until("it is counted", async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        without().await == 1.0
    })
    .await;
    env.control().attach(SIM, "FR").unwrap();
    until("an event came", async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        without().await == 0.0
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_has_gone_silent_is_worth_an_alert() {
    let secret = Secret::new(SECRET);
    let more = [
        &secret.settings()[..],
        &[
            ("EVENTS__SILENCE_AFTER", "50ms"),
            ("EVENTS__ORDER_EVENT_WITHIN", "1h"),
        ],
    ]
    .concat();
    let environment = settings("http://127.0.0.1:9", &more);
    let mut process = Process::start(&["serve"], &environment);
    let line = process.logged("no event has come").await;
    assert!(line.contains("ERROR"), "{line}");
}
