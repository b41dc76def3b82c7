//! `GET /api/v1/cluster/backup`.

use std::time::SystemTime;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::access::Pass;
use super::download::Downloads;
use super::headers;
use super::openapi::parameters;
use super::openapi::problems::BackingUp;
use super::problem::Problem;
use super::query::Params;
use crate::backup;
use crate::consensus::Consensus;
use crate::service::FarmService;

/// Streams a backup of the state, linearizable unless `?consistency=eventual` asks for this node's own.
/// The state is an O(1) clone: commands go on being applied meanwhile.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/backup",
    tag = "cluster",
    summary = "Download a backup of the state, while commands go on being applied",
    params(parameters::Consistency),
    responses(
        (status = 200, description = "For `raft3d restore`", content_type = "application/octet-stream", body = String),
        BackingUp,
    )
)]
pub async fn stream<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(downloads): State<Downloads>,
    Extension(pass): Extension<Pass>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &["consistency"])?;
    let place = downloads.enter()?;
    let state = service.read(params.consistency()?).await?;
    let index = state.applied_index();
    let taken_at = SystemTime::now().into();
    let body = place.stream(pass.check_in(service), move |sink| {
        backup::format::write(&state, taken_at, sink)
    });
    Ok(([(headers::INDEX, index)], body).into_response())
}
