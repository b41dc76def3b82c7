//! Everything the API refuses, as `application/problem+json` (RFC 9457). The one place that turns
//! an error into an answer.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::headers;
use crate::domain::command::FieldProblem;
use crate::domain::id::IdError;
use crate::domain::model::Kind;
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
    /// A token is needed, and none or an invalid one was shown.
    Unauthenticated,
    /// The token's role may not do that.
    Forbidden,
    /// The address has shown too many invalid tokens.
    TooManyFailures,
    /// Another token has the name.
    NameTaken,
    /// There can be no more tokens.
    TooManyTokens,
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
    /// The node is not the one that the cluster knows by that id, or is of another cluster.
    OtherNode,
    /// A member's program is too old for this.
    UpgradeNotFinished,
    /// The job may not go from its status to that one.
    ForbiddenTransition,
    /// Unfinished jobs use the object.
    InUse,
    /// The object is of another version than `If-Match` asks for.
    PreconditionFailed,
    /// No member has the id.
    UnknownMember,
    /// Another member has the id or the address.
    MemberExists,
    /// The members are being changed already.
    ChangeInProgress,
    /// The change would leave too few voters that answer.
    WouldLoseQuorum,
    /// The member does not answer or is behind.
    NotCaughtUp,
    /// No node introduces itself at the address.
    NodeUnreachable,
    /// No snapshot was started.
    NoSnapshot,
    /// Events behind the position are not kept any more.
    PositionGone,
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
    /// The node has no part in the cluster any more.
    NodeFailed,
    /// The node's own fault.
    Internal,
}

