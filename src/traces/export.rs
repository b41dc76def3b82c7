//! Sends what is recorded to a collector.
//!
//! The SDK's batch processor keeps at most 2048 steps, drops what is above that, and has a thread of its own;
//! so nobody waits for a collector, whatever is the matter with it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient as Transport, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;
use tracing::{Instrument, Span, warn};

use crate::client::api::failure;
use crate::client::http::HttpClient;
use crate::config::values::OtlpEndpoint;
use crate::telemetry::Seldom;

/// How long the collector may take for one batch.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Failures are logged this seldom: while a collector is away every batch fails.
const WARNING_PERIOD: Duration = Duration::from_secs(60);

/// What sends steps to `endpoint` by `http`. A batch that the collector does not take is lost.
pub fn to(endpoint: &OtlpEndpoint, http: HttpClient) -> Result<SpanExporter, String> {
    let collector = Collector {
        http,
        runtime: Handle::current(),
        span: Span::current(),
        warnings: Seldom::new(WARNING_PERIOD),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_retry_policy(RetryPolicy::disabled())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(SEND_TIMEOUT)
        .with_endpoint(endpoint.traces_url())
        .build();
    exporter.map_err(|error| error.to_string())
}

/// The collector, as the program's own HTTP client reaches it.
struct Collector {
    http: HttpClient,
    /// The processor's thread has none.
    runtime: Handle,
    span: Span,
    warnings: Seldom,
}

#[async_trait]
impl Transport for Collector {
    async fn send_bytes(&self, batch: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(batch).await;
        if let Err(reason) = &sent
            && let Some(held_back) = self.warnings.admit()
        {
            self.span.in_scope(|| {
                warn!(
                    reason,
                    held_back, "traces are lost: the collector takes none"
                )
            });
        }
        Ok(sent?)
    }
}

impl Collector {
    async fn send(&self, batch: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let client = self.http.get();
        let mut request = reqwest::Request::try_from(batch).map_err(|error| failure(&error))?;
        *request.timeout_mut() = Some(SEND_TIMEOUT);
        let answer = async move { client.execute(request).await?.error_for_status() };
        let answer = self.runtime.spawn(answer.instrument(self.span.clone()));
        let answer = answer.await.map_err(|error| error.to_string())?;
        let answer = answer.map_err(|error| failure(&error))?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        Ok(response)
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Collector")
    }
}
