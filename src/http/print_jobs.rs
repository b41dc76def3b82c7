//! `/api/v1/print_jobs`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::fields::Fields;
use super::openapi::parameters::{
    Consistency, IdempotencyKey, IfMatch, IfNoneMatch, ObjectId, Page,
};
use super::openapi::problems::{CreatingJob, ListingJobs, Reading, Transition};
use super::openapi::schemas;
use super::problem::{Problem, ProblemType};
use super::query::Params;
use super::read::PathId;
use super::view::{Collection, View};
use super::write::Received;
use super::{list, read, write};
use crate::consensus::Consensus;
use crate::domain::command::{NewJob, Op};
use crate::domain::id::Id;
use crate::domain::model::{JobStatus, Kind, PrintJob};
use crate::domain::state::JobFilter;
use crate::domain::weight::Grams;
use crate::service::FarmService;

/// Which print jobs to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described")]
struct JobFilterParams {
    /// Only jobs of this status
    #[param(nullable = false)]
    status: Option<schemas::StatusName>,
    /// Only jobs on this printer
    #[param(min_length = 1, max_length = 128, nullable = false)]
    printer_id: Option<String>,
    /// Only jobs from this filament
    #[param(min_length = 1, max_length = 128, nullable = false)]
    filament_id: Option<String>,
}

/// Which status a job is to have.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described")]
struct StatusParam {
    /// The status; or it is in the body
    #[param(nullable = false)]
    status: Option<schemas::StatusName>,
}

/// `POST /api/v1/print_jobs`.
#[utoipa::path(
    post,
    path = "/api/v1/print_jobs",
    tag = "print jobs",
    summary = "Add a print job",
    params(IdempotencyKey),
    request_body = schemas::NewPrintJob,
    responses(
        (status = 201, description = "The print job", body = PrintJob, headers(
            ("ETag" = String, description = "Its version"),
            ("Location" = String, description = "Path of the print job"),
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        CreatingJob,
    )
)]
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    write::create(&service, request, "POST /api/v1/print_jobs", read_new).await
}

/// `GET /api/v1/print_jobs`.
#[utoipa::path(
    get,
    path = "/api/v1/print_jobs",
    tag = "print jobs",
    summary = "List print jobs",
    params(Page, Consistency, JobFilterParams),
    responses(
        (status = 200, description = "In the order of their ids: integers first", body = Vec<PrintJob>, headers(
            ("Link" = String, description = "With `rel=\"next\"`: the next page, if there is one"),
        )),
        ListingJobs,
    )
)]
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = [&list::PARAMS[..], &["status", "printer_id", "filament_id"]].concat();
    let params = Params::parse(&uri, &known)?;
    let filter = JobFilter {
        status: params.get("status").map(read_status).transpose()?,
        printer_id: params.get("printer_id").map(Id::from_key).transpose()?,
        filament_id: params.get("filament_id").map(Id::from_key).transpose()?,
    };
    list::answer(&service, &params, Collection::Jobs(filter)).await
}

/// `GET /api/v1/print_jobs/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/print_jobs/{id}",
    tag = "print jobs",
    summary = "Show a print job",
    params(ObjectId, Consistency, IfNoneMatch),
    responses(
        (status = 200, description = "The print job", body = PrintJob, headers(("ETag" = String, description = "Its version"))),
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
        Kind::PrintJob,
        id,
        (&uri, &headers),
        |state, key| state.job(key).map(View::Job),
    )
    .await
}

/// `POST /api/v1/print_jobs/{id}/status`.
#[utoipa::path(
    post,
    path = "/api/v1/print_jobs/{id}/status",
    tag = "print jobs",
    summary = "Start a print job, finish it or cancel it",
    description = "Queued jobs can become Running or Canceled, Running ones Done or Canceled. Done takes the \
        job's grams off its filament. The status is in the query or in the body.",
    params(ObjectId, StatusParam, IdempotencyKey, IfMatch),
    request_body = Option<schemas::StatusChange>,
    responses(
        (status = 200, description = "The print job after the change", body = PrintJob, headers(
            ("ETag" = String, description = "Its version"),
            ("Idempotency-Replayed" = bool, description = "`true` if this is the answer to an earlier request with the same key"),
        )),
        Transition,
    )
)]
pub async fn set_status<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: PathId,
    request: Request,
) -> Result<Response, Problem> {
    let received = Received::receive(request, &["status"]).await?;
    let to = requested_status(received.params.get("status"), received.body())?;
    let job = received.target(Kind::PrintJob, id)?;
    let route = "POST /api/v1/print_jobs/{id}/status";
    let provenance = received.provenance(route, &job.id.key(), || to.name());
    let op = Op::SetJobStatus { job, to };
    write::submit(&service, op, provenance, StatusCode::OK).await
}

