//! Where results go: to the terminal and to files under `target`.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// Durations, sorted.
#[derive(Debug, Clone, Default)]
pub struct Distribution(Vec<Duration>);

impl Distribution {
    pub fn new(mut values: Vec<Duration>) -> Distribution {
        values.sort_unstable();
        Distribution(values)
    }

    /// The smallest value that `percent` of a hundred are not above; zero if there is none.
    pub fn at(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// min, p50, p90, p99 and max in milliseconds.
    pub fn cells(&self) -> Vec<String> {
        let values = [0, 50, 90, 99, 100].map(|percent| self.at(percent));
        values.map(|value| format!("{:.0}", ms(value))).to_vec()
    }

    /// All values in milliseconds.
    pub fn json(&self) -> Value {
        json!(self.0.iter().map(|value| ms(*value)).collect::<Vec<_>>())
    }
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Prints `text` and keeps it in `target/NAME/report.txt`, beside `data` in `report.json`.
pub fn save(name: &str, text: &impl Display, data: &Value) {
    let dir: PathBuf = [env!("CARGO_MANIFEST_DIR"), "target", name]
        .iter()
        .collect();
    fs::create_dir_all(&dir).expect("a directory for the report");
    fs::write(dir.join("report.txt"), format!("{text}\n")).expect("room for the report");
    let data = serde_json::to_string_pretty(data).expect("plain data");
    fs::write(dir.join("report.json"), data).expect("room for the report");
    println!("{text}\nsaved in {}", dir.display());
}
