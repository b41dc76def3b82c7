//! Everything the API refuses, as `application/problem+json` (RFC 9457). The one place that turns
//! an error into an answer.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers;
use crate::domain::command::FieldProblem;
use crate::domain::id::IdError;
use crate::domain::outcome::Refusal;
use crate::service::{ReadError, SubmitError};

/// Most fields that one problem names; a body may break rules without end.
const ERRORS_MAX: usize = 100;

/// What kind of thing went wrong; the `type` member tells it apart for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// The body is not JSON, or was not received whole.
    MalformedBody,
    /// A query parameter is unknown, repeated or has a value it cannot have.
    InvalidParameter,
    /// A header has a value it cannot have.
    InvalidHeader,
    /// A text that should name a job status does not, or there is none.
    UnknownStatus,
    /// No route has the path.
    NoSuchEndpoint,
    /// No object has the id.
    NotFound,
    /// The route does not take the method.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTimeout,
    /// Another object has the id, or no id is left to assign.
    IdTaken,
    /// The job may not go from its status to that one.
    ForbiddenTransition,
    /// No snapshot was started.
    NoSnapshot,
    /// The body is above the limit.
    BodyTooLarge,
    /// Fields of a body break a rule.
    InvalidFields,
    /// The job's printer does not exist.
    UnknownPrinter,
    /// The job's filament does not exist.
    UnknownFilament,
    /// The job needs more than is available.
    NotEnoughFilament,
    /// The idempotency key belongs to another request.
    IdempotencyKeyReused,
    /// No leader, or no quorum behind it; nothing was written.
    NoQuorum,
    /// The write may have been carried out.
    OutcomeUnknown,
    /// The node has too much to do.
    Overloaded,
    /// The node is not ready for requests.
    NotReady,
    /// The node is stopping.
    ShuttingDown,
    /// The node's own fault.
    Internal,
}