fn read_new(mut fields: Fields) -> Result<Op, Problem> {
    let stand_in = Id::from_integer(0)?;
    let new = NewJob {
        id: fields.optional("id"),
        printer_id: fields.required("printer_id", stand_in.clone()),
        filament_id: fields.required("filament_id", stand_in),
        filepath: fields.required("filepath", String::new()),
        print_weight_in_grams: fields.required("print_weight_in_grams", Grams::MAX),
    };
    if let Some(status) = fields.optional_name::<JobStatus>("status")
        && status != JobStatus::Queued
    {
        let queued = JobStatus::Queued;
        let reason = format!("a print job starts as {queued}, never as {status}; leave it out");
        fields.refuse("status", reason);
    }
    fields.finish(new.problems())?;
    Ok(Op::CreateJob(new))
}

/// The status that the query or the body asks for; both may, if they agree.
fn requested_status(query: Option<&str>, body: &[u8]) -> Result<JobStatus, Problem> {
    let of_query = query.map(read_status).transpose()?;
    let of_body = match body.trim_ascii() {
        [] => None,
        body => status_of_body(body)?,
    };
    match (of_query, of_body) {
        (Some(status), None) | (None, Some(status)) => Ok(status),
        (Some(query), Some(body)) if query == body => Ok(query),
        (Some(query), Some(body)) => Err(Problem::new(
            ProblemType::UnknownStatus,
            format!("the query asks for {query} and the body for {body}; send one of them"),
        )),
        (None, None) => Err(Problem::new(
            ProblemType::UnknownStatus,
            "no status is given; send ?status=running or {\"status\": \"running\"}",
        )),
    }
}

/// The `status` in the body of a transition, if there is one.
fn status_of_body(body: &[u8]) -> Result<Option<JobStatus>, Problem> {
    let mut fields = Fields::parse(body)?;
    let status: Option<String> = fields.optional("status");
    fields.finish(Vec::new())?;
    status.as_deref().map(read_status).transpose()
}

/// A status in any letter case, with or without the quotes that the assignment shows.
fn read_status(text: &str) -> Result<JobStatus, Problem> {
    let bare = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    bare.unwrap_or(text)
        .parse()
        .map_err(|error: crate::domain::model::UnknownJobStatus| {
            Problem::new(ProblemType::UnknownStatus, error.to_string())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_people_write_it() {
        for (text, status) in [
            ("running", JobStatus::Running),
            ("RUNNING", JobStatus::Running),
            ("\"running\"", JobStatus::Running),
            ("Done", JobStatus::Done),
            ("canceled", JobStatus::Canceled),
            ("\"Cancelled\"", JobStatus::Canceled),
            ("queued", JobStatus::Queued),
        ] {
            assert_eq!(read_status(text).unwrap(), status, "{text}");
        }
        for text in [
            "",
            "\"",
            "\"\"",
            "\"running",
            "'running'",
            "run",
            "running ",
        ] {
            let problem = read_status(text).unwrap_err();
            assert_eq!(problem.problem_type(), ProblemType::UnknownStatus, "{text}");
        }
    }

    #[test]
    fn query_and_body_must_not_disagree() {
        let status = requested_status;
        assert_eq!(status(Some("done"), b"").unwrap(), JobStatus::Done);
        assert_eq!(status(Some("done"), b" {} ").unwrap(), JobStatus::Done);
        assert_eq!(
            status(None, br#"{"status":"Done"}"#).unwrap(),
            JobStatus::Done
        );
        assert_eq!(
            status(Some("done"), br#"{"status":"DONE"}"#).unwrap(),
            JobStatus::Done
        );
        let types = [
            (status(None, b""), ProblemType::UnknownStatus),
            (status(None, b"{}"), ProblemType::UnknownStatus),
            (
                status(Some("done"), br#"{"status":"running"}"#),
                ProblemType::UnknownStatus,
            ),
            (
                status(None, br#"{"status":"broken"}"#),
                ProblemType::UnknownStatus,
            ),
            (status(None, br#"{"status":1}"#), ProblemType::InvalidFields),
            (
                status(None, br#"{"to":"done"}"#),
                ProblemType::InvalidFields,
            ),
            (status(None, b"done"), ProblemType::MalformedBody),
        ];
        for (result, problem_type) in types {
            assert_eq!(result.unwrap_err().problem_type(), problem_type);
        }
    }
}
