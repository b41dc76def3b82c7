//! Logs: `tracing` events to standard error, under a span that names the node.

use std::io::IsTerminal;

use tracing::Span;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error; `filter` is as [`EnvFilter`] reads it.
///
/// To be called once, by the program: a library user or a test installs its own subscriber.
pub fn init(filter: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
}

/// The span that one node's events belong to.
pub fn node_span(node_id: i32) -> Span {
    tracing::info_span!("node", id = node_id)
}
