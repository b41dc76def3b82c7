//! Events as they happen: a stream of server-sent events.
//!
//! A stream reads the state when its client is ready for more, so that a slow client costs no
//! memory: it falls behind, until the events that it wants are not kept any more. Then the stream
//! ends, and the next one is refused with the reason. It also ends once its client's token is revoked
//! or has expired.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::access::Pass;
use super::events::{Filter, SCAN_MAX, check_position};
use super::headers;
use super::problem::{Problem, ProblemType};
use super::query::Params;
use super::server::Connections;
use crate::consensus::Consensus;
use crate::domain::events::Event;
use crate::domain::events::json::EventView;
use crate::service::FarmService;

/// The media type of streams.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// Most streams at a time: each is woken by each entry of the log.
const STREAMS_MAX: usize = 1_024;
/// Longest time without a word, so that nobody on the way takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client that was passed by as many log indexes without an event for it is told the position,
/// so that it need not go through them again.
const POSITION_GAP_MAX: u64 = 1_000;
/// A chunk is sent off at this size, in bytes; its last event may exceed it.
const CHUNK_SIZE: usize = 32 * 1024;
/// How long a client that lost its stream is to wait, in milliseconds.
const RETRY_MS: u32 = 1_000;
/// Tells proxies of nginx's kind not to hold the stream back.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The streams of one node. Clones count together.
#[derive(Debug, Clone)]
pub struct Streams {
    places: Arc<Semaphore>,
    open: Gauge,
    connections: Connections,
}

impl Streams {
    /// No streams yet; those to come end when the server of `connections` leaves.
    pub fn new(connections: &Connections) -> Streams {
        Streams {
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
            open: Gauge::default(),
            connections: connections.clone(),
        }
    }

    /// Adds the count to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "event_streams",
            "Clients that follow the events",
            self.open.clone(),
        );
    }

    fn enter(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            let detail = format!("this node has {STREAMS_MAX} streams already; ask another node");
            Problem::new(ProblemType::Overloaded, detail)
        })?;
        self.open.inc();
        Ok(Place {
            open: self.open.clone(),
            _place: place,
        })
    }
}

/// One open stream: counted until it is dropped.
struct Place {
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// Opens a stream of the events that pass `filter` behind `position`, or from now on.
pub async fn open<C: Consensus>(
    service: FarmService<C>,
    streams: &Streams,
    params: &Params,
    filter: Filter,
    position: Option<u64>,
    pass: Pass,
) -> Result<Response, Problem> {
    let place = streams.enter()?;
    if params.get("limit").is_some() {
        let detail = "a stream has no limit; it goes on until it is closed";
        return Err(Problem::new(ProblemType::InvalidParameter, detail));
    }
    let consistency = params.consistency()?;
    let state = service.read(consistency).await?;
    let index = state.applied_index();
    let position = position.unwrap_or(index);
    check_position(&state, position, consistency)?;
    drop(state);

    let feed = Feed {
        service,
        filter,
        pass,
        connections: streams.connections.clone(),
        position,
        told: position,
        stage: Stage::Greeting,
        heartbeat: Instant::now() + HEARTBEAT,
        _place: place,
    };
    let chunks = stream::unfold(feed, async |mut feed| {
        let chunk = feed.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), feed))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    headers.insert(CONTENT_TYPE_HEADER, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(headers::INDEX, index.into());
    Ok(response)
}

/// One client's way through the events.
struct Feed<C> {
    service: FarmService<C>,
    filter: Filter,
    /// What its client was let through with: the stream ends with it.
    pass: Pass,
    connections: Connections,
    /// All events up to there were looked at.
    position: u64,
    /// The position that the client was last told.
    told: u64,
    stage: Stage,
    heartbeat: Instant,
    _place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Running,
    Ended,
}

/// What there is to send at once.
enum Found {
    Chunk(Vec<u8>),
    /// Nothing yet, but there may be more to look at.
    NotYet,
    /// Nothing up to the end of the log.
    Nothing,
    /// The events behind the position are not kept any more.
    Gone,
}

impl<C: Consensus> Feed<C> {
    /// What the client gets next, when there is something; `None` at the end.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        let chunk = match self.stage {
            Stage::Greeting => {
                self.stage = Stage::Running;
                format!("retry: {RETRY_MS}\nid: {}\n\n", self.position).into()
            }
            Stage::Running => self.wait_for_chunk().await,
            Stage::Ended => return None,
        };
        self.heartbeat = Instant::now() + HEARTBEAT;
        Some(chunk)
    }

    async fn wait_for_chunk(&mut self) -> Bytes {
        loop {
            if let Err(reason) = self.pass.check(self.service.local_state().tokens()) {
                return self.end(reason);
            }
            match self.look() {
                Ok(Found::Chunk(chunk)) => return chunk.into(),
                Ok(Found::NotYet) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Found::Nothing) => {}
                Ok(Found::Gone) => {
                    return self.end("the events that come next are not kept any more");
                }
                Err(error) => return self.end(&format!("an event cannot be written: {error}")),
            }
            tokio::select! {
                () = self.connections.leaving() => return self.end("this node is stopping"),
                () = self.service.wait_applied(self.position + 1) => {}
                () = self.pass.expires() => {}
                () = sleep_until(self.heartbeat) => return self.beat(),
            }
        }
    }

    /// Looks at the events behind the position, and moves it on.
    fn look(&mut self) -> io::Result<Found> {
        let state = self.service.local_state();
        let Ok(mut events) = state.events().after(self.position) else {
            return Ok(Found::Gone);
        };
        let (mut chunk, mut examined) = (Vec::new(), 0);
        let at_the_end = loop {
            // Looked at no more, so that other tasks have their turn, and sent no more at a time.
            if examined == SCAN_MAX || chunk.len() >= CHUNK_SIZE {
                break false;
            }
            let Some(event) = events.next() else {
                break true;
            };
            examined += 1;
            self.position = event.index;
            if self.filter.matches(event) {
                write(&mut chunk, event)?;
                self.told = event.index;
            }
        };
        if at_the_end {
            self.position = self.position.max(state.applied_index());
        }
        if chunk.is_empty() && self.position - self.told >= POSITION_GAP_MAX {
            write!(chunk, "id: {}\n\n", self.position)?;
            self.told = self.position;
        }
        Ok(match (chunk.is_empty(), at_the_end) {
            (false, _) => Found::Chunk(chunk),
            (true, true) => Found::Nothing,
            (true, false) => Found::NotYet,
        })
    }

    /// A sign of life, with the position; the last one if this node cannot go on.
    fn beat(&mut self) -> Bytes {
        if self.service.status().failure.is_some() {
            return self.end("this node has failed");
        }
        self.told = self.position;
        format!(": heartbeat\nid: {}\n\n", self.position).into()
    }

    fn end(&mut self, reason: &str) -> Bytes {
        self.stage = Stage::Ended;
        format!(": the stream ends: {reason}\nid: {}\n\n", self.position).into()
    }
}

fn write(chunk: &mut Vec<u8>, event: &Event) -> io::Result<()> {
    write!(
        chunk,
        "id: {}\nevent: {}\ndata: ",
        event.index,
        event.kind()
    )?;
    serde_json::to_writer(&mut *chunk, &EventView::from(event))?;
    chunk.extend_from_slice(b"\n\n");
    Ok(())
}
