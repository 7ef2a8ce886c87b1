//! The part of the HTTP control API that is about connectivity transactions.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    control::{
        body::Body,
        endpoint::{Endpoint, get, post},
        handle::Control,
        operations::TransactionView,
    },
    duration_text,
    world::{impossible::Impossible, settings::operations::Outcome},
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post(
            "/sims/{sim}/outcomes",
            r#"{"outcome": "finish|fail|reject|hang", "delay": "5s"}"#,
            "how its next operation goes",
            decide,
        ),
        get(
            "/transactions",
            "?sim=",
            "connectivity transactions, oldest first",
            transactions,
        ),
        post(
            "/transactions/{id}",
            r#"{"outcome": "finish|fail"}"#,
            "ends one that is pending",
            end,
        ),
    ]
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
    Body(Decision { outcome, delay }): Body<Decision>,
) -> Result<StatusCode, Impossible> {
    control
        .decide_operation(&key, outcome, delay)
        .map(|()| StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
    Body(End { outcome }): Body<End>,
) -> Result<StatusCode, Impossible> {
    let well = matches!(outcome, Ending::Finish);
    control.end_transaction(id, well).map(|()| StatusCode::NO_CONTENT)
}
