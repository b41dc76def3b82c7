//! `raft3d bench`: how many print jobs a second can a running cluster take, and how fast is each?

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, ClientError, Request, failure, new_idempotency_key};
use super::options::ClientOptions;
use super::output::{Format, print_line};
use super::{FILAMENTS_PATH, JOBS_PATH, PRINTERS_PATH};

/// The heaviest filament that there can be, so that it outlasts any run: 2^53 - 1 grams.
const ENDLESS_GRAMS: u64 = (1 << 53) - 1;

/// Longest wait for one answer before the request counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The command line of `raft3d bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Clients at work at the same time, each on a connection of its own
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub clients: u32,
    /// How long to measure, in seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Where and how; the clients are spread evenly over the endpoints
    #[command(flatten)]
    pub options: ClientOptions,
}

/// What one client saw.
#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    failed: u64,
    last_failure: Option<String>,
}

/// Measures and prints the result; fails if any request failed or a created job is missing.
pub async fn run(args: BenchArgs) -> Result<(), ClientError> {
    let setup = args
        .options
        .api(Duration::from_secs(args.options.timeout))?;
    let job = prepare(&setup).await?;
    let deadline = Instant::now() + Duration::from_secs(args.seconds);
    let started = Instant::now();
    let clients: Vec<_> = (0..args.clients as usize)
        .map(|number| {
            let endpoint = setup.endpoints()[number % setup.endpoints().len()].clone();
            let options = ClientOptions {
                endpoint: vec![endpoint],
                ..args.options.clone()
            };
            Ok(tokio::spawn(one_client(
                options.api(ANSWER_TIMEOUT)?,
                job.clone(),
                deadline,
            )))
        })
        .collect::<Result<_, ClientError>>()?;
    let mut total = Tally::default();
    for client in clients {
        let tally: Tally = client
            .await
            .map_err(|error| ClientError::Other(error.to_string()))?;
        total.latencies.extend(tally.latencies);
        total.failed += tally.failed;
        total.last_failure = tally.last_failure.or(total.last_failure);
    }
    let elapsed = started.elapsed();
    total.latencies.sort_unstable();
    let stored = count_jobs(&setup, &job["filament_id"]).await?;
    let report = Report::new(&args, elapsed, total, stored);
    print_line(&report.render(args.options.output))?;
    report.verdict()
}

/// Creates the printer and the filament of the run; gives the body of its jobs.
async fn prepare(api: &Api) -> Result<Value, ClientError> {
    let printer = json!({"company": "bench", "model": "bench"});
    let filament = json!({"type": "PLA", "color": "grey", "total_weight_in_grams": ENDLESS_GRAMS});
    let printer = create(api, PRINTERS_PATH, &printer).await?;
    let filament = create(api, FILAMENTS_PATH, &filament).await?;
    Ok(json!({
        "printer_id": printer["id"],
        "filament_id": filament["id"],
        "filepath": "bench.gcode",
        "print_weight_in_grams": 1,
    }))
}

async fn create(api: &Api, path: &str, body: &Value) -> Result<Value, ClientError> {
    let key = new_idempotency_key()?;
    api.call(&Request::post(path, Some(body), &key)).await
}

/// Creates jobs one after the other until `deadline`; a client of its own is a connection of its
/// own.
async fn one_client(api: Api, job: Value, deadline: Instant) -> Tally {
    let endpoint = &api.endpoints()[0];
    let mut tally = Tally::default();
    while Instant::now() < deadline {
        let request = Request {
            idempotency_key: None,
            ..Request::post(JOBS_PATH, Some(&job), "")
        };
        let started = Instant::now();
        let failure = match api.send(endpoint, &request, ANSWER_TIMEOUT).await {
            Ok(answer) if answer.status.is_success() => {
                tally.latencies.push(started.elapsed());
                continue;
            }
            Ok(answer) => answer.problem(),
            Err(error) => failure(&error),
        };
        tally.failed += 1;
        tally.last_failure = Some(failure);
    }
    tally
}

