//! Counts what becomes of the commands submitted on a node: its clients' and its own.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::SubmitError;
use crate::domain::outcome::Outcome;
use crate::telemetry;

type Label = [(&'static str, &'static str); 1];

/// What became of submissions, and how long that took. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct Proposals {
    results: Family<Label, Counter>,
    committed: Counter,
    refused: Counter,
    unknown: Counter,
    seconds: Histogram,
}

impl Proposals {
    /// Nothing was submitted yet.
    pub(super) fn new() -> Proposals {
        let results = Family::<Label, Counter>::default();
        // Each is there from the start: what has never been seen has no rate.
        let of = |result| results.get_or_create_owned(&[("result", result)]);
        Proposals {
            committed: of("committed"),
            refused: of("refused"),
            unknown: of("unknown"),
            results,
            seconds: telemetry::waits(),
        }
    }

    /// Adds them to `registry`.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "proposals",
            "Commands submitted on this node: committed (whatever the farm's rules made of them), \
             refused (in no log) or unknown",
            self.results.clone(),
        );
        registry.register(
            "propose_duration_seconds",
            "From taking a command to its outcome, applied on this node, for those committed",
            self.seconds.clone(),
        );
    }

    /// Notes how the submission that began at `began` ended.
    pub(super) fn note(&self, result: &Result<Outcome, SubmitError>, began: Instant) {
        match result {
            Ok(_) => {
                self.seconds.observe(began.elapsed().as_secs_f64());
                self.committed.inc();
            }
            Err(SubmitError::OutcomeUnknown(_)) => drop(self.unknown.inc()),
            Err(_) => drop(self.refused.inc()),
        }
    }
}
