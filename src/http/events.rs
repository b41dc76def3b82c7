//! `/api/v1/events`: what has happened, page by page, as a stream, or as a file.
//!
//! A position is a log index, and means that all events up to there are known. Any node can go on
//! from any position that it still has the events behind.

use std::io;

use axum::extract::{Extension, State};
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::access::Pass;
use super::blocking::off_the_runtime;
use super::download::Downloads;
use super::event_export::Export;
use super::event_stream::{self, Streams};
use super::headers;
use super::list;
use super::openapi::problems::{Following, Hashing};
use super::openapi::{parameters, schemas};
use super::problem::{Problem, ProblemType};
use super::query::Params;
use crate::consensus::Consensus;
use crate::domain::events::json::EventView;
use crate::domain::events::{Change, Event, OBJECT_NAMES, VERBS};
use crate::domain::id::Id;
use crate::domain::state::State as FarmState;
use crate::service::{Consistency, FarmService};

/// Query parameters of pages and streams.
const PARAMS: [&str; 5] = ["consistency", "limit", "after", "kind", "object"];
/// Where a client that reads a stream again was.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Events of a page unless asked for otherwise.
const LIMIT_DEFAULT: usize = 100;
/// A page or a piece of a stream looks at no more events than this, whatever the filter lets through.
pub const SCAN_MAX: usize = 20_000;
/// A page ends early at this size, in bytes; its last event may exceed it.
const PAGE_SIZE: usize = 1 << 20;

/// Which events, and from where.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described")]
struct EventParams {
    /// Most events of a page; not for streams
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// Only events behind this log index; a page begins with the oldest that are kept, a stream with
    /// those to come
    #[param(nullable = false)]
    after: Option<u64>,
    /// Only events with a change of this kind, such as `job.done`
    #[param(inline, nullable = false)]
    kind: Option<schemas::EventKindName>,
    /// Only events with a change of such an object, as in `printer` or `printer:3`
    #[param(inline, nullable = false)]
    object: Option<schemas::EventObjectName>,
}

/// `GET /api/v1/events`: a page, or a stream if the client accepts `text/event-stream`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    summary = "What has happened, by pages, or as a stream of server-sent events",
    description = "Events of tokens are shown to admins only.",
    params(EventParams, parameters::Consistency),
    responses(
        (status = 200, description = "The events", content(
            (Vec<schemas::Event> = "application/json"),
            (String = "text/event-stream"),
        )),
        Following,
    )
)]
pub async fn get<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(streams): State<Streams>,
    Extension(pass): Extension<Pass>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &PARAMS)?;
    let filter = Filter::of(&params, pass.sees_tokens())?;
    if accepts(&headers, event_stream::CONTENT_TYPE) {
        let position = match headers.get(LAST_EVENT_ID) {
            Some(id) => Some(last_event_id(id)?),
            None => after(&params)?,
        };
        event_stream::open(service, &streams, &params, filter, position, pass).await
    } else {
        page(&service, &params, &filter).await
    }
}

/// `GET /api/v1/events/export`: all that is kept, and the farm before it, as JSON lines.
#[utoipa::path(
    get,
    path = "/api/v1/events/export",
    tag = "events",
    summary = "Download all events that are kept, and the farm before them",
    description = "Events of tokens are there for admins only; the farm is the same without.",
    params(parameters::Consistency),
    responses(
        (status = 200, description = "For `raft3d events replay`", content_type = "application/x-ndjson", body = String),
        Hashing,
    )
)]
pub async fn export<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(downloads): State<Downloads>,
    Extension(pass): Extension<Pass>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::parse(&uri, &["consistency"])?;
    let place = downloads.enter()?;
    let state = service.read(params.consistency()?).await?;
    let index = state.applied_index();
    let with_tokens = pass.sees_tokens();
    let export = off_the_runtime(move || Export::of(state, with_tokens)).await?;
    let export = export.map_err(|error| Problem::new(ProblemType::Internal, error.to_string()))?;
    let check = pass.check_in(service);
    let chunks = stream::unfold((export, place), move |(mut export, place)| {
        let chunk = match check() {
            Ok(()) => export.next_chunk().map_err(io::Error::from).transpose(),
            Err(reason) => Some(Err(io::Error::other(reason))),
        };
        async move { Some((chunk?, (export, place))) }
    });
    let mut response = axum::body::Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("application/x-ndjson");
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(headers::INDEX, index.into());
    Ok(response)
}

async fn page<C: Consensus>(
    service: &FarmService<C>,
    params: &Params,
    filter: &Filter,
) -> Result<Response, Problem> {
    let limit = list::limit(params)?.unwrap_or(LIMIT_DEFAULT);
    let after = after(params)?;
    let consistency = params.consistency()?;
    let state = service.read(consistency).await?;
    let after = after.unwrap_or_else(|| state.events().oldest_position());
    check_position(&state, after, consistency)?;

    let page = Page::of(&state, after, filter, limit)
        .map_err(|error| Problem::new(ProblemType::Internal, error.to_string()))?;
    let mut response = page.body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(headers::INDEX, state.applied_index().into());
    if let Some(position) = page.more_behind {
        let next = list::next_link("/api/v1/events", params, &position.to_string())?;
        headers.insert(LINK, next);
    }
    Ok(response)
}

