//! What all parts report with: logs, which are `tracing` events to standard error under a span that
//! names the node, and the forms of metrics. [`crate::metrics`] puts the metrics together.

mod crowd;
mod seldom;

use std::fmt;
use std::io::IsTerminal;

use clap::ValueEnum;
pub use crowd::Crowd;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
pub use seldom::Seldom;
use serde::Deserialize;
use tracing::Span;
use tracing_subscriber::EnvFilter;

/// Upper bounds for what waits for disks, networks or people, in seconds: half a millisecond to
/// ten seconds.
const WAIT_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds for what only the processor does, in seconds: a microsecond to a tenth of a second.
const WORK_BUCKETS: [f64; 11] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2, 1e-1,
];

/// A histogram of waits, in seconds.
pub fn waits() -> Histogram {
    Histogram::new(WAIT_BUCKETS)
}

/// A histogram of short work, in seconds.
pub fn work() -> Histogram {
    Histogram::new(WORK_BUCKETS)
}

/// Writes one gauge without labels.
pub fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    gauges(encoder, name, help, [([("", ""); 0], value)])
}

/// Writes a gauge for each of `values`, with its labels.
pub fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, V)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        let gauge = ConstGauge::new(value);
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people to read
    #[default]
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Starts logging to standard error; `filter` is as [`EnvFilter`] reads it.
///
/// To be called once, by the program: a library user or a test installs its own subscriber.
pub fn init(
    filter: &str,
    format: LogFormat,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    }
}

/// The span that one node's events belong to.
pub fn node_span(node_id: i32) -> Span {
    tracing::info_span!("node", id = node_id)
}
