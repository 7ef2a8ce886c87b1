//! What an event says: type, envelope and body.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::world::{
    clock::iso,
    identity::Identity,
    settings::webhooks::WebhookSettings,
    stock::{
        ids::SimNumber,
        news::{LineEvent, LineNews, News, SubscriptionEvent, SubscriptionNews},
        sim::Sim,
        status::{ProfileStatus, SimStatus},
        subscription::Subscription,
    },
};

/// An event before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    /// The SIM that it is about, if nobody made it up.
    pub(crate) sim: Option<SimNumber>,
    pub(crate) event_type: String,
    pub(crate) at: Timestamp,
    pub(crate) body: Value,
}

impl Event {
    /// The bytes that are posted, with or without the event's id.
    pub(crate) fn envelope(&self, with_id: bool) -> String {
        let mut header = json!({ "eventType": self.event_type, "eventDate": iso(self.at) });
        if let (true, Some(members)) = (with_id, header.as_object_mut()) {
            members.insert("eventId".to_owned(), json!(self.id));
        }
        json!({ "header": header, "body": self.body }).to_string()
    }
}

/// The events of a SIM's news: its profile first, then its line, then its subscriptions.
pub(crate) fn all(identity: &Identity, settings: &WebhookSettings, sim: &Sim, news: &News) -> Vec<Event> {
    let event = |event_type: String, at: Timestamp, body: Value| Event {
        id: Uuid::new_v4(),
        sim: Some(sim.number),
        event_type,
        at,
        body,
    };
    let profile = news.profile.iter().filter_map(|(status, at)| {
        let word = profile_word(*status)?;
        let body = profile_body(identity, settings, sim, *status, *at);
        Some(event(format!("SIM-MANAGEMENT/ESIM/{word}"), *at, body))
    });
    let line = news.line.iter().map(|news| {
        let word = line_word(news.event);
        let event_type = format!("CONNECTIVITY-MANAGEMENT/SUBSCRIBER/{word}");
        event(event_type, news.at, line_body(identity, sim, news))
    });
    let subscriptions = news.subscriptions.iter().filter_map(|(position, news)| {
        let subscription = sim.subscriptions.get(*position)?;
        let event_type = subscription_type(news.event, settings);
        let body = || subscription_body(identity, sim, subscription, news);
        (!event_type.is_empty()).then(|| event(event_type.to_owned(), news.at, body()))
    });
    profile.chain(line).chain(subscriptions).collect()
}

fn profile_word(status: ProfileStatus) -> Option<&'static str> {
    match status {
        ProfileStatus::Available | ProfileStatus::Allocated => None,
        ProfileStatus::Released => Some("RELEASED"),
        ProfileStatus::Downloaded => Some("DOWNLOADED"),
        ProfileStatus::Installed => Some("INSTALLED"),
        ProfileStatus::Enabled => Some("ENABLED"),
        ProfileStatus::Disabled => Some("DISABLED"),
        ProfileStatus::Deleted => Some("DELETED"),
    }
}

/// Unpublished: what a receiver can expect at the least.
fn profile_body(
    identity: &Identity,
    settings: &WebhookSettings,
    sim: &Sim,
    status: ProfileStatus,
    at: Timestamp,
) -> Value {
    let mut body = Members::default();
    body.put("mvnoRef", &identity.mvno_ref);
    body.put(&settings.esim_serial_member, sim.iccid());
    body.put("status", status.as_str());
    body.put("statusDate", iso(at));
    body.put_some(
        "eid",
        sim.profile.as_ref().and_then(|profile| profile.eid.clone()),
    );
    body.into()
}

fn line_word(event: LineEvent) -> &'static str {
    match event {
        LineEvent::Preactivated => "PREACTIVATED",
        LineEvent::Activated => "ACTIVATED",
        LineEvent::Modified => "MODIFIED",
        LineEvent::CardSwapped => "SIMCARD/SWAPPED",
        LineEvent::Suspended => "SUSPENDED",
        LineEvent::Reactivated => "REACTIVATED",
        LineEvent::Terminated => "TERMINATED",
        LineEvent::TestModeExited => "TEST_MODE/EXITED",
        LineEvent::HolidayEntered => "HOLIDAY/ENTERED",
        LineEvent::HolidayExited => "HOLIDAY/EXITED",
    }
}

