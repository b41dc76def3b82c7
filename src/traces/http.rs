//! The step that a request is, and the headers that carry a trace from one to the next.

use std::pin::Pin;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use opentelemetry::context::FutureExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, StringValue, Value};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Span;
use tracing::field::display;

use super::TRACER;

/// Probes and scrapes, which are many and all the same, are not below this path.
const TRACED: &str = "/api/";

/// Begins the step that `request` is, unless nothing is recorded: one of its caller's trace, or the
/// first of a new one. Its id is `id`, and the trace is named in `span`, that of its log lines.
pub fn begin(request: &Request, id: &HeaderValue, span: &Span) -> Option<Context> {
    let tracer = TRACER.get()?;
    if !request.uri().path().starts_with(TRACED) {
        return None;
    }
    let step = step(tracer, request, id);
    span.record("trace_id", display(step.span().span_context().trace_id()));
    Some(step)
}

/// Waits for the `answer` to the request that is `step`, in it and to its end.
pub async fn record(
    step: Option<Context>,
    answer: Pin<&mut impl Future<Output = Response>>,
) -> Response {
    let Some(step) = step else {
        return answer.await;
    };
    let response = answer.with_context(step.clone()).await;
    end(&step, response.status());
    response
}

/// A step named and described as OpenTelemetry's conventions for HTTP servers say.
fn step(tracer: &SdkTracer, request: &Request, id: &HeaderValue) -> Context {
    let headers = HeaderExtractor(request.headers());
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    let method = request.method();
    let route = request.extensions().get::<MatchedPath>();
    let name = match route {
        Some(route) => format!("{method} {}", route.as_str()),
        None => method.to_string(),
    };
    let mut facts = vec![
        KeyValue::new("http.request.method", method.to_string()),
        KeyValue::new("url.path", request.uri().path().to_owned()),
    ];
    if let Some(route) = route {
        facts.push(KeyValue::new("http.route", route.as_str().to_owned()));
    }
    if let Ok(id) = id.to_str() {
        let ids = Value::Array(vec![StringValue::from(id.to_owned())].into());
        facts.push(KeyValue::new("http.request.header.x-request-id", ids));
    }
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_attributes(facts);
    parent.with_span(tracer.build_with_context(span, &parent))
}

fn end(context: &Context, status: StatusCode) {
    let span = context.span();
    let code = i64::from(status.as_u16());
    span.set_attribute(KeyValue::new("http.response.status_code", code));
    if status.is_server_error() {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
}

/// The headers that let another node go on with the trace of the request that is being answered here.
pub fn handed_on() -> HeaderMap {
    let mut headers = HeaderMap::new();
    if TRACER.get().is_some() {
        TraceContextPropagator::new().inject(&mut HeaderInjector(&mut headers));
    }
    headers
}
