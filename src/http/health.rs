//! `/livez`, `/healthz` and `/readyz`, for whatever watches the process.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::openapi::problems::Readiness;
use super::openapi::schemas;
use super::problem::{Problem, ProblemType};
use crate::consensus::{CAUGHT_UP_GAP, Consensus, Status};
use crate::service::FarmService;
use crate::storage::Stage;

/// `GET /livez`: the process is up and its runtime answers. To be started again does not help a
/// node that says so, however unready it is.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "watching",
    summary = "Whether the process is alive",
    responses((status = 200, description = "It is", body = schemas::Health))
)]
pub async fn live() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// `GET /healthz`, as others call it.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "watching",
    summary = "Whether the process is alive",
    responses((status = 200, description = "It is", body = schemas::Health))
)]
pub async fn healthy() -> Response {
    live().await
}

/// `GET /readyz`: the node knows a leader and is caught up, and so can serve every request.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "watching",
    summary = "Whether the node can serve every request",
    responses((status = 200, description = "It is ready", body = schemas::Health), Readiness)
)]
pub async fn ready<C: Consensus>(
    State(service): State<FarmService<C>>,
) -> Result<Response, Problem> {
    let status = service.status();
    if let Some(reason) = &status.failure {
        let detail = format!("the node has failed and must be started again: {reason}");
        return Err(Problem::new(ProblemType::NodeFailed, detail));
    }
    match unready_reason(&status) {
        None => Ok(Json(json!({ "status": "ready" })).into_response()),
        Some(reason) => Err(Problem::new(ProblemType::NotReady, reason)),
    }
}

fn unready_reason(status: &Status) -> Option<String> {
    match status.stage {
        Stage::Removed => return Some("this node was removed from its cluster, and stops".into()),
        Stage::Joining => return Some("this node waits to be taken into a cluster".into()),
        Stage::Member => {}
    }
    if status.leader.is_none() {
        return Some(format!("no leader is known in term {}", status.term));
    }
    let gap = status.committed_index.saturating_sub(status.applied_index);
    (gap > CAUGHT_UP_GAP).then(|| {
        format!(
            "the node has applied index {} and so lags {gap} entries behind the committed index \
             {}; at most {CAUGHT_UP_GAP} count as caught up",
            status.applied_index, status.committed_index
        )
    })
}
