//! Counts and times requests, and shows what can be watched of the node.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::openapi::problems::OwnFault;
use super::problem::{Problem, ProblemType};
use crate::metrics::{self, Metrics};
use crate::telemetry;

/// Counts of answered requests and how long they took. Clones count together.
///
/// Nothing that a client may choose freely becomes a label: paths are the templates of the routes,
/// and methods that no route takes are one.
#[derive(Debug, Clone)]
pub struct Measures {
    requests: Family<Answered, Counter>,
    durations: Family<Question, Histogram, fn() -> Histogram>,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            requests: Family::default(),
            durations: Family::new_with_constructor(telemetry::waits),
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Asked {
    what: Question,
    began: Instant,
}

impl Asked {
    /// `request`, that has come just now.
    pub fn begin(request: &Request) -> Asked {
        Asked {
            what: Question {
                method: method_name(request.method()),
                route: Route(request.extensions().get::<MatchedPath>().cloned()),
            },
            began: Instant::now(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Question {
    method: &'static str,
    route: Route,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Route,
    status: u16,
}

/// The template of a route; `None` where there is none.
#[derive(Debug, Clone)]
struct Route(Option<MatchedPath>);

impl Route {
    fn name(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Route) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Route {}

impl std::hash::Hash for Route {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.name().encode(encoder)
    }
}

impl Measures {
    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests answered, by method, route and status",
            self.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "From the head of a request to its answer, by method and route",
            self.durations.clone(),
        );
    }

    /// Counts and times what was `asked` and is answered with `response`.
    pub fn end(&self, asked: Asked, response: &Response) {
        let seconds = asked.began.elapsed().as_secs_f64();
        let duration = self.durations.get_or_create(&asked.what);
        duration.observe(seconds);
        drop(duration);
        let Question { method, route } = asked.what;
        let answered = Answered {
            method,
            route,
            status: response.status().as_u16(),
        };
        self.requests.get_or_create(&answered).inc();
    }
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// `GET /metrics`, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "watching",
    summary = "What can be watched of the node, for Prometheus",
    responses(
        (status = 200, description = "Prometheus' text format", body = String, content_type = metrics::CONTENT_TYPE),
        OwnFault,
    )
)]
pub async fn show(State(metrics): State<Arc<Metrics>>) -> Result<Response, Problem> {
    // It asks the core and reads files of the system: nobody else is to wait for that.
    let text = tokio::task::spawn_blocking(move || metrics.text()).await;
    match text {
        Ok(Ok(text)) => Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()),
        Ok(Err(error)) => Err(Problem::new(ProblemType::Internal, error.to_string())),
        Err(error) => Err(Problem::new(ProblemType::Internal, error.to_string())),
    }
}
