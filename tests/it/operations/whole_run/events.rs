//! What is posted to the webhook, and who follows it.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tonic::Request;
use transatel_gateway_client::connectivity::v1::*;

use super::{SUBSCRIBER, Visitor};
use crate::events::streams::{Follower, from_the_beginning};
use crate::events::webhook::{client, deliver, envelope, post, signature};
use crate::support::gateway::{Events, SECRET, by_iccid, fetch, is_counted, until};

impl Visitor {
    /// Events of every kind and quality, besides those of the simulator.
    pub(super) async fn post_events(&mut self) {
        self.control.attach("882470000000001", "FR").unwrap();
        let client = client();
        let person = json!({ "iccid": "8988247000000000019", "msisdn": "+882470000000001", "name": SUBSCRIBER,
            "eid": "89049032000000000000000000000001", "activationCode": "1$rsp.sandbox.example$BROKEN-ID-77" });
        let event = envelope("an-event", "SIM-MANAGEMENT/ESIM/RELEASED", person.clone());
        for expected in [204, 204] {
            assert_eq!(
                deliver(&client, &self.webhook, event.clone()).await,
                Some(expected)
            );
        }
        for unreadable in [
            person.to_string(),
            format!("{SUBSCRIBER} 8988247000000000019"),
            String::new(),
        ] {
            assert_eq!(deliver(&client, &self.webhook, unreadable).await, Some(204));
        }
        let typed = [
            (
                "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/ROAMING/ALERT",
                json!({ "msisdn": "882470000000001", "country": "DEU", "mvnoRef": "M" }),
            ),
            (
                "OCS/PRODUCT/RESOURCE/THRESHOLD",
                json!({ "iccid": "8988247000000000019", "resource": { "resourceName": "R", "resourceUnit": "KB",
                    "resourceValue": 1 }, "productSubscription": { "expirationDate": "2027-11-02T03:04:05Z" } }),
            ),
        ];
        for (kind, body) in typed {
            let event = envelope(kind, kind, body);
            assert_eq!(deliver(&client, &self.webhook, event).await, Some(204));
        }
        let unsigned = envelope("unsigned", "T", person);
        let own = signature(SECRET, unsigned.as_bytes());
        let another = signature("another secret", unsigned.as_bytes());
        self.secrets
            .push(("signature", own["sha256=".len()..].to_owned()));
        self.secrets
            .push(("signature", another["sha256=".len()..].to_owned()));
        self.secrets.push((
            "signature",
            signature(SECRET, event.as_bytes())["sha256=".len()..].to_owned(),
        ));
        for header in [
            None,
            Some(another.as_str()),
            Some(&own[..40]),
            Some("sha256=8988247000000000019"),
        ] {
            assert_eq!(
                post(&client, &self.webhook, unsigned.clone(), header).await,
                Some(401)
            );
        }
        let _ = deliver(&client, &self.webhook, "8988247000000000019".repeat(1_000)).await;
        let elsewhere = format!("{}/8988247000000000019?msisdn=882470000000001", self.webhook);
        let _ = deliver(&client, &elsewhere, event).await;
        let address = self
            .webhook
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        let beginning = b"POST /webhooks/transatel HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{";
        slow.write_all(beginning).await.unwrap();
        let address = format!("{}/metrics", self.admin);
        until("it is sent away", async || {
            is_counted(&fetch(&address).await, &["outcome=\"too_slow\""])
        })
        .await;
    }

    /// Streams of events that end in different ways; the last one is open.
    pub(super) async fn follow(&mut self) -> Follower {
        let mut events = Events::new(self.channel.clone());
        let filter = EventFilter {
            sims: by_iccid("8988247000000000019").into_iter().collect(),
            ..Default::default()
        };
        let listed = ListEventsRequest {
            filter: Some(filter.clone()),
            page_size: 10,
            ..Default::default()
        };
        ask!(self, events, list_events, listed).unwrap();
        let listed = ListEventsRequest {
            filter: Some(EventFilter {
                types: vec![
                    EventType::OrderPlaced.into(),
                    EventType::SimOperationSucceeded.into(),
                ],
                ..Default::default()
            }),
            ..Default::default()
        };
        let outcomes = ask!(self, events, list_events, listed).unwrap();
        let outcomes = outcomes.events;
        assert!(!outcomes.is_empty());
        let by_request = ListEventsRequest {
            filter: Some(EventFilter {
                request_ids: vec![outcomes[0].request_id.clone()],
                subscription_ids: vec!["ANOTHER".into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        ask!(self, events, list_events, by_request).unwrap();
        let mut request = Request::new(StreamEventsRequest {
            filter: Some(filter),
            ..from_the_beginning()
        });
        request.set_timeout(Duration::from_millis(300));
        let mut brief = events.stream_events(request).await.unwrap().into_inner();
        while let Ok(Some(message)) = brief.message().await {
            self.printed.push(format!("{message:?}"));
        }
        let wrong = StreamEventsRequest {
            resume_token: "8988247000000000019".into(),
            ..Default::default()
        };
        assert!(events.stream_events(wrong).await.is_err());
        drop(Follower::start(&mut events, from_the_beginning()).await);
        let mut open = Follower::start(&mut events, from_the_beginning()).await;
        for _ in 0..3 {
            let event = open.event().await;
            self.printed.push(format!("{event:?}"));
        }
        open
    }
}
