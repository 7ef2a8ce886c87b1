//! The part of the HTTP control API that is about events.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, Impossible};
use crate::sandbox::{
    duration_text,
    webhooks::{Delivery, Disturbance, EventOrder, Webhook, WebhookStatus},
};

/// How long a call waits for the queue when it does not say.
const WAIT: Duration = Duration::from_secs(10);

pub(super) fn router() -> Router<Control> {
    Router::new()
        .route("/webhook", get(status).post(set).delete(unset))
        .route("/webhook/resume", post(resume))
        .route("/webhook/hold", post(hold))
        .route("/webhook/release", post(release))
        .route("/webhook/flush", post(flush))
        .route("/webhook/wait", post(wait))
        .route("/webhook/disturbances", post(disturb).delete(clear_disturbances))
        .route("/webhook/events", post(send))
        .route("/webhook/deliveries", get(deliveries).delete(clear_deliveries))
}

async fn status(State(control): State<Control>) -> Json<WebhookStatus> {
    Json(control.webhook_status())
}

async fn set(
    State(control): State<Control>,
    Json(webhook): Json<Webhook>,
) -> Result<Json<WebhookStatus>, Impossible> {
    control.set_webhook(Some(webhook))?;
    Ok(status(State(control)).await)
}

async fn unset(State(control): State<Control>) -> Result<StatusCode, Impossible> {
    control.set_webhook(None).map(|()| StatusCode::NO_CONTENT)
}

async fn resume(State(control): State<Control>) -> StatusCode {
    control.resume_webhook();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(default, with = "duration_text::optional", rename = "for")]
    duration: Option<Duration>,
}

async fn flush(State(control): State<Control>, Json(Wait { duration }): Json<Wait>) -> Json<WebhookStatus> {
    // The status tells what is left when time has run out.
    let _ = tokio::time::timeout(duration.unwrap_or(WAIT), control.flush_events()).await;
    status(State(control)).await
}

async fn wait(State(control): State<Control>, Json(Wait { duration }): Json<Wait>) -> Json<WebhookStatus> {
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
    Json(Disturbances { disturbances, sim }): Json<Disturbances>,
) -> Result<StatusCode, Impossible> {
    match sim {
        Some(sim) => control.disturb_events_of(&sim, disturbances)?,
        None => control.disturb_events(disturbances),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn hold(State(control): State<Control>) -> StatusCode {
    control.hold_events();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Release {
    order: EventOrder,
}

async fn release(State(control): State<Control>, Json(Release { order }): Json<Release>) -> Json<Value> {
    Json(json!({ "released": control.release_events(order) }))
}

async fn clear_disturbances(State(control): State<Control>) -> StatusCode {
    control.clear_disturbances();
    StatusCode::NO_CONTENT
}

/// Something that nothing at the provider has caused.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sent {
    Event { event_type: String, body: Value },
    Raw { raw: String },
}

async fn send(State(control): State<Control>, Json(sent): Json<Sent>) -> Response {
    match sent {
        Sent::Event { event_type, body } => {
            Json(json!({ "event_id": control.send_event(&event_type, body) })).into_response()
        }
        Sent::Raw { raw } => {
            control.send_raw_event(raw);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn deliveries(State(control): State<Control>) -> Json<Vec<Delivery>> {
    Json(control.deliveries())
}

async fn clear_deliveries(State(control): State<Control>) -> StatusCode {
    control.clear_deliveries();
    StatusCode::NO_CONTENT
}
