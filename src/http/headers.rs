//! The headers that every answer carries.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use tracing::{Span, debug, field, info_span};

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
/// Most digits of the number in an id of ours.
const DIGITS_MAX: usize = 20;

tokio::task_local! {
    /// Of the request that the task answers.
    static CURRENT_ID: HeaderValue;
}

/// The id of the request that is being answered here, if one is.
pub fn request_id() -> Option<String> {
    let id = CURRENT_ID.try_with(HeaderValue::clone).ok()?;
    id.to_str().ok().map(str::to_owned)
}

/// What the answers of a node are named by: the node, and the request. One that brings no id gets one
/// of its own; unique, not secret.
#[derive(Debug)]
pub struct Names {
    node: HeaderValue,
    prefix: String,
    last: AtomicU64,
}

impl Names {
    /// Those of the node `node_id`. Ids differ from those of other nodes and of earlier runs.
    pub fn new(node_id: i32) -> Names {
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Names {
            node: node_id.into(),
            prefix: format!("{node_id}-{:x}-", started.as_micros()),
            last: AtomicU64::new(0),
        }
    }

    /// The id that `headers` bring, if it is fit to be echoed and logged; a new one otherwise.
    pub fn of_request(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|id| {
            (1..=REQUEST_ID_MAX).contains(&id.len())
                && id.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        given.cloned().unwrap_or_else(|| {
            let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            let mut id = String::with_capacity(self.prefix.len() + DIGITS_MAX);
            id.push_str(&self.prefix);
            // Writing to a string never fails.
            let _ = write!(id, "{number}");
            HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
        })
    }

    /// Names the request `id` and the node on its answer, and the log index where the handler did
    /// not.
    pub fn stamp<C: Consensus>(
        &self,
        response: &mut Response,
        id: HeaderValue,
        service: &FarmService<C>,
    ) {
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id);
        headers.insert(NODE, self.node.clone());
        headers
            .entry(INDEX)
            .or_insert_with(|| service.local_state().applied_index().into());
    }
}

/// The span of the log lines of `request`, whose id is `id`.
pub fn span(id: &HeaderValue, request: &Request) -> Span {
    info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
        caller = field::Empty,
        trace_id = field::Empty,
    )
}

/// Lets `answer` know the id of the request that it answers.
pub fn naming<F: Future>(id: HeaderValue, answer: F) -> impl Future<Output = F::Output> {
    CURRENT_ID.scope(id, answer)
}

/// Logs that the request of `span` is answered with `response`.
pub fn log(span: &Span, response: &Response) {
    span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));
}
