//! The part of the HTTP control API that is about events.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    control::{
        body::{Body, Empty, Unreadable},
        endpoint::{Endpoint, delete, get, post},
        handle::Control,
    },
    duration_text,
    webhooks::{
        delivery::Delivery, disturbance::Disturbance, queue::EventOrder, receiver::Webhook,
        status::WebhookStatus,
    },
    world::impossible::Impossible,
};

/// How long a call waits for the queue when it does not say.
const WAIT: Duration = Duration::from_secs(10);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/webhook", "", "where events go, and how that stands", status),
        post(
            "/webhook",
            r#"{"url", "secret", "events"}"#,
            "sends events there from now on",
            set,
        ),
        delete(
            "/webhook",
            "",
            "sends them to nobody; what waits is lost, unless events are held",
            unset,
        ),
        post("/webhook/resume", "", "lets a suspended stream go on", resume),
        post(
            "/webhook/hold",
            "",
            "sends nothing, and keeps what happens, also without a receiver",
            hold,
        ),
        post(
            "/webhook/release",
            r#"{"order": "as_happened"|"reversed"|{"shuffled": 7}}"#,
            "sends what was held, and says how much",
            release,
        ),
        post(
            "/webhook/disturbances",
            r#"{"disturbances": [{"disturbance", ...}], "sim"}"#,
            "one for each of the next events, of one SIM or of all",
            disturb,
        ),
        delete("/webhook/disturbances", "", "drops them", clear_disturbances),
        post(
            "/webhook/flush",
            r#"{"for": "10s"}"#,
            "tries everything that waits once, and says how it stands",
            flush,
        ),
        post(
            "/webhook/wait",
            r#"{"for": "10s"}"#,
            "waits until nothing waits, and says how it stands",
            wait,
        ),
        post(
            "/webhook/events",
            r#"{"event_type", "body"} or {"raw"}"#,
            "an event that nothing has caused",
            send,
        ),
        get(
            "/webhook/deliveries",
            "",
            "the last attempts, with body, signature and answer",
            deliveries,
        ),
        delete("/webhook/deliveries", "", "forgets them", clear_deliveries),
    ]
}

async fn status(State(control): State<Control>) -> Json<WebhookStatus> {
    Json(control.webhook_status())
}

async fn set(
    State(control): State<Control>,
    Body(webhook): Body<Webhook>,
) -> Result<Json<WebhookStatus>, Impossible> {
    control.set_webhook(Some(webhook))?;
    Ok(status(State(control)).await)
}

async fn unset(State(control): State<Control>, _: Body<Empty>) -> Result<StatusCode, Impossible> {
    control.set_webhook(None).map(|()| StatusCode::NO_CONTENT)
}

async fn resume(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.resume_webhook();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(default, with = "duration_text::optional", rename = "for")]
    duration: Option<Duration>,
}

async fn flush(State(control): State<Control>, Body(Wait { duration }): Body<Wait>) -> Json<WebhookStatus> {
    // The status tells what is left when time has run out.
    let _ = tokio::time::timeout(duration.unwrap_or(WAIT), control.flush_events()).await;
    status(State(control)).await
}

async fn wait(State(control): State<Control>, Body(Wait { duration }): Body<Wait>) -> Json<WebhookStatus> {
    let _ = tokio::time::timeout(duration.unwrap_or(WAIT), control.until_events_sent()).await;
    status(State(control)).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disturbances {
    disturbances: Vec<Disturbance>,
    /// Only for events of this SIM.
    sim: Option<String>,
}

async fn disturb(
    State(control): State<Control>,
    Body(Disturbances { disturbances, sim }): Body<Disturbances>,
) -> Result<StatusCode, Impossible> {
    match sim {
        Some(sim) => control.disturb_events_of(&sim, disturbances)?,
        None => control.disturb_events(disturbances),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn hold(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.hold_events();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Release {
    order: EventOrder,
}

async fn release(State(control): State<Control>, Body(Release { order }): Body<Release>) -> Json<Value> {
    Json(json!({ "released": control.release_events(order) }))
}

async fn clear_disturbances(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.clear_disturbances();
    StatusCode::NO_CONTENT
}

/// Something that nothing at the provider has caused: an event, or bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    event_type: Option<String>,
    body: Option<Value>,
    raw: Option<String>,
}

async fn send(State(control): State<Control>, Body(sent): Body<Sent>) -> Result<Response, Unreadable> {
    match (sent.event_type, sent.body, sent.raw) {
        (Some(event_type), Some(body), None) => {
            let id = control.send_event(&event_type, body);
            Ok(Json(json!({ "event_id": id })).into_response())
        }
        (None, None, Some(raw)) => {
            control.send_raw_event(raw);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Unreadable("either `event_type` and `body`, or `raw`".to_owned())),
    }
}

async fn deliveries(State(control): State<Control>) -> Json<Vec<Delivery>> {
    Json(control.deliveries())
}

async fn clear_deliveries(State(control): State<Control>, _: Body<Empty>) -> StatusCode {
    control.clear_deliveries();
    StatusCode::NO_CONTENT
}
