//! What the routes of one node work with, and what is done around each of them.

use std::pin::pin;
use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::access::{self, Access};
use super::body::BodyMemory;
use super::download::Downloads;
use super::event_stream::Streams;
use super::gzip::{self, Compressors};
use super::headers::{self, Names};
use super::measure::{self, Measures};
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
    /// What answers are named by.
    pub names: Names,
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
/// copies of whatever is inside of a middleware, for each request and for each of them anew. It calls
/// what is done before and after, and nests none of it: every function that a request is handed down
/// through has a copy of it in its future.
pub async fn around<C: Consensus>(
    State(api): State<Api<C>>,
    mut request: Request,
    next: Next,
) -> Response {
    let parts = &*api.0;
    request.extensions_mut().insert(parts.bodies.clone());
    let accepted = gzip::accepted(request.headers());
    let asked = measure::Asked::begin(&request);
    let id = parts.names.of_request(request.headers());
    let span = headers::span(&id, &request);
    let step = traces::http::begin(&request, &id, &span);

    let answer = async {
        match access::check(&parts.service, &parts.access, &mut request).await {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal,
        }
    };
    let mut answer = pin!(headers::naming(id.clone(), answer).instrument(span));
    let mut response = traces::http::record(step, answer.as_mut()).await;

    headers::log(answer.span(), &response);
    parts.names.stamp(&mut response, id, &parts.service);
    parts.measures.end(asked, &response);
    parts.compressors.compress(accepted, response).await
}
