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
        endpoint::{Endpoint, get, post, post_on_sim},
        handle::Control,
        operations::TransactionView,
    },
    duration_text,
    world::{impossible::Impossible, settings::operations::Outcome},
};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post_on_sim(
            "/sims/{sim}/outcomes",
            r#"{"outcome": "finish|fail|reject|hang", "delay": "5s"}"#,
            "how its next operation goes",
            |control, key, Decision { outcome, delay }| {
                control.decide_operation(key, outcome, delay)?;
                Ok(StatusCode::NO_CONTENT)
            },
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
    control.end_transaction(id, matches!(outcome, Ending::Finish))?;
    Ok(StatusCode::NO_CONTENT)
}
