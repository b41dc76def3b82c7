//! `/api/v1/printers`.

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
use super::view::{Collection, View};
use super::{list, read, write};
use crate::consensus::Consensus;
use crate::domain::command::{NewPrinter, Op, PrinterChange, Target};
use crate::domain::model::{Kind, Printer};
use crate::service::FarmService;

/// `POST /api/v1/printers`.
#[utoipa::path(
    post,
    path = "/api/v1/printers",
    tag = "printers",
    summary = "Add a printer",
    params(IdempotencyKey),
    request_body = schemas::NewPrinter,
    responses(
        (status = 201, description = "The printer", body = Printer, headers(
            ("ETag" = String, description = "Its version"),
            ("Location" = String, description = "Path of the printer"),
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        Creating,
    )
)]
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    write::create(&service, request, "POST /api/v1/printers", read_new).await
}

/// `GET /api/v1/printers`.
#[utoipa::path(
    get,
    path = "/api/v1/printers",
    tag = "printers",
    summary = "List printers",
    params(Page, Consistency),
    responses(
        (status = 200, description = "In the order of their ids: integers first", body = Vec<Printer>, headers(
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
    list::answer(&service, &params, Collection::Printers).await
}

/// `GET /api/v1/printers/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/printers/{id}",
    tag = "printers",
    summary = "Show a printer",
    params(ObjectId, Consistency, IfNoneMatch),
    responses(
        (status = 200, description = "The printer", body = Printer, headers(("ETag" = String, description = "Its version"))),
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
        Kind::Printer,
        id,
        (&uri, &headers),
        |state, key| state.printer(key).map(View::Printer),
    )
    .await
}

/// `PATCH /api/v1/printers/{id}`.
#[utoipa::path(
    patch,
    path = "/api/v1/printers/{id}",
    tag = "printers",
    summary = "Change a printer that no unfinished print job uses",
    description = "A merge patch (RFC 7396): members that are left out stay as they are, and none can be removed.",
    params(ObjectId, IdempotencyKey, IfMatch),
    request_body(content(
        (schemas::PrinterPatch = "application/merge-patch+json"),
        (schemas::PrinterPatch = "application/json"),
    )),
    responses(
        (status = 200, description = "The printer after the change", body = Printer, headers(
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
    let route = "PATCH /api/v1/printers/{id}";
    write::update(&service, (Kind::Printer, id), request, route, read_change).await
}

/// `DELETE /api/v1/printers/{id}`.
#[utoipa::path(
    delete,
    path = "/api/v1/printers/{id}",
    tag = "printers",
    summary = "Delete a printer that no unfinished print job uses",
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
    let route = "DELETE /api/v1/printers/{id}";
    write::delete(
        &service,
        (Kind::Printer, id),
        request,
        route,
        Op::DeletePrinter,
    )
    .await
}

fn read_new(mut fields: Fields) -> Result<Op, Problem> {
    let new = NewPrinter {
        id: fields.optional("id"),
        company: fields.required("company", String::new()),
        model: fields.required("model", String::new()),
    };
    fields.finish(new.problems())?;
    Ok(Op::CreatePrinter(new))
}

fn read_change(target: Target, mut fields: Fields) -> Result<Op, Problem> {
    let change = PrinterChange {
        target,
        company: fields.optional("company"),
        model: fields.optional("model"),
    };
    fields.finish(change.problems())?;
    Ok(Op::UpdatePrinter(change))
}
