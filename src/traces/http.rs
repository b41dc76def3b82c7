//! The step that a request is, and the headers that carry a trace from one to the next.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use opentelemetry::context::FutureExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, StringValue, Value};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::field::display;

use super::TRACER;
use crate::http::headers::request_id;

/// Probes and scrapes, which are many and all the same, are not below this path.
const TRACED: &str = "/api/";

/// Has `next` answer `request`; records that as a step of its caller's trace, or as the first of a new
/// one, and names the trace on the request's log lines. To be called in the span that has a field for
/// it.
pub async fn record(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let tracer = TRACER.get();
    let Some(tracer) = tracer.filter(|_| request.uri().path().starts_with(TRACED)) else {
        return next(request).await;
    };
    let context = begin(tracer, &request);
    let trace_id = context.span().span_context().trace_id();
    tracing::Span::current().record("trace_id", display(trace_id));
    let response = next(request).with_context(context.clone()).await;
    end(&context, response.status());
    response
}

/// Begins a step named and described as OpenTelemetry's conventions for HTTP servers say.
fn begin(tracer: &SdkTracer, request: &Request) -> Context {
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
    if let Some(id) = request_id() {
        let ids = Value::Array(vec![StringValue::from(id)].into());
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
