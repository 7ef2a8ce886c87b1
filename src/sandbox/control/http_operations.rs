//! The part of the HTTP control API that is about connectivity transactions.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Control, Impossible, TransactionView};
use crate::sandbox::{duration_text, operations::Outcome};

pub(super) fn router() -> Router<Control> {
    Router::new()
        .route("/sims/{sim}/outcomes", post(decide))
        .route("/transactions", get(transactions))
        .route("/transactions/{id}", post(end))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    outcome: Outcome,
    #[serde(default, with = "duration_text::optional")]
    delay: Option<Duration>,
}

async fn decide(
    State(control): State<Control>,
    Path(key): Path<String>,
    Json(Decision { outcome, delay }): Json<Decision>,
) -> Result<StatusCode, Impossible> {
    control
        .decide_operation(&key, outcome, delay)
        .map(|()| StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct Of {
    sim: Option<String>,
}

async fn transactions(
    State(control): State<Control>,
    Query(Of { sim }): Query<Of>,
) -> Result<Json<Vec<TransactionView>>, Impossible> {
    control.transactions(sim.as_deref()).map(Json)
}

/// How a transaction can be ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Finish,
    Fail,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    outcome: Ending,
}

async fn end(
    State(control): State<Control>,
    Path(id): Path<Uuid>,
    Json(End { outcome }): Json<End>,
) -> Result<StatusCode, Impossible> {
    let well = matches!(outcome, Ending::Finish);
    control.end_transaction(id, well).map(|()| StatusCode::NO_CONTENT)
}
