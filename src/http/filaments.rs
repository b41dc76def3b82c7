//! `/api/v1/filaments`.

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
use crate::domain::command::{NewFilament, Op};
use crate::domain::model::{FilamentType, Kind};
use crate::domain::weight::Grams;
use crate::service::FarmService;

/// `POST /api/v1/filaments`.
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    write::create(&service, request, "POST /api/v1/filaments", read_new).await
}

/// `GET /api/v1/filaments`.
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &list::PARAMS)?;
    list::answer(&service, &params, Collection::Filaments).await
}

/// `GET /api/v1/filaments/{id}`.
pub async fn get<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: PathId,
    uri: Uri,
) -> Result<Response, Problem> {
    read::answer(&service, Kind::Filament, id, &uri, |state, key| {
        let filament = state.filament(key)?;
        Some(View::filament(state, filament))
    })
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
