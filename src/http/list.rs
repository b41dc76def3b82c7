//! Lists: whole, streamed as one JSON array, or page by page.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::response::{IntoResponse, Response};

use super::headers;
use super::problem::{Problem, ProblemType};
use super::query::Params;
use super::view::{Collection, encode};
use crate::consensus::Consensus;
use crate::domain::id::Id;
use crate::domain::state::State;
use crate::service::FarmService;

/// Query parameters that every list takes.
pub const PARAMS: [&str; 3] = ["consistency", "limit", "after"];

/// Most objects of one page.
const LIMIT_MAX: usize = 1_000;
/// A chunk of a streamed list is sent off at this size, in bytes; its last object may exceed it.
const CHUNK_SIZE: usize = 32 * 1024;

/// Answers a request for `collection` as `params` ask.
pub async fn answer<C: Consensus>(
    service: &FarmService<C>,
    params: &Params,
    collection: Collection,
) -> Result<Response, Problem> {
    let limit = limit(params)?;
    let after = params.get("after").map(Id::from_key).transpose()?;
    let state = service.read(params.consistency()?).await?;

    let index = state.applied_index();
    let last = limit.and_then(|limit| last_of_page(&collection, &state, after.as_ref(), limit));
    let next = last
        .map(|last| next_link(collection.path(), params, &last.key()))
        .transpose()?;
    let array = Array::new(collection, state, after, limit.unwrap_or(usize::MAX));

    let mut response = Body::new(array).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(headers::INDEX, index.into());
    if let Some(next) = next {
        headers.insert(LINK, next);
    }
    Ok(response)
}

/// `?limit=`, the most objects of a page.
pub fn limit(params: &Params) -> Result<Option<usize>, Problem> {
    let Some(text) = params.get("limit") else {
        return Ok(None);
    };
    let limit = text
        .parse()
        .ok()
        .filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.map(Some).ok_or_else(|| {
        let detail = format!("limit is an integer from 1 to {LIMIT_MAX}, not `{text}`");
        Problem::new(ProblemType::InvalidParameter, detail)
    })
}

/// The last id of the page of `limit` objects behind `after`; `None` when no page follows it.
fn last_of_page(
    collection: &Collection,
    state: &State,
    after: Option<&Id>,
    limit: usize,
) -> Option<Id> {
    let mut rest = collection.objects(state, after).skip(limit - 1);
    let last = rest.next()?.id().clone();
    rest.next().map(|_| last)
}

/// The same request to `path` for what comes behind `last`.
pub fn next_link(path: &str, params: &Params, last: &str) -> Result<HeaderValue, Problem> {
    let mut link = format!("<{path}?");
    for (name, value) in params.iter().filter(|(name, _)| *name != "after") {
        link += &format!("{name}={}&", encode(value));
    }
    link += &format!("after={}>; rel=\"next\"", encode(last));
    HeaderValue::try_from(link)
        .map_err(|error| Problem::new(ProblemType::Internal, format!("no next link: {error}")))
}

/// A JSON array of objects as a body: each chunk is made when the client is ready for it, so that
/// a list of any length takes the memory of one chunk.
struct Array {
    collection: Collection,
    state: State,
    /// The last object written.
    after: Option<Id>,
    /// How many objects may still be written.
    left: usize,
    position: Position,
    /// The chunk being sent.
    chunk: Body,
}

/// How far an array is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Start,
    Middle,
    End,
}

impl Array {
    fn new(collection: Collection, state: State, after: Option<Id>, left: usize) -> Array {
        Array {
            collection,
            state,
            after,
            left,
            position: Position::Start,
            chunk: Body::empty(),
        }
    }

    /// The next chunk of the array, or `None` behind its end.
    fn next_chunk(&mut self) -> Result<Option<Bytes>, serde_json::Error> {
        if self.position == Position::End {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(CHUNK_SIZE + CHUNK_SIZE / 4);
        let mut objects = self.collection.objects(&self.state, self.after.as_ref());
        let mut last = None;
        while chunk.len() < CHUNK_SIZE {
            let Some(object) = objects.next().filter(|_| self.left > 0) else {
                let closing: &[u8] = if self.position == Position::Start {
                    b"[]"
                } else {
                    b"]"
                };
                chunk.extend_from_slice(closing);
                self.position = Position::End;
                break;
            };
            chunk.push(if self.position == Position::Start {
                b'['
            } else {
                b','
            });
            serde_json::to_writer(&mut chunk, &object)?;
            self.position = Position::Middle;
            self.left -= 1;
            last = Some(object.id().clone());
        }
        drop(objects);
        self.after = last;
        Ok(Some(chunk.into()))
    }
}

/// What a body's `poll_frame` resolves to.
type NextFrame = <http_body_util::combinators::Frame<'static, Body> as Future>::Output;

impl HttpBody for Array {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<NextFrame> {
        if self.chunk.is_end_stream() {
            match self.next_chunk() {
                Ok(Some(chunk)) => self.chunk = Body::from(chunk),
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
            }
        }
        Pin::new(&mut self.chunk).poll_frame(cx)
    }
}
