//! Is it steady?
//!
//! Three nodes with default settings take print jobs for ten minutes at 70 % of what they could
//! take, snapshots and compaction included. Clients do not wait for each other: a call has its time in
//! a schedule, and its latency counts from there, so that a pause shows in all calls that it
//! holds up. `RAFT3D_STEADY_S` is the length of the run in seconds (600).

#[path = "../tests/cluster_support/mod.rs"]
mod cluster_support;
mod support;

use std::time::Duration;

use cluster_support::{JOBS, TestCluster};
use hyper::Method;
use support::http::{Call, Connection, drive};
use support::nodes;
use support::plot::{Axis, Plot};
use support::report::{Figures, Report};
use support::samples::Samples;
use tokio::time::Instant;

const CLIENTS: usize = 64;
const SHARE: f64 = 0.7;
/// How long the cluster is driven as fast as it goes, to know what it could take.
const TRIAL: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(10);
const GRAMS: u64 = 1 << 50;

fn main() {
    nodes::runtime().block_on(async {
        let seconds = std::env::var("RAFT3D_STEADY_S").map_or(600, |seconds| {
            seconds.parse().expect("RAFT3D_STEADY_S is a number")
        });
        let mut cluster = TestCluster::start().await;
        let leader = cluster.leader().await;
        let job = cluster.job_template(1, GRAMS).await.to_string();
        let hosts = [1, 2, 3].map(|id| cluster.spec(id).http_addr.clone());
        let call = || Call {
            method: Method::POST,
            path: JOBS.to_owned(),
            body: job.clone(),
        };
        let trial = drive(&hosts, CLIENTS, TRIAL, |_| call()).await;
        let rate = trial.per_second() * SHARE;
        eprintln!("{rate:.0} jobs/s for {seconds} s");
        let windows = keep_up(&hosts, rate, Duration::from_secs(seconds), &call).await;
        let after = cluster.leader().await;
        let snapshots = cluster.views().await.iter().map(|view| view.snapshot_index).min();
        show(
            rate,
            &windows,
            format!(
                "{} leader changes; the oldest of the nodes' newest snapshots reaches index {} of {}.",
                after.term - leader.term,
                snapshots.unwrap_or_default(),
                after.applied_index
            ),
        );
    });
}

/// Makes `rate` calls per second for `time`; gives the latencies of each [`WINDOW`].
async fn keep_up(
    hosts: &[String],
    rate: f64,
    time: Duration,
    call: &impl Fn() -> Call,
) -> Vec<Samples> {
    let mut connections = Vec::new();
    for client in 0..CLIENTS {
        connections.push(Connection::open(&hosts[client % hosts.len()]).await);
    }
    let interval = Duration::from_secs_f64(CLIENTS as f64 / rate);
    let began = Instant::now();
    let windows = time.as_secs().div_ceil(WINDOW.as_secs()) as usize;
    let clients = connections
        .iter_mut()
        .zip(0..)
        .map(|(connection, client)| async move {
            let mut seen = vec![Samples::new(); windows];
            let first = interval.mul_f64(f64::from(client) / CLIENTS as f64);
            for number in 0.. {
                let offset = first + interval * number;
                if offset >= time {
                    break;
                }
                let due = began + offset;
                tokio::time::sleep_until(due).await;
                let (status, _) = connection.send(call()).await;
                assert!(status.is_success(), "a job was refused: {status}");
                let window = offset.as_secs() / WINDOW.as_secs();
                seen[window as usize].add(due.elapsed());
            }
            seen
        });
    let all = futures_util::future::join_all(clients).await;
    let mut total = vec![Samples::new(); windows];
    for seen in &all {
        let pairs = total.iter_mut().zip(seen);
        pairs.for_each(|(sum, samples)| sum.merge(samples));
    }
    total
}

fn show(rate: f64, windows: &[Samples], circumstances: String) {
    let mut report = Report::new("steady", "Is it steady?");
    let mut whole = Samples::new();
    windows.iter().for_each(|window| whole.merge(window));
    report.finding(format!(
        "{rate:.0} print jobs a second, 70 % of what {CLIENTS} clients reach, for {} s: p50 {:.2} ms, p99 {:.1} ms, \
         p99.9 {:.1} ms, longest {:.0} ms; none refused. {circumstances}",
        windows.len() as u64 * WINDOW.as_secs(),
        whole.millis(0.5),
        whole.millis(0.99),
        whole.millis(0.999),
        whole.millis(1.0),
    ));
    let quantiles = [
        ("p50", 0.5),
        ("p99", 0.99),
        ("p99.9", 0.999),
        ("longest", 1.0),
    ];
    let mut plot = Plot::new(
        "Latency over time, from the scheduled moment of each call",
        Axis::linear("seconds"),
        Axis::logarithmic("milliseconds"),
    );
    for (name, quantile) in quantiles {
        let points = windows.iter().zip(1..).map(|(window, number)| {
            let end = f64::from(number) * WINDOW.as_secs_f64();
            (end, window.millis(quantile))
        });
        plot.line(name, points.collect());
    }
    report.plot(plot);
    let mut table = Figures::new(
        "By the minute",
        &[
            "minute",
            "jobs/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "longest ms",
        ],
    );
    for (minute, windows) in (1..).zip(windows.chunks(6)) {
        let mut samples = Samples::new();
        windows.iter().for_each(|window| samples.merge(window));
        let seconds = windows.len() as f64 * WINDOW.as_secs_f64();
        let [p50, p99, p999, longest] =
            quantiles.map(|(_, quantile)| format!("{:.2}", samples.millis(quantile)));
        let per_second = format!("{:.0}", samples.count() as f64 / seconds);
        table.row([minute.to_string(), per_second, p50, p99, p999, longest]);
    }
    report.table(table);
    report.save();
}
