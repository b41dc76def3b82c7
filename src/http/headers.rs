//! The headers that every answer carries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use tracing::{Instrument, debug, field, info_span};

use crate::consensus::Consensus;
use crate::service::FarmService;

/// The log index that an answer reflects: of the write, or of the state that was read.
pub const INDEX: HeaderName = HeaderName::from_static("x-raft3d-index");
/// The id of the node that answered.
pub const NODE: HeaderName = HeaderName::from_static("x-raft3d-node");
/// The client's name for the request, or ours.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Present, and `true`, when the answer is that to an earlier request with the same key.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest request id that is taken over from a client, in bytes.
const REQUEST_ID_MAX: usize = 128;

tokio::task_local! {
    /// Of the request that the task answers.
    static CURRENT_ID: HeaderValue;
}

/// The id of the request that is being answered here, if one is.
pub fn request_id() -> Option<String> {
    let id = CURRENT_ID.try_with(HeaderValue::clone).ok()?;
    id.to_str().ok().map(str::to_owned)
}

/// Gives each request of this node that brings none an id of its own; unique, not secret.
#[derive(Debug)]
pub struct RequestIds {
    prefix: String,
    last: AtomicU64,
}

impl RequestIds {
    /// Ids that differ from those of other nodes and of earlier runs.
    pub fn new(node_id: i32) -> RequestIds {
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        RequestIds {
            prefix: format!("{node_id}-{:x}", started.as_micros()),
            last: AtomicU64::new(0),
        }
    }

    /// The id that `headers` bring, if it is fit to be echoed and logged; a new one otherwise.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|id| {
            (1..=REQUEST_ID_MAX).contains(&id.len())
                && id.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        given.cloned().unwrap_or_else(|| {
            let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            HeaderValue::try_from(format!("{}-{number}", self.prefix))
                .unwrap_or(HeaderValue::from_static("none"))
        })
    }
}

/// Has `next` answer `request`; names request and node on the answer, and the log index where the
/// handler did not.
pub async fn stamp<C: Consensus>(
    service: &FarmService<C>,
    ids: &RequestIds,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let id = ids.of(request.headers());
    let span = info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
        caller = field::Empty,
        trace_id = field::Empty,
    );
    let answer = CURRENT_ID.scope(id.clone(), next(request));
    let mut response = answer.instrument(span.clone()).await;
    span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));

    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(NODE, service.node_id().into());
    headers
        .entry(INDEX)
        .or_insert_with(|| service.local_state().applied_index().into());
    response
}