impl ProblemType {
    /// The `type` member: what programs tell problems apart by.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.name())
    }

    /// Last segment of the URI.
    fn name(self) -> &'static str {
        match self {
            ProblemType::MalformedBody => "malformed-body",
            ProblemType::InvalidParameter => "invalid-parameter",
            ProblemType::InvalidHeader => "invalid-header",
            ProblemType::UnknownStatus => "unknown-status",
            ProblemType::Unauthenticated => "unauthenticated",
            ProblemType::Forbidden => "forbidden",
            ProblemType::TooManyFailures => "too-many-failures",
            ProblemType::NameTaken => "name-taken",
            ProblemType::TooManyTokens => "too-many-tokens",
            ProblemType::NoSuchEndpoint => "no-such-endpoint",
            ProblemType::NotFound => "not-found",
            ProblemType::MethodNotAllowed => "method-not-allowed",
            ProblemType::BodyTimeout => "body-timeout",
            ProblemType::IdTaken => "id-taken",
            ProblemType::OtherNode => "other-node",
            ProblemType::UpgradeNotFinished => "upgrade-not-finished",
            ProblemType::ForbiddenTransition => "forbidden-transition",
            ProblemType::InUse => "in-use",
            ProblemType::PreconditionFailed => "precondition-failed",
            ProblemType::UnknownMember => "unknown-member",
            ProblemType::MemberExists => "member-exists",
            ProblemType::ChangeInProgress => "change-in-progress",
            ProblemType::WouldLoseQuorum => "would-lose-quorum",
            ProblemType::NotCaughtUp => "not-caught-up",
            ProblemType::NodeUnreachable => "node-unreachable",
            ProblemType::NoSnapshot => "no-snapshot",
            ProblemType::PositionGone => "position-gone",
            ProblemType::BodyTooLarge => "body-too-large",
            ProblemType::InvalidFields => "invalid-fields",
            ProblemType::UnknownPrinter => "unknown-printer",
            ProblemType::UnknownFilament => "unknown-filament",
            ProblemType::NotEnoughFilament => "not-enough-filament",
            ProblemType::IdempotencyKeyReused => "idempotency-key-reused",
            ProblemType::NoQuorum => "no-quorum",
            ProblemType::OutcomeUnknown => "outcome-unknown",
            ProblemType::Overloaded => "overloaded",
            ProblemType::NotReady => "not-ready",
            ProblemType::ShuttingDown => "shutting-down",
            ProblemType::NodeFailed => "node-failed",
            ProblemType::Internal => "internal",
        }
    }

    /// The same for all problems of the type.
    pub fn title(self) -> &'static str {
        match self {
            ProblemType::MalformedBody => "The body cannot be read as JSON",
            ProblemType::InvalidParameter => "A query parameter is invalid",
            ProblemType::InvalidHeader => "A header is invalid",
            ProblemType::UnknownStatus => "No such job status",
            ProblemType::Unauthenticated => "A valid token is needed",
            ProblemType::Forbidden => "The token's role is not enough",
            ProblemType::TooManyFailures => "Too many invalid tokens",
            ProblemType::NameTaken => "The name is taken",
            ProblemType::TooManyTokens => "There are too many tokens",
            ProblemType::NoSuchEndpoint => "No such endpoint",
            ProblemType::NotFound => "No such object",
            ProblemType::MethodNotAllowed => "The endpoint does not take this method",
            ProblemType::BodyTimeout => "The body did not come in time",
            ProblemType::IdTaken => "The id is taken",
            ProblemType::OtherNode => "The node is another one",
            ProblemType::UpgradeNotFinished => "A node runs too old a program",
            ProblemType::ForbiddenTransition => "The job cannot change to that status",
            ProblemType::InUse => "Unfinished print jobs use the object",
            ProblemType::PreconditionFailed => "The object has changed",
            ProblemType::UnknownMember => "No such member",
            ProblemType::MemberExists => "The id or the address is taken",
            ProblemType::ChangeInProgress => "The members are being changed already",
            ProblemType::WouldLoseQuorum => "The cluster would lose its quorum",
            ProblemType::NotCaughtUp => "The node is not caught up",
            ProblemType::NodeUnreachable => "The node is not reached",
            ProblemType::NoSnapshot => "No snapshot was started",
            ProblemType::PositionGone => "The position is gone",
            ProblemType::BodyTooLarge => "The body is too large",
            ProblemType::InvalidFields => "A rule is broken",
            ProblemType::UnknownPrinter => "No such printer",
            ProblemType::UnknownFilament => "No such filament",
            ProblemType::NotEnoughFilament => "Not enough filament is available",
            ProblemType::IdempotencyKeyReused => "The idempotency key belongs to another request",
            ProblemType::NoQuorum => "The cluster has no quorum",
            ProblemType::OutcomeUnknown => "The outcome of the write is unknown",
            ProblemType::Overloaded => "The node is overloaded",
            ProblemType::NotReady => "The node is not ready",
            ProblemType::ShuttingDown => "The node is shutting down",
            ProblemType::NodeFailed => "The node has left the cluster",
            ProblemType::Internal => "The node failed",
        }
    }

    /// The HTTP status of such problems.
    pub fn status(self) -> StatusCode {
        match self {
            ProblemType::MalformedBody
            | ProblemType::InvalidParameter
            | ProblemType::InvalidHeader
            | ProblemType::UnknownStatus => StatusCode::BAD_REQUEST,
            ProblemType::Unauthenticated => StatusCode::UNAUTHORIZED,
            ProblemType::Forbidden => StatusCode::FORBIDDEN,
            ProblemType::TooManyFailures => StatusCode::TOO_MANY_REQUESTS,
            ProblemType::NoSuchEndpoint | ProblemType::NotFound | ProblemType::UnknownMember => {
                StatusCode::NOT_FOUND
            }
            ProblemType::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ProblemType::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            ProblemType::IdTaken
            | ProblemType::OtherNode
            | ProblemType::UpgradeNotFinished
            | ProblemType::MemberExists
            | ProblemType::NameTaken
            | ProblemType::TooManyTokens
            | ProblemType::ChangeInProgress
            | ProblemType::WouldLoseQuorum
            | ProblemType::NotCaughtUp
            | ProblemType::ForbiddenTransition
            | ProblemType::InUse
            | ProblemType::NoSnapshot => StatusCode::CONFLICT,
            ProblemType::PositionGone => StatusCode::GONE,
            ProblemType::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            ProblemType::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemType::InvalidFields
            | ProblemType::UnknownPrinter
            | ProblemType::UnknownFilament
            | ProblemType::NodeUnreachable
            | ProblemType::NotEnoughFilament
            | ProblemType::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            ProblemType::NoQuorum
            | ProblemType::OutcomeUnknown
            | ProblemType::Overloaded
            | ProblemType::NotReady
            | ProblemType::ShuttingDown
            | ProblemType::NodeFailed => StatusCode::SERVICE_UNAVAILABLE,
            ProblemType::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    problem_type: ProblemType,
    detail: String,
    errors: Vec<FieldProblem>,
    index: Option<u64>,
    positions: Option<(u64, u64)>,
}

/// What was refused, and why (RFC 9457)
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// What kind of problem it is, for programs
    r#type: String,
    /// The same for all problems of the type
    title: &'a str,
    /// The HTTP status
    status: u16,
    /// What was wrong in this case, with which value, and what to do
    detail: &'a str,
    /// The request's name, as in the header `X-Request-Id` and in the node's log
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    request_id: Option<String>,
    /// The fields that are to blame
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError<'a>>,
    /// The lowest position in the log from which events can be had
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    oldest_position: Option<u64>,
    /// Where the log is
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    current_index: Option<u64>,
}