/// Part of the events as a JSON array.
struct Page {
    body: Vec<u8>,
    /// The position reached, if there are events behind it.
    more_behind: Option<u64>,
}

impl Page {
    fn of(
        state: &FarmState,
        after: u64,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, serde_json::Error> {
        let mut body = vec![b'['];
        let (mut position, mut count) = (after, 0);
        let mut more_behind = None;
        let events = state.events().after(after).into_iter().flatten();
        for (examined, event) in events.enumerate() {
            if count == limit || examined == SCAN_MAX || body.len() >= PAGE_SIZE {
                more_behind = Some(position);
                break;
            }
            position = event.index;
            if filter.matches(event) {
                if count > 0 {
                    body.push(b',');
                }
                count += 1;
                serde_json::to_writer(&mut body, &EventView::from(event.as_ref()))?;
            }
        }
        body.push(b']');
        Ok(Page { body, more_behind })
    }
}

/// Refuses a position that nothing can be gone on from.
pub fn check_position(
    state: &FarmState,
    position: u64,
    consistency: Consistency,
) -> Result<(), Problem> {
    let (oldest, newest) = (state.events().oldest_position(), state.applied_index());
    let reason = if position < oldest {
        format!("the events behind index {position} are not all kept any more")
    } else if position > newest && consistency == Consistency::Linearizable {
        format!("index {position} is not of this cluster's log, which ends before it")
    } else {
        return Ok(());
    };
    let detail = format!(
        "{reason}; events can be had from after={oldest} on, and the log is at {newest}: take the \
         farm as it is (GET /api/v1/events/export, or the lists) and go on behind its index"
    );
    Err(Problem::new(ProblemType::PositionGone, detail)
        .with_positions(oldest, newest)
        .at(newest))
}

/// Which events to show: those with a change that matches all that is given.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    kind: Option<String>,
    object: Option<String>,
    id: Option<Id>,
    /// Whether the client may see events of tokens at all.
    sees_tokens: bool,
}

impl Filter {
    fn of(params: &Params, sees_tokens: bool) -> Result<Filter, Problem> {
        let refuse = |detail| Problem::new(ProblemType::InvalidParameter, detail);
        let kind = params.get("kind");
        let known = |kind: &str| {
            let parts = kind.split_once('.');
            parts.is_some_and(|(name, verb)| OBJECT_NAMES.contains(&name) && VERBS.contains(&verb))
        };
        if let Some(kind) = kind.filter(|kind| !known(kind)) {
            return Err(refuse(format!(
                "kind is one of {} with one of {}, as in job.created, not `{kind}`",
                OBJECT_NAMES.join(", "),
                VERBS.map(|verb| format!(".{verb}")).join(", "),
            )));
        }
        let (object, id) = match params.get("object").map(|text| text.split_once(':')) {
            None => (None, None),
            Some(None) => (params.get("object"), None),
            Some(Some((name, key))) => (Some(name), Some(Id::from_key(key)?)),
        };
        if let Some(name) = object.filter(|name| !OBJECT_NAMES.contains(name)) {
            return Err(refuse(format!(
                "object is one of {}, perhaps with an id as in printer:3, not `{name}`",
                OBJECT_NAMES.join(", "),
            )));
        }
        Ok(Filter {
            kind: kind.map(str::to_owned),
            object: object.map(str::to_owned),
            id,
            sees_tokens,
        })
    }

    /// Whether `event` is one of those asked for.
    pub fn matches(&self, event: &Event) -> bool {
        let visible = self.sees_tokens || !event.is_of_tokens();
        let asked_for = |change: &Change| {
            let kind = self.kind.as_ref();
            let object = change.object();
            kind.is_none_or(|kind| change.kind().is(kind))
                && (self.object.as_deref())
                    .is_none_or(|name| object.is_some_and(|object| object.name() == name))
                && (self.id.as_ref())
                    .is_none_or(|id| object.and_then(|object| object.id()).as_ref() == Some(id))
        };
        visible && event.changes.iter().any(asked_for)
    }
}

fn after(params: &Params) -> Result<Option<u64>, Problem> {
    let Some(text) = params.get("after") else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = format!("after is a log index, not `{text}`");
        Problem::new(ProblemType::InvalidParameter, detail)
    })
}

fn last_event_id(value: &HeaderValue) -> Result<u64, Problem> {
    let index = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    index.ok_or_else(|| {
        let detail = format!("Last-Event-ID is a log index, not {value:?}");
        Problem::new(ProblemType::InvalidHeader, detail)
    })
}

/// Whether the client asks for `media_type` by name.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let lists = headers.get_all(axum::http::header::ACCEPT).into_iter();
    let ranges = lists.filter_map(|list| list.to_str().ok());
    let mut ranges = ranges.flat_map(|list| list.split(','));
    ranges.any(|range| {
        let range = range.split(';').next().unwrap_or_default();
        range.trim().eq_ignore_ascii_case(media_type)
    })
}