fn line_body(identity: &Identity, sim: &Sim, news: &LineNews) -> Value {
    let source = if news.transaction.is_some() {
        "api"
    } else {
        "system"
    };
    let mut body = Members::default();
    body.put_some("transactionId", news.transaction);
    body.put("mvnoRef", &identity.mvno_ref);
    body.put("msisdn", sim.number.msisdn());
    body.put("simSerial", sim.iccid());
    body.put("subscriberNumber", format!("90100001.{:08}", sim.number.0));
    body.put("primaryImsi", sim.card.imsi());
    body.put_some("group", sim.group.as_ref());
    body.put("source", source);
    body.put_some("externalReference", sim.external_reference.as_ref());
    body.put("ratePlan", &identity.rate_plan);
    body.put("status", news.status.as_str());
    body.put("statusDate", iso(news.at));
    body.put_some("activationDate", sim.activated_at.map(iso));
    let ended = (news.status == SimStatus::Terminated).then(|| iso(news.at));
    body.put_some("terminationDate", ended);
    body.put("options", sim.options());
    body.into()
}

fn subscription_type(event: SubscriptionEvent, settings: &WebhookSettings) -> &str {
    match event {
        SubscriptionEvent::Preloaded => "OCS/PRODUCT/PRELOADED",
        SubscriptionEvent::Deferred => &settings.deferred_event,
        SubscriptionEvent::Activated => "OCS/PRODUCT/ACTIVATED",
        SubscriptionEvent::Renewed => "OCS/PRODUCT/RENEWED",
        SubscriptionEvent::Canceled => "OCS/PRODUCT/CANCELED",
        SubscriptionEvent::Expired => "OCS/PRODUCT/EXPIRED",
        SubscriptionEvent::Terminated => "OCS/PRODUCT/TERMINATED",
        SubscriptionEvent::Low => "OCS/PRODUCT/RESOURCE/THRESHOLD",
        SubscriptionEvent::Exhausted => "OCS/PRODUCT/RESOURCE/EXHAUSTED",
    }
}

fn subscription_body(
    identity: &Identity,
    sim: &Sim,
    subscription: &Subscription,
    news: &SubscriptionNews,
) -> Value {
    let mut members = Members::default();
    members.put("subscriptionId", subscription.id);
    members.put("subscriptionDate", iso(subscription.ordered_at));
    members.put_some("activationDate", news.activated_at.map(iso));
    members.put("expirationDate", iso(news.expires_at));
    members.put(
        "productDefinition",
        json!({ "productId": subscription.product.id }),
    );
    let mut body = Members::default();
    body.put("mvnoRef", &identity.mvno_ref);
    body.put("cos", &identity.cos);
    body.put("msisdn", sim.number.msisdn());
    body.put("iccid", sim.iccid());
    body.put_some("externalReference", news.reference.as_ref());
    body.put("productSubscription", Value::from(members));
    if matches!(news.event, SubscriptionEvent::Low | SubscriptionEvent::Exhausted) {
        // Members of resource events are not published; these are the inventory's.
        let resource = json!({
            "resourceName": subscription.product.resource_name(),
            "resourceUnit": "KB",
            "resourceValue": news.left_kb,
            "resourceStartValue": subscription.product.data_kb,
        });
        body.put("resource", resource);
    }
    body.into()
}

/// The members of an object.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: impl serde::Serialize) {
        self.0.insert(name.to_owned(), json!(value));
    }

    fn put_some(&mut self, name: &str, value: Option<impl serde::Serialize>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

impl From<Members> for Value {
    fn from(members: Members) -> Self {
        Self::Object(members.0)
    }
}
