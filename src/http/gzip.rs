//! Compresses answers for clients that accept it: lists above all.
//!
//! A compressor takes more memory than the rest of a connection together, so that only
//! `COMPRESSORS_MAX` answers are compressed at a time; others go out as they are.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{ServiceExt, service_fn};
use tower_http::compression::Compression;

/// Most answers that are being compressed at a time, each with some 300 KiB.
const COMPRESSORS_MAX: usize = 64;
/// Answers below this size, in bytes, gain nothing.
const WORTHWHILE: u64 = 1 << 10;

/// The places for answers that are being compressed.
#[derive(Debug)]
pub struct Compressors(Arc<Semaphore>);

impl Default for Compressors {
    fn default() -> Compressors {
        Compressors(Arc::new(Semaphore::new(COMPRESSORS_MAX)))
    }
}

impl Compressors {
    /// Compresses an answer where that is asked for by what is `accepted`, and of use, and a place is
    /// free, which it has until it is sent.
    pub async fn compress(&self, accepted: Option<HeaderMap>, response: Response) -> Response {
        let Some(accepted) = accepted.filter(|_| is_worthwhile(&response)) else {
            return response;
        };
        let Ok(slot) = Arc::clone(&self.0).try_acquire_owned() else {
            return response;
        };
        compressed(accepted, response.map(|body| Slotted { body, _slot: slot })).await
    }
}

/// What a client accepts, if gzip might be among it; the compression itself looks closer.
pub fn accepted(headers: &HeaderMap) -> Option<HeaderMap> {
    let accepted = headers.get_all(ACCEPT_ENCODING);
    let names_gzip = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("gzip"));
    accepted.iter().any(names_gzip).then(|| {
        let values = accepted.iter().cloned();
        values.map(|value| (ACCEPT_ENCODING, value)).collect()
    })
}

/// `response` as the compression makes it for a client that sent the headers `accepted`.
async fn compressed(accepted: HeaderMap, response: axum::http::Response<Slotted>) -> Response {
    let mut request = axum::http::Request::new(());
    *request.headers_mut() = accepted;
    let mut response = Some(response);
    let answers = service_fn(move |_| ready(response.take().ok_or(())));
    let always = |_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| true;
    let compression = Compression::new(answers).compress_when(always);
    match compression.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        // There was one.
        Err(()) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
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
