//! The way of every read of one object.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::headers;
use super::problem::Problem;
use super::query::Params;
use super::versions;
use super::view::View;
use crate::consensus::Consensus;
use crate::domain::model::Kind;
use crate::domain::state::State;
use crate::service::FarmService;

/// The id in a path, as axum decodes it.
pub type PathId = Result<Path<String>, PathRejection>;

/// The decoded id in the path; one that is not UTF-8 is the id of no object.
pub fn key_of(kind: Kind, id: PathId) -> Result<String, Problem> {
    match id {
        Ok(Path(key)) => Ok(key),
        Err(error) => Err(Problem::not_found(
            kind,
            &format!("like that: {}", error.body_text()),
        )),
    }
}

/// Answers with the object `id` that `find` finds in the state, unless the client has it already.
pub async fn answer<C: Consensus>(
    service: &FarmService<C>,
    kind: Kind,
    id: PathId,
    (uri, request_headers): (&Uri, &HeaderMap),
    find: for<'a> fn(&'a State, &str) -> Option<View<'a>>,
) -> Result<Response, Problem> {
    let params = Params::parse(uri, &["consistency"])?;
    let key = key_of(kind, id)?;
    let state = service.read(params.consistency()?).await?;
    let index = state.applied_index();
    let view = find(&state, &key).ok_or_else(|| Problem::not_found(kind, &key).at(index))?;
    let version = view.version();
    let about = ([(ETAG, versions::tag(version))], [(headers::INDEX, index)]);
    if versions::is_known(request_headers, version) {
        return Ok((StatusCode::NOT_MODIFIED, about.0, about.1).into_response());
    }
    Ok((about.0, about.1, Json(view)).into_response())
}
