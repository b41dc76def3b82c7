//! What the routes of one node work with, and what is done around each of them.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::access::{self, Access};
use super::body::BodyMemory;
use super::download::Downloads;
use super::event_stream::Streams;
use super::gzip::Compressors;
use super::headers::{self, RequestIds};
use super::measure::Measures;
use super::openapi::Described;
use super::peers::Peers;
use crate::consensus::Consensus;
use crate::metrics::Metrics;
use crate::service::FarmService;
use crate::traces;

/// What the routes of one node work with; a handler takes what it needs of it as its `State`. Clones
/// are the same.
pub struct Api<C>(Arc<Parts<C>>);

/// The parts of it.
pub struct Parts<C> {
    /// The farm.
    pub service: FarmService<C>,
    /// Who may ask for what.
    pub access: Access,
    /// Names for requests that bring none.
    pub ids: RequestIds,
    /// Counts requests.
    pub measures: Measures,
    /// What can be watched.
    pub metrics: Arc<Metrics>,
    /// The description of the routes.
    pub described: Described,
    /// Memory for large bodies.
    pub bodies: BodyMemory,
    /// Places for large answers.
    pub downloads: Downloads,
    /// Places for answers that are compressed.
    pub compressors: Compressors,
    /// Places for streams of events.
    pub streams: Streams,
    /// The other nodes' APIs.
    pub peers: Peers,
}

impl<C> Api<C> {
    /// Made of `parts`.
    pub fn new(parts: Parts<C>) -> Api<C> {
        Api(Arc::new(parts))
    }
}

impl<C> Clone for Api<C> {
    fn clone(&self) -> Api<C> {
        Api(Arc::clone(&self.0))
    }
}

impl<C> FromRef<Api<C>> for FarmService<C> {
    fn from_ref(api: &Api<C>) -> FarmService<C> {
        api.0.service.clone()
    }
}

/// Lets handlers take a part as their `State`.
macro_rules! taken_as_state {
    ($($part:ident: $type:ty),* $(,)?) => {
        $(impl<C> FromRef<Api<C>> for $type {
            fn from_ref(api: &Api<C>) -> $type {
                api.0.$part.clone()
            }
        })*
    };
}

taken_as_state! {
    metrics: Arc<Metrics>,
    described: Described,
    downloads: Downloads,
    streams: Streams,
    peers: Peers,
}

/// Middleware: all that is done for every request, whatever its route. It is one, because axum makes
/// copies of whatever is inside of a middleware, for each request and for each of them anew.
pub async fn around<C: Consensus>(
    State(api): State<Api<C>>,
    mut request: Request,
    next: Next,
) -> Response {
    let parts = &*api.0;
    request.extensions_mut().insert(parts.bodies.clone());
    parts
        .compressors
        .compress(request, async |request| {
            parts
                .measures
                .count(request, async |request| {
                    headers::stamp(&parts.service, &parts.ids, request, async |request| {
                        traces::http::record(request, async |request| {
                            access::check(&parts.service, &parts.access, request, next).await
                        })
                        .await
                    })
                    .await
                })
                .await
        })
        .await
}
