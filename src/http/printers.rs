//! `/api/v1/printers`.

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;

use super::fields::Fields;
use super::problem::Problem;
use super::query::Params;
use super::read::PathId;
use super::view::{Collection, View};
use super::{list, read, write};
use crate::consensus::Consensus;
use crate::domain::command::{NewPrinter, Op};
use crate::domain::model::Kind;
use crate::service::FarmService;

/// `POST /api/v1/printers`.
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    write::create(&service, request, "POST /api/v1/printers", read_new).await
}

/// `GET /api/v1/printers`.
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &list::PARAMS)?;
    list::answer(&service, &params, Collection::Printers).await
}

/// `GET /api/v1/printers/{id}`.
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
