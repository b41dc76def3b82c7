//! `/api/v1/cluster`: this node's view of the cluster.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::headers;
use super::problem::Problem;
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
