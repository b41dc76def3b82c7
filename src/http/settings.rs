//! `/api/v1/cluster/settings` and `/api/v1/cluster/hash`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::blocking::off_the_runtime;
use super::fields::Fields;
use super::headers;
use super::openapi::problems::{Hashing, Listing, Setting};
use super::openapi::{parameters, schemas};
use super::problem::Problem;
use super::query::Params;
use super::write::{self, Received};
use crate::consensus::Consensus;
use crate::domain::command::Op;
use crate::domain::settings::{EVENT_RETENTION_DEFAULT, Settings};
use crate::hex::hex;
use crate::service::FarmService;

/// `GET /api/v1/cluster/settings`.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/settings",
    tag = "cluster",
    summary = "What the cluster as a whole is told",
    params(parameters::Consistency),
    responses((status = 200, description = "The settings", body = schemas::Settings), Listing)
)]
pub async fn get<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &["consistency"])?;
    let state = service.read(params.consistency()?).await?;
    let index = [(headers::INDEX, state.applied_index())];
    Ok((index, Json(state.settings())).into_response())
}

/// `PUT /api/v1/cluster/settings` `{event_retention}`: replaces all of them.
#[utoipa::path(
    put,
    path = "/api/v1/cluster/settings",
    tag = "cluster",
    summary = "Replace the settings",
    params(parameters::IdempotencyKey),
    request_body = schemas::Settings,
    responses(
        (status = 200, description = "The settings", body = schemas::Settings, headers(
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        Setting,
    )
)]
pub async fn put<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let received = Received::receive(request, &[]).await?;
    let mut fields = Fields::parse(received.body())?;
    let route = "PUT /api/v1/cluster/settings";
    let provenance = received.provenance(route, "", || fields.canonical());
    let settings = Settings {
        event_retention: fields.required("event_retention", EVENT_RETENTION_DEFAULT),
    };
    fields.finish(settings.problems())?;
    let op = Op::ChangeSettings(settings);
    write::submit(&service, op, provenance, StatusCode::OK).await
}

/// `GET /api/v1/cluster/hash`: the hash of the farm, and the log index it is of. Equal farms have
/// equal hashes, whatever became of the log.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/hash",
    tag = "cluster",
    summary = "The hash of the farm, and the log index that it is of",
    params(parameters::Consistency),
    responses((status = 200, description = "The hash", body = schemas::FarmHash), Hashing)
)]
pub async fn hash<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &["consistency"])?;
    let state = service.read(params.consistency()?).await?;
    let index = state.applied_index();
    let cluster_id = state.roster().cluster();
    let farm_hash = off_the_runtime(move || hex(&state.farm_hash())).await?;
    let body = json!({ "index": index, "cluster_id": cluster_id, "farm_hash": farm_hash });
    Ok(([(headers::INDEX, index)], Json(body)).into_response())
}
