//! `/api/v1/printers`.

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;

use super::fields::Fields;
use super::openapi::parameters::{Consistency, IdempotencyKey, ObjectId, Page};
use super::openapi::problems::{Creating, Listing, Reading};
use super::openapi::schemas;
use super::problem::Problem;
use super::query::Params;
use super::read::PathId;
use super::view::{Collection, View};
use super::{list, read, write};
use crate::consensus::Consensus;
use crate::domain::command::{NewPrinter, Op};
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
    params(ObjectId, Consistency),
    responses((status = 200, description = "The printer", body = Printer), Reading)
)]
pub async fn get<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: PathId,
    uri: Uri,
) -> Result<Response, Problem> {
    read::answer(&service, Kind::Printer, id, &uri, |state, key| {
        state.printer(key).map(View::Printer)
    })
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
