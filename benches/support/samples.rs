//! Latencies of one kind of operation.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

/// Latencies from 10 ns to 100 s, to three digits.
#[derive(Debug, Clone)]
pub struct Samples(Histogram<u64>);

impl Samples {
    /// No samples yet.
    pub fn new() -> Samples {
        Samples(Histogram::new_with_bounds(10, 100_000_000_000, 3).expect("valid bounds"))
    }

    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Samples) {
        self.0.add(&other.0).expect("the same bounds");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency below which the fraction `quantile` of the samples lies, in microseconds.
    pub fn micros(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The same in milliseconds.
    pub fn millis(&self, quantile: f64) -> f64 {
        self.micros(quantile) / 1e3
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(latencies: I) -> Samples {
        let mut samples = Samples::new();
        latencies
            .into_iter()
            .for_each(|latency| samples.add(latency));
        samples
    }
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let figures = serde_json::json!({
            "count": self.count(),
            "p50_us": self.micros(0.5),
            "p99_us": self.micros(0.99),
            "p999_us": self.micros(0.999),
            "max_us": self.micros(1.0),
        });
        figures.serialize(serializer)
    }
}
