//! `/api/v1/tokens`: who may ask for what.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::access::Caller;
use super::fields::Fields;
use super::headers;
use super::openapi::problems::{CreatingToken, Listing, OwnView, RevokingToken};
use super::openapi::{parameters, schemas};
use super::problem::{Problem, ProblemType};
use super::query::Params;
use super::write::{self, Received};
use crate::consensus::Consensus;
use crate::domain::command::Op;
use crate::domain::outcome::{Refusal, Reply};
use crate::domain::time::Timestamp;
use crate::domain::tokens::{AccessRole, Actor, NewToken, Token};
use crate::secret::Secret;
use crate::service::FarmService;

/// A token as answers show it: everything but its digest.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct View<'a> {
    #[schema(minimum = 1)]
    id: u64,
    name: &'a str,
    #[schema(value_type = schemas::RoleName)]
    role: AccessRole,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    created_by: Option<&'a str>,
    /// In the one answer to its creation
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(token: &'a Token) -> View<'a> {
        View {
            id: token.id,
            name: &token.name,
            role: token.role,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            created_by: token.created_by.as_deref(),
            secret: None,
        }
    }
}

/// `GET /api/v1/tokens`: all of them, expired ones too.
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    summary = "All tokens, expired ones too",
    params(parameters::Consistency),
    responses((status = 200, description = "The tokens", body = Vec<View>), Listing)
)]
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &["consistency"])?;
    let state = service.read(params.consistency()?).await?;
    let views: Vec<_> = state.tokens().iter().map(View::of).collect();
    Ok(([(headers::INDEX, state.applied_index())], Json(views)).into_response())
}

/// `GET /api/v1/tokens/self`: who this node takes the caller for. Where no tokens are demanded,
/// somebody without one may do everything and has no name.
#[utoipa::path(
    get,
    path = "/api/v1/tokens/self",
    tag = "tokens",
    summary = "Who the node takes the caller for",
    responses((status = 200, description = "The caller", body = schemas::Caller), OwnView)
)]
pub async fn own<C: Consensus>(
    State(service): State<FarmService<C>>,
    caller: Option<Extension<Caller>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let state = service.local_state();
    let answer = match caller.as_deref() {
        None => Json(json!({ "name": null, "role": AccessRole::Admin })).into_response(),
        Some(caller) => match caller.actor() {
            Actor::AdminFile => {
                Json(json!({ "name": caller.name(), "role": caller.role() })).into_response()
            }
            Actor::Token(id) => match state.tokens().get(id) {
                Some(token) => Json(View::of(token)).into_response(),
                // Revoked since it was looked up.
                None => return Err(Refusal::InvalidToken.into()),
            },
        },
    };
    Ok(answer)
}

/// `POST /api/v1/tokens` `{name, role, expires_at?}`: the only answer that shows the secret.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    summary = "Create a token; its secret is shown this once",
    params(parameters::IdempotencyKey),
    request_body = schemas::NewToken,
    responses((status = 201, description = "The token", body = View), CreatingToken)
)]
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let received = Received::receive(request, &[]).await?;
    let mut fields = Fields::parse(received.body())?;
    let provenance = received.provenance("POST /api/v1/tokens", "", || fields.canonical());
    let secret = Secret::generate().map_err(|error| {
        let detail = format!("no secret can be made: {error}");
        Problem::new(ProblemType::Internal, detail)
    })?;
    let new = NewToken {
        name: fields.required("name", String::new()),
        role: fields.required_name("role", AccessRole::Viewer),
        digest: secret.digest(),
        expires_at: fields.optional("expires_at"),
    };
    fields.finish(new.problems())?;
    let show = |reply: &Reply| {
        let Reply::Token(token) = reply else {
            return None;
        };
        let view = View {
            // The answer to an earlier request with the same key is about another secret.
            secret: (token.digest == secret.digest()).then(|| secret.reveal()),
            ..View::of(token)
        };
        let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some((StatusCode::CREATED, [no_store], Json(view)).into_response())
    };
    write::submit_and_show(&service, Op::CreateToken(new), provenance, show).await
}

/// `DELETE /api/v1/tokens/{id}`: revokes it.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    summary = "Revoke a token",
    params(parameters::TokenId, parameters::IdempotencyKey),
    responses((status = 200, description = "The token as it was", body = View), RevokingToken)
)]
pub async fn revoke<C: Consensus>(
    State(service): State<FarmService<C>>,
    id: Result<Path<u64>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|error| {
        let detail = format!("a token's id is a number from 1: {}", error.body_text());
        Problem::new(ProblemType::NotFound, detail)
    })?;
    let received = Received::receive(request, &[]).await?;
    let provenance = received.provenance("DELETE /api/v1/tokens/{id}", &id.to_string(), || b"");
    let show = |reply: &Reply| match reply {
        Reply::TokenRevoked(token) => Some(Json(View::of(token)).into_response()),
        _ => None,
    };
    write::submit_and_show(&service, Op::RevokeToken(id), provenance, show).await
}
