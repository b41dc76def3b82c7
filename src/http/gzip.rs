//! Compresses answers for clients that accept it: lists above all.
//!
//! A compressor takes more memory than the rest of a connection together, so that only
//! `COMPRESSORS_MAX` answers are compressed at a time; others go out as they are.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::compression::CompressionLayer;

/// Most answers that are being compressed at a time, each with some 300 KiB.
const COMPRESSORS_MAX: usize = 64;
/// Answers below this size, in bytes, gain nothing.
const WORTHWHILE: u64 = 1 << 10;

/// `router`, with its answers compressed where that is asked for and of use.
pub fn compress(router: Router) -> Router {
    let slots = Arc::new(Semaphore::new(COMPRESSORS_MAX));
    let chosen = |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| {
        extensions.get::<Chosen>().is_some()
    };
    router
        .layer(from_fn_with_state(slots, choose))
        .layer(CompressionLayer::new().compress_when(chosen))
}

/// Marks an answer that may be compressed.
#[derive(Debug, Clone, Copy)]
struct Chosen;

/// Middleware: gives an answer that is worth it one of the slots, until it is sent.
async fn choose(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let accepts = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    if !accepts || !is_worthwhile(&response) {
        return response;
    }
    let Ok(slot) = slots.try_acquire_owned() else {
        return response;
    };
    response.extensions_mut().insert(Chosen);
    response.map(|body| Body::new(Slotted { body, _slot: slot }))
}

/// Whether a slot might be used: what exactly is accepted, the compression itself looks at.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(axum::http::header::ACCEPT_ENCODING);
    accepted
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains("gzip")))
}

/// Whether an answer is large, or of unknown size, and neither a stream of events nor one that
/// carries a strong `ETag`, which would have to name the encoding too.
fn is_worthwhile(response: &Response) -> bool {
    let headers = response.headers();
    let is = |name, prefix: &str| {
        let value = headers.get(name).map(|value| value.as_bytes());
        value.is_some_and(|value| value.starts_with(prefix.as_bytes()))
    };
    let text = [
        "application/json",
        "application/problem+json",
        "text/",
        "application/openmetrics",
    ];
    let is_text = text.iter().any(|kind| is(CONTENT_TYPE, kind));
    let size = response.body().size_hint().exact();
    is_text
        && !is(CONTENT_TYPE, "text/event-stream")
        && !headers.contains_key(ETAG)
        && !headers.contains_key(CONTENT_LENGTH)
        && size.is_none_or(|size| size >= WORTHWHILE)
}

/// A body that holds a slot.
struct Slotted {
    body: Body,
    _slot: OwnedSemaphorePermit,
}

/// What a body's `poll_frame` resolves to.
type NextFrame = <http_body_util::combinators::Frame<'static, Body> as Future>::Output;

impl HttpBody for Slotted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<NextFrame> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