async fn count_jobs(api: &Api, filament_id: &Value) -> Result<usize, ClientError> {
    let id = filament_id
        .as_str()
        .map_or_else(|| filament_id.to_string(), str::to_owned);
    let query = [("filament_id", id)];
    let jobs = api.call(&Request::get(JOBS_PATH, &query)).await?;
    Ok(jobs.as_array().map_or(0, Vec::len))
}

/// The result of a run; latencies in milliseconds.
struct Report {
    clients: u32,
    seconds: f64,
    created: usize,
    stored: usize,
    failed: u64,
    last_failure: Option<String>,
    per_second: f64,
    percentiles_ms: Vec<(&'static str, f64)>,
}

impl Report {
    fn new(args: &BenchArgs, elapsed: Duration, total: Tally, stored: usize) -> Report {
        let created = total.latencies.len();
        let at = |fraction| percentile(&total.latencies, fraction).as_micros() as f64 / 1_000.0;
        Report {
            clients: args.clients,
            seconds: elapsed.as_secs_f64(),
            created,
            stored,
            failed: total.failed,
            last_failure: total.last_failure,
            per_second: created as f64 / elapsed.as_secs_f64(),
            percentiles_ms: vec![
                ("p50", at(0.50)),
                ("p90", at(0.90)),
                ("p99", at(0.99)),
                ("p99.9", at(0.999)),
                ("max", at(1.0)),
            ],
        }
    }

    fn render(&self, format: Format) -> String {
        match format {
            Format::Json => format!("{:#}", self.json()),
            Format::Table => self.table(),
        }
    }

    fn json(&self) -> Value {
        let latency: serde_json::Map<String, Value> = self
            .percentiles_ms
            .iter()
            .map(|(name, ms)| ((*name).to_owned(), (*ms).into()))
            .collect();
        json!({
            "clients": self.clients,
            "seconds": self.seconds,
            "created": self.created,
            "stored": self.stored,
            "failed": self.failed,
            "per_second": self.per_second,
            "latency_ms": latency,
        })
    }

    fn table(&self) -> String {
        let mut lines = vec![
            format!("clients      {}", self.clients),
            format!("seconds      {:.1}", self.seconds),
            format!(
                "jobs created {} ({} found afterwards)",
                self.created, self.stored
            ),
            format!("failed       {}", self.failed),
            format!("jobs/s       {:.0}", self.per_second),
        ];
        let rows = self.percentiles_ms.iter();
        lines.extend(rows.map(|(name, ms)| format!("{name:<12} {ms:.2} ms")));
        lines.join("\n")
    }

    /// A created job that is not found was lost; one found but not seen created belongs to a
    /// failed request that was carried out after all.
    fn verdict(&self) -> Result<(), ClientError> {
        if self.stored < self.created {
            return Err(ClientError::Other(format!(
                "{} jobs were acknowledged and only {} are there",
                self.created, self.stored
            )));
        }
        match &self.last_failure {
            Some(failure) => Err(ClientError::Other(format!(
                "{} requests failed, the last with: {failure}",
                self.failed
            ))),
            None => Ok(()),
        }
    }
}

/// The value below which `fraction` of the sorted values lie; zero if there are none.
fn percentile(sorted: &[Duration], fraction: f64) -> Duration {
    let rank = (sorted.len() as f64 * fraction).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.50), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&sorted, 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_lost_job_fails_the_run() {
        let args = BenchArgs {
            clients: 1,
            seconds: 1,
            options: ClientOptions {
                ca: None,
                endpoint: vec!["h:1".into()],
                output: Format::Table,
                timeout: 1,
                token_file: None,
            },
        };
        let tally = || Tally {
            latencies: vec![Duration::from_millis(2); 3],
            ..Tally::default()
        };
        assert!(
            Report::new(&args, Duration::from_secs(1), tally(), 3)
                .verdict()
                .is_ok()
        );
        assert!(
            Report::new(&args, Duration::from_secs(1), tally(), 2)
                .verdict()
                .is_err()
        );
    }
}
