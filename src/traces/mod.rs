//! Distributed traces: what a request went through, on every node that took part.
//!
//! A node started with an endpoint records the steps of sampled requests ([`Step`]) and sends them to
//! a collector by OTLP (`export`). Without one nothing is recorded: every question below is
//! then an atomic load. A context travels to other nodes in the headers of requests ([`http`]) and in the
//! envelope of commands ([`TraceContext`]). `docs/tracing.md` lists the steps.

mod export;
pub mod http;

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use crate::client::http::HttpClient;
use crate::config::values::OtlpEndpoint;
use crate::domain::trace::TraceContext;

/// The id of the node that did something.
pub const NODE_ID: &str = "raft3d.node.id";

/// How long a node that stops waits for what is recorded to be sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Of this process, which is one node; there is none unless traces are on.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The traces that a node records, until it stops.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Has this process record traces as node `node_id`, and send them to `endpoint` by `http`: those
    /// that their callers have recorded, and the fraction `ratio` of the others. To be called in a tokio
    /// runtime, once; a second call records nothing. The error says why there can be no exporter.
    pub fn start(
        endpoint: &OtlpEndpoint,
        ratio: f64,
        node_id: i32,
        http: HttpClient,
    ) -> Result<Traces, String> {
        let resource = Resource::builder()
            .with_service_name("raft3d")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", format!("node-{node_id}")),
            ]);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                ratio,
            ))))
            .with_batch_exporter(export::to(endpoint, http)?)
            .build();
        let _ = TRACER.set(provider.tracer("raft3d"));
        Ok(Traces { provider })
    }

    /// Sends what is recorded, as far as the collector takes it within two seconds. Waits for that.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// A step of a recorded trace. It ends when its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Step(Context);

impl Step {
    /// A step of the request that is being answered here, if that is recorded.
    pub fn of_request(name: &'static str) -> Option<Step> {
        let tracer = TRACER.get()?;
        Step::below(tracer, &Context::current(), name, SpanKind::Internal)
    }

    /// A step below this one, that another node takes part in.
    pub fn elsewhere(&self, name: &'static str) -> Option<Step> {
        Step::below(TRACER.get()?, &self.0, name, SpanKind::Client)
    }

    fn below(
        tracer: &SdkTracer,
        parent: &Context,
        name: &'static str,
        kind: SpanKind,
    ) -> Option<Step> {
        if !parent.span().span_context().is_sampled() {
            return None;
        }
        let span = tracer.span_builder(name).with_kind(kind);
        let span = tracer.build_with_context(span, parent);
        Some(Step(parent.with_span(span)))
    }

    /// What tells other nodes of this step.
    pub fn context(&self) -> TraceContext {
        let span = self.0.span();
        let context = span.span_context();
        TraceContext {
            trace_id: context.trace_id().to_bytes(),
            span_id: context.span_id().to_bytes(),
            flags: context.trace_flags().to_u8(),
        }
    }

    /// Notes a fact. Nothing secret belongs here.
    pub fn set(&self, name: &'static str, value: impl Into<Value>) {
        self.0.span().set_attribute(KeyValue::new(name, value));
    }

    /// Notes that something happened just now, and why.
    pub fn note(&self, name: &'static str, reason: &str) {
        let reason = KeyValue::new("raft3d.reason", reason.to_owned());
        self.0.span().add_event(name, vec![reason]);
    }

    /// Notes that the step failed.
    pub fn fail(&self, reason: impl Into<Cow<'static, str>>) {
        self.0.span().set_status(Status::error(reason));
    }
}

/// Starts a step of the recorded trace that `submitted` is a step of, taken on this node at `began`.
pub fn follow(
    submitted: TraceContext,
    name: &'static str,
    began: SystemTime,
    facts: [KeyValue; 4],
) -> Option<impl Span> {
    let tracer = TRACER.get()?;
    let parent = SpanContext::new(
        TraceId::from_bytes(submitted.trace_id),
        SpanId::from_bytes(submitted.span_id),
        TraceFlags::new(submitted.flags),
        true,
        TraceState::NONE,
    );
    let parent = Context::new().with_remote_span_context(parent);
    let span = tracer
        .span_builder(name)
        .with_start_time(began)
        .with_attributes(facts);
    Some(tracer.build_with_context(span, &parent))
}

/// Whether traces are on.
pub fn on() -> bool {
    TRACER.get().is_some()
}
