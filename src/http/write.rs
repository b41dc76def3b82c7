//! The way of every write: received, submitted, answered.

use axum::Json;
use axum::extract::Request;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::access::Caller;
use super::body::{self, BodyMemory, Whole};
use super::fields::Fields;
use super::headers;
use super::idempotency;
use super::problem::{Problem, ProblemType};
use super::query::Params;
use super::read::{self, PathId};
use super::versions;
use super::view::View;
use crate::consensus::Consensus;
use crate::domain::command::{Op, Target};
use crate::domain::id::Id;
use crate::domain::model::Kind;
use crate::domain::outcome::Reply;
use crate::domain::tokens::Actor;
use crate::service::{FarmService, Provenance};

/// A write as received, its body not yet understood.
#[derive(Debug)]
pub struct Received {
    /// The query.
    pub params: Params,
    body: Whole,
    key: Option<String>,
    actor: Option<Actor>,
    versions: Option<Vec<u64>>,
}

impl Received {
    /// Receives the whole of `request`, whose query may have the parameters `known`.
    pub async fn receive(request: Request, known: &[&str]) -> Result<Received, Problem> {
        let (parts, body) = request.into_parts();
        let memory = parts.extensions.get::<BodyMemory>().cloned();
        Ok(Received {
            params: Params::parse(&parts.uri, known)?,
            key: idempotency::key(&parts.headers)?,
            actor: parts.extensions.get::<Caller>().map(Caller::actor),
            versions: versions::if_match(&parts.headers),
            body: body::receive(body, &memory.unwrap_or_default()).await?,
        })
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body.bytes
    }

    /// Whose request this is, and what recognises repetitions of it to `route` for the object
    /// `id`, if the client gave a key. `canonical_body` gives the same for all bodies that ask for
    /// the same.
    pub fn provenance<B: AsRef<[u8]>>(
        &self,
        route: &str,
        id: &str,
        canonical_body: impl FnOnce() -> B,
    ) -> Provenance {
        let idempotency = self.key.clone().map(|key| {
            let (versions, body) = (format!("{:?}", self.versions), canonical_body());
            let parts = [
                route.as_bytes(),
                id.as_bytes(),
                versions.as_bytes(),
                body.as_ref(),
            ];
            idempotency::with_fingerprint(key, &parts)
        });
        Provenance {
            actor: self.actor,
            idempotency,
        }
    }

    /// The object that the request is for, and which versions of it will do.
    pub fn target(&self, kind: Kind, id: PathId) -> Result<Target, Problem> {
        let key = read::key_of(kind, id)?;
        // What cannot be an id is the id of no object.
        let id = Id::from_key(&key).map_err(|_| Problem::not_found(kind, &key))?;
        Ok(Target {
            id,
            versions: self.versions.clone(),
        })
    }
}

/// Carries out `POST route`, which creates the object that `read_op` reads from the body.
pub async fn create<C: Consensus>(
    service: &FarmService<C>,
    request: Request,
    route: &str,
    read_op: fn(Fields) -> Result<Op, Problem>,
) -> Result<Response, Problem> {
    let received = Received::receive(request, &[]).await?;
    let fields = Fields::parse(received.body())?;
    let provenance = received.provenance(route, "", || fields.canonical());
    submit(service, read_op(fields)?, provenance, StatusCode::CREATED).await
}

/// Carries out `PATCH route` of the object `id` with what `read_op` reads from the body, a merge
/// patch (RFC 7396): members that are left out stay as they are, and none may be removed.
pub async fn update<C: Consensus>(
    service: &FarmService<C>,
    (kind, id): (Kind, PathId),
    request: Request,
    route: &str,
    read_op: fn(Target, Fields) -> Result<Op, Problem>,
) -> Result<Response, Problem> {
    let received = Received::receive(request, &[]).await?;
    let target = received.target(kind, id)?;
    let fields = Fields::parse(received.body())?;
    let provenance = received.provenance(route, &target.id.key(), || fields.canonical());
    submit(
        service,
        read_op(target, fields)?,
        provenance,
        StatusCode::OK,
    )
    .await
}

/// Carries out `DELETE route` of the object `id`.
pub async fn delete<C: Consensus>(
    service: &FarmService<C>,
    (kind, id): (Kind, PathId),
    request: Request,
    route: &str,
    op: fn(Target) -> Op,
) -> Result<Response, Problem> {
    let received = Received::receive(request, &[]).await?;
    let target = received.target(kind, id)?;
    let provenance = received.provenance(route, &target.id.key(), || b"");
    submit(service, op(target), provenance, StatusCode::OK).await
}

/// Submits `op` and answers with its outcome; `success` is the status unless it is refused.
pub async fn submit<C: Consensus>(
    service: &FarmService<C>,
    op: Op,
    provenance: Provenance,
    success: StatusCode,
) -> Result<Response, Problem> {
    submit_and_show(service, op, provenance, |reply| show(reply, success)).await
}

/// Submits `op` and answers with what `show` makes of its reply, unless it is refused; `show` gives
/// nothing for a reply to something else.
pub async fn submit_and_show<C: Consensus>(
    service: &FarmService<C>,
    op: Op,
    provenance: Provenance,
    show: impl FnOnce(&Reply) -> Option<Response>,
) -> Result<Response, Problem> {
    let outcome = service.submit(op, provenance).await?;
    let mut response = match &outcome.result {
        Ok(reply) => show(reply).unwrap_or_else(|| {
            let detail = "the state machine answered as if it had been asked for something else";
            Problem::new(ProblemType::Internal, detail).into_response()
        }),
        Err(refusal) => Problem::from(refusal.clone()).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(headers::INDEX, outcome.index.into());
    if outcome.replayed {
        headers.insert(headers::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The answer to a write of an object of the farm, or of the settings.
fn show(reply: &Reply, success: StatusCode) -> Option<Response> {
    match reply {
        Reply::Deleted { id, .. } => {
            return Some((success, Json(json!({ "deleted": id }))).into_response());
        }
        Reply::Settings(settings) => return Some((success, Json(settings)).into_response()),
        _ => {}
    }
    let view = View::of_reply(reply)?;
    let tag = (ETAG, versions::tag(view.version()));
    let mut response = (success, [tag], Json(&view)).into_response();
    if success == StatusCode::CREATED {
        // A percent-encoded path is always a header value.
        if let Ok(location) = HeaderValue::try_from(view.path()) {
            response.headers_mut().insert(LOCATION, location);
        }
    }
    Some(response)
}
