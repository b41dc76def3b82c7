//! `/api/v1/filaments`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::fields::Fields;
use super::openapi::parameters::{
    Consistency, IdempotencyKey, IfMatch, IfNoneMatch, ObjectId, Page,
};
use super::openapi::problems::{Changing, Creating, Listing, Reading};
use super::openapi::schemas;
use super::problem::Problem;
use super::query::Params;
use super::read::PathId;
use super::view::{Collection, FilamentView, View};
use super::{list, read, write};
use crate::consensus::Consensus;
use crate::domain::command::{FilamentChange, NewFilament, Op, Target};
use crate::domain::model::{FilamentType, Kind};
use crate::domain::weight::Grams;
use crate::service::FarmService;

/// `POST /api/v1/filaments`.
#[utoipa::path(
    post,
    path = "/api/v1/filaments",
    tag = "filaments",
    summary = "Add a filament",
    params(IdempotencyKey),
    request_body = schemas::NewFilament,
    responses(
        (status = 201, description = "The filament", body = FilamentView, headers(
            ("ETag" = String, description = "Its version"),
            ("Location" = String, description = "Path of the filament"),
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        Creating,
    )
)]
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    write::create(&service, request, "POST /api/v1/filaments", read_new).await
}

/// `GET /api/v1/filaments`.
#[utoipa::path(
    get,
    path = "/api/v1/filaments",
    tag = "filaments",
    summary = "List filaments",
    params(Page, Consistency),
    responses(
        (status = 200, description = "In the order of their ids: integers first", body = Vec<FilamentView>, headers(
            ("Link" = String, description = "With `rel=\"next\"`: the next page, if there is one"),
        )),
        Listing,
    )
)]
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &list::PARAMS)?;
    list::answer(&service, &params, Collection::Filaments).await
}

/// `GET /api/v1/filaments/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/filaments/{id}",
    tag = "filaments",
    summary = "Show a filament",
    params(ObjectId, Consistency, IfNoneMatch),
    responses(
        (status = 200, description = "The filament", body = FilamentView, headers(("ETag" = String, description = "Its version"))),
        (status = 304, description = "It is of a version that `If-None-Match` names", headers(("ETag" = String, description = "Its version"))),
        Reading,
    )
)]
pub async fn get<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: PathId,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    read::answer(
        &service,
        Kind::Filament,
        id,
        (&uri, &headers),
        |state, key| {
            let filament = state.filament(key)?;
            Some(View::filament(state, filament))
        },
    )
    .await
}

/// `PATCH /api/v1/filaments/{id}`.
#[utoipa::path(
    patch,
    path = "/api/v1/filaments/{id}",
    tag = "filaments",
    summary = "Change a filament that no unfinished print job uses",
    description = "A merge patch (RFC 7396): members that are left out stay as they are, and none can be removed.",
    params(ObjectId, IdempotencyKey, IfMatch),
    request_body(content(
        (schemas::FilamentPatch = "application/merge-patch+json"),
        (schemas::FilamentPatch = "application/json"),
    )),
    responses(
        (status = 200, description = "The filament after the change", body = FilamentView, headers(
            ("ETag" = String, description = "Its version"),
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        Changing,
    )
)]
pub async fn update<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: PathId,
    request: Request,
) -> Result<Response, Problem> {
    let route = "PATCH /api/v1/filaments/{id}";
    write::update(&service, (Kind::Filament, id), request, route, read_change).await
}

/// `DELETE /api/v1/filaments/{id}`.
#[utoipa::path(
    delete,
    path = "/api/v1/filaments/{id}",
    tag = "filaments",
    summary = "Delete a filament that no unfinished print job uses",
    description = "Finished print jobs go on naming it. Its id is not assigned again.",
    params(ObjectId, IdempotencyKey, IfMatch),
    responses(
        (status = 200, description = "It is gone", body = schemas::Deleted, headers(
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        Changing,
    )
)]
pub async fn delete<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: PathId,
    request: Request,
) -> Result<Response, Problem> {
    let route = "DELETE /api/v1/filaments/{id}";
    write::delete(
        &service,
        (Kind::Filament, id),
        request,
        route,
        Op::DeleteFilament,
    )
    .await
}

fn read_new(mut fields: Fields) -> Result<Op, Problem> {
    let new = NewFilament {
        id: fields.optional("id"),
        filament_type: fields.required_name("type", FilamentType::Pla),
        color: fields.required("color", String::new()),
        total_weight_in_grams: fields.required("total_weight_in_grams", Grams::MAX),
        remaining_weight_in_grams: fields.optional("remaining_weight_in_grams"),
    };
    fields.finish(new.problems())?;
    Ok(Op::CreateFilament(new))
}

fn read_change(target: Target, mut fields: Fields) -> Result<Op, Problem> {
    let change = FilamentChange {
        target,
        filament_type: fields.optional_name("type"),
        color: fields.optional("color"),
        total_weight_in_grams: fields.optional("total_weight_in_grams"),
        remaining_weight_in_grams: fields.optional("remaining_weight_in_grams"),
    };
    fields.finish(change.problems())?;
    Ok(Op::UpdateFilament(change))
}
