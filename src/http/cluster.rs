//! `/api/v1/cluster`: this node's view of the cluster.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::headers;
use super::problem::{Problem, ProblemType};
use super::query::Params;
use crate::consensus::Consensus;
use crate::service::FarmService;

/// `GET /api/v1/cluster`.
pub async fn status<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let status = service.status();
    Ok(([(headers::INDEX, status.applied_index)], Json(status)).into_response())
}

/// `POST /api/v1/cluster/snapshots`: a snapshot of this node's applied state.
pub async fn create_snapshot<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let index = service.create_snapshot().ok_or_else(|| {
        let detail = "a snapshot is under way already, or the last one is up to date; see \
                      snapshot_index in GET /api/v1/cluster";
        Problem::new(ProblemType::NoSnapshot, detail)
    })?;
    let answer = (
        StatusCode::CREATED,
        [(headers::INDEX, index)],
        Json(json!({ "index": index })),
    );
    Ok(answer.into_response())
}