/// A field that is to blame
#[derive(Serialize, ToSchema)]
pub struct FieldError<'a> {
    /// JSON pointer to it (RFC 6901); empty for the whole body
    pointer: &'a str,
    /// What is wrong with it
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
            positions: None,
        }
    }

    /// No object of that kind has the id `key`.
    pub fn not_found(kind: Kind, key: &str) -> Problem {
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

    /// The problem, with the positions between which events can be had.
    pub fn with_positions(self, oldest_position: u64, current_index: u64) -> Problem {
        Problem {
            positions: Some((oldest_position, current_index)),
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
        let status = self.problem_type.status();
        let errors = self.errors.iter().take(ERRORS_MAX);
        let document = Document {
            r#type: self.problem_type.uri(),
            title: self.problem_type.title(),
            status: status.as_u16(),
            detail: &self.detail,
            request_id: headers::request_id(),
            errors: errors
                .map(|error| FieldError {
                    pointer: &error.pointer,
                    detail: &error.problem,
                })
                .collect(),
            oldest_position: self.positions.map(|(oldest, _)| oldest),
            current_index: self.positions.map(|(_, current)| current),
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, content_type);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"raft3d\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
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
            SubmitError::UpgradeNotFinished(_) => Problem::new(
                ProblemType::UpgradeNotFinished,
                format!(
                    "{error}; nothing was written: install the newer program there, or remove what \
                     is gone for good"
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
            SubmitError::NodeFailed(_) => Problem::new(
                ProblemType::NodeFailed,
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
            ReadError::NodeFailed(_) => ProblemType::NodeFailed,
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
            Refusal::NotFound { .. } => (ProblemType::NotFound, None),
            Refusal::OtherVersion { .. } => (ProblemType::PreconditionFailed, None),
            Refusal::InUse { .. } => (ProblemType::InUse, None),
            Refusal::ForbiddenTransition { .. } => (ProblemType::ForbiddenTransition, None),
            Refusal::InvalidField { pointer, problem } => {
                return Problem::invalid_fields(vec![FieldProblem {
                    pointer: pointer.clone(),
                    problem: problem.clone(),
                }]);
            }
            Refusal::IdempotencyKeyReused { .. } => (ProblemType::IdempotencyKeyReused, None),
            Refusal::InvalidIdempotencyKey { .. } => (ProblemType::InvalidHeader, None),
            Refusal::OtherDirectory { .. } => (ProblemType::OtherNode, None),
            Refusal::OlderProgram { .. } => (ProblemType::UpgradeNotFinished, None),
            Refusal::InvalidToken => (ProblemType::Unauthenticated, None),
            Refusal::TokenNameTaken { .. } => (ProblemType::NameTaken, Some("/name")),
            Refusal::TokenNotFound { .. } => (ProblemType::NotFound, None),
            Refusal::TooManyTokens { .. } => (ProblemType::TooManyTokens, None),
            Refusal::TokenSecretTaken
            | Refusal::MalformedCommand { .. }
            | Refusal::AlreadyApplied { .. } => (ProblemType::Internal, None),
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