impl ProblemType {
    /// Last segment of the `type` URI, title, status.
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            ProblemType::MalformedBody => (
                "malformed-body",
                "The body cannot be read as JSON",
                StatusCode::BAD_REQUEST,
            ),
            ProblemType::InvalidParameter => (
                "invalid-parameter",
                "A query parameter is invalid",
                StatusCode::BAD_REQUEST,
            ),
            ProblemType::InvalidHeader => (
                "invalid-header",
                "A header is invalid",
                StatusCode::BAD_REQUEST,
            ),
            ProblemType::UnknownStatus => (
                "unknown-status",
                "No such job status",
                StatusCode::BAD_REQUEST,
            ),
            ProblemType::NoSuchEndpoint => (
                "no-such-endpoint",
                "No such endpoint",
                StatusCode::NOT_FOUND,
            ),
            ProblemType::NotFound => ("not-found", "No such object", StatusCode::NOT_FOUND),
            ProblemType::MethodNotAllowed => (
                "method-not-allowed",
                "The endpoint does not take this method",
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            ProblemType::BodyTimeout => (
                "body-timeout",
                "The body did not come in time",
                StatusCode::REQUEST_TIMEOUT,
            ),
            ProblemType::IdTaken => ("id-taken", "The id is taken", StatusCode::CONFLICT),
            ProblemType::ForbiddenTransition => (
                "forbidden-transition",
                "The job cannot change to that status",
                StatusCode::CONFLICT,
            ),
            ProblemType::NoSnapshot => (
                "no-snapshot",
                "No snapshot was started",
                StatusCode::CONFLICT,
            ),
            ProblemType::BodyTooLarge => (
                "body-too-large",
                "The body is too large",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            ProblemType::InvalidFields => (
                "invalid-fields",
                "A rule is broken",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ProblemType::UnknownPrinter => (
                "unknown-printer",
                "No such printer",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ProblemType::UnknownFilament => (
                "unknown-filament",
                "No such filament",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ProblemType::NotEnoughFilament => (
                "not-enough-filament",
                "Not enough filament is available",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ProblemType::IdempotencyKeyReused => (
                "idempotency-key-reused",
                "The idempotency key belongs to another request",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ProblemType::NoQuorum => (
                "no-quorum",
                "The cluster has no quorum",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            ProblemType::OutcomeUnknown => (
                "outcome-unknown",
                "The outcome of the write is unknown",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            ProblemType::Overloaded => (
                "overloaded",
                "The node is overloaded",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            ProblemType::NotReady => (
                "not-ready",
                "The node is not ready",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            ProblemType::ShuttingDown => (
                "shutting-down",
                "The node is shutting down",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
            ProblemType::Internal => (
                "internal",
                "The node failed",
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
        }
    }

    /// The HTTP status of such problems.
    pub fn status(self) -> StatusCode {
        self.parts().2
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    problem_type: ProblemType,
    detail: String,
    errors: Vec<FieldProblem>,
    index: Option<u64>,
}

/// A problem as a JSON document.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
}

#[derive(Serialize)]
struct FieldError<'a> {
    pointer: &'a str,
    detail: &'a str,
}

impl Problem {
    /// A problem; `detail` says what was wrong, with which value, and what to do.
    pub fn new(problem_type: ProblemType, detail: impl Into<String>) -> Problem {
        Problem {
            problem_type,
            detail: detail.into(),
            errors: Vec::new(),
            index: None,
        }
    }

    /// No object of that kind has the id `key`.
    pub fn not_found(kind: crate::domain::model::Kind, key: &str) -> Problem {
        Problem::new(ProblemType::NotFound, format!("there is no {kind} {key}"))
    }

    /// Fields of a body break rules.
    pub fn invalid_fields(errors: Vec<FieldProblem>) -> Problem {
        let detail = match &errors[..] {
            [only] => format!("{} {}", or_body(&only.pointer), only.problem),
            _ => format!("{} fields break a rule", errors.len()),
        };
        Problem {
            errors,
            ..Problem::new(ProblemType::InvalidFields, detail)
        }
    }

    /// The problem, with the one field it comes from.
    fn of_field(self, pointer: &str) -> Problem {
        let error = FieldProblem {
            pointer: pointer.to_owned(),
            problem: self.detail.clone(),
        };
        Problem {
            errors: vec![error],
            ..self
        }
    }

    /// The problem, as seen in the state at log index `index`.
    pub fn at(self, index: u64) -> Problem {
        Problem {
            index: Some(index),
            ..self
        }
    }

    /// What kind of problem it is.
    pub fn problem_type(&self) -> ProblemType {
        self.problem_type
    }

    /// What was wrong in this case.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are to blame.
    pub fn errors(&self) -> &[FieldProblem] {
        &self.errors
    }
}

fn or_body(pointer: &str) -> &str {
    if pointer.is_empty() {
        "the body"
    } else {
        pointer
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (name, title, status) = self.problem_type.parts();
        let errors = self.errors.iter().take(ERRORS_MAX);
        let document = Document {
            r#type: format!("/problems/{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            errors: errors
                .map(|error| FieldError {
                    pointer: &error.pointer,
                    detail: &error.problem,
                })
                .collect(),
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, content_type);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(index) = self.index {
            headers.insert(headers::INDEX, index.into());
        }
        response
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Problem {
        match error {
            SubmitError::NoQuorum(_) => Problem::new(
                ProblemType::NoQuorum,
                format!("{error}; nothing was written, try again"),
            ),
            SubmitError::OutcomeUnknown(_) => Problem::new(
                ProblemType::OutcomeUnknown,
                format!(
                    "{error}; the write may have been applied or may be yet: repeat it with the \
                     same Idempotency-Key, or look before you repeat it without one"
                ),
            ),
            SubmitError::Overloaded => Problem::new(
                ProblemType::Overloaded,
                format!("{error}; nothing was written, try again or ask another node"),
            ),
            SubmitError::ShuttingDown => Problem::new(
                ProblemType::ShuttingDown,
                format!("{error}; nothing was written, ask another node"),
            ),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Problem {
        let problem_type = match error {
            ReadError::NoQuorum(_) => ProblemType::NoQuorum,
            ReadError::Behind { .. } => ProblemType::NotReady,
            ReadError::Overloaded => ProblemType::Overloaded,
            ReadError::ShuttingDown => ProblemType::ShuttingDown,
        };
        let detail =
            format!("{error}; ?consistency=eventual answers from this node's own state at once");
        Problem::new(problem_type, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let (problem_type, pointer) = match &refusal {
            Refusal::IdTaken { .. } => (ProblemType::IdTaken, Some("/id")),
            Refusal::IdsExhausted { .. } => (ProblemType::IdTaken, Some("/id")),
            Refusal::UnknownPrinter { .. } => (ProblemType::UnknownPrinter, Some("/printer_id")),
            Refusal::UnknownFilament { .. } => (ProblemType::UnknownFilament, Some("/filament_id")),
            Refusal::NotEnoughFilament { .. } => (
                ProblemType::NotEnoughFilament,
                Some("/print_weight_in_grams"),
            ),
            Refusal::JobNotFound { .. } => (ProblemType::NotFound, None),
            Refusal::ForbiddenTransition { .. } => (ProblemType::ForbiddenTransition, None),
            Refusal::InvalidField { pointer, problem } => {
                return Problem::invalid_fields(vec![FieldProblem {
                    pointer: pointer.clone(),
                    problem: problem.clone(),
                }]);
            }
            Refusal::IdempotencyKeyReused { .. } => (ProblemType::IdempotencyKeyReused, None),
            Refusal::InvalidIdempotencyKey { .. } => (ProblemType::InvalidHeader, None),
            Refusal::MalformedCommand { .. } | Refusal::AlreadyApplied { .. } => {
                (ProblemType::Internal, None)
            }
        };
        let problem = Problem::new(problem_type, refusal.to_string());
        match pointer {
            Some(pointer) => problem.of_field(pointer),
            None => problem,
        }
    }
}

/// An id that cannot be: in a path or a query it names nothing.
impl From<IdError> for Problem {
    fn from(error: IdError) -> Problem {
        Problem::new(ProblemType::InvalidParameter, error.to_string())
    }
}
