//! `/api/v1/cluster`: this node's view of the cluster.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::headers;
use super::openapi::problems::OwnView;
use super::peers::Introduction;
use super::problem::Problem;
use super::query::Params;
use crate::consensus::{Consensus, Status};
use crate::service::FarmService;

/// `GET /api/v1/cluster`.
#[utoipa::path(
    get,
    path = "/api/v1/cluster",
    tag = "cluster",
    summary = "The node's own view of the cluster",
    responses((status = 200, description = "The view", body = Status), OwnView)
)]
pub async fn status<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let status = service.status();
    Ok(([(headers::INDEX, status.applied_index)], Json(status)).into_response())
}

/// `GET /api/v1/cluster/introduction`: who this node is, for the leader of a cluster that is to
/// take it in. Open to anybody: a node that joins has no tokens to judge the leader's by.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/introduction",
    tag = "cluster",
    summary = "Who the node is, for a cluster that is to take it in; open to anybody",
    responses((status = 200, description = "The introduction", body = Introduction), OwnView)
)]
pub async fn introduction<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    Ok(Json(Introduction::of(service.status())).into_response())
}
