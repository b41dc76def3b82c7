//! What an operator can watch of one node, as Prometheus reads it: `docs/operations.md` has the
//! table of all names.
//!
//! Each part of a node counts for itself, in handles of its own, and adds them to the node's
//! [`Registry`] when it is put together ([`Metrics::new`]); nothing is shared by the process, so
//! nodes that share one keep apart. What is known anyway is looked up when somebody asks:
//!
//! * `raft`: this node's view of the cluster.
//! * `farm`: counts and rolls of the farm.
//! * `process`: what the system says of the process.

use std::fmt;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::farm::FarmView;
use self::process::ProcessView;
use self::raft::RaftView;
use crate::consensus::Consensus;
use crate::http::event_stream::Streams;
use crate::http::measure::Measures;
use crate::http::server::Connections;
use crate::service::FarmService;
use crate::tls::Tls;

mod farm;
mod process;
mod raft;

/// The `Content-Type` of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// All that one node exports.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// What there is to watch of `service`'s node, of the requests, connections and streams of its
    /// API, and of its certificates if it has any.
    pub fn new<C: Consensus>(
        service: &FarmService<C>,
        measures: &Measures,
        connections: &Connections,
        streams: &Streams,
        tls: Option<&Tls>,
    ) -> Metrics {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessView));
        let ours = registry.sub_registry_with_prefix("raft3d");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "The version that runs; always 1", version);
        ours.register_collector(Box::new(FarmView::new(service.clone())));
        ours.register_collector(Box::new(RaftView::new(service.clone())));
        streams.register(ours);
        service.register_metrics(ours.sub_registry_with_prefix("raft"));
        let http = ours.sub_registry_with_prefix("http");
        measures.register(http);
        connections.register(http);
        if let Some(tls) = tls {
            tls.register(ours.sub_registry_with_prefix("tls"));
        }
        Metrics { registry }
    }

    /// Everything at this moment, in Prometheus' text format. Asks the core and the system: not to
    /// be called where that may hold others up.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
