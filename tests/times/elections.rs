//! Whether a leader that is well keeps its office.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::time::Instant;

use super::report::save;
use crate::cluster_support::{TestCluster, program};

/// Clients of the load.
const CLIENTS: &str = "64";
/// Pause between two looks at the nodes.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Whether there is load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    Yes,
    No,
}

/// Runs a cluster with default settings for `time` and panics if its term changes.
pub async fn assert_none(time: Duration, quiet: Quiet) {
    let mut cluster = TestCluster::start().await;
    let first = cluster.leader().await;
    let load = (quiet == Quiet::No).then(|| bench(&cluster, time));
    let begun = Instant::now();
    let mut term = first.term;
    let mut elections = Vec::new();
    while begun.elapsed() < time {
        tokio::time::sleep(LOOK_PAUSE).await;
        let views = cluster.views().await;
        let highest = views.iter().map(|view| view.term).max().unwrap_or(term);
        if highest > term {
            elections.push((begun.elapsed().as_secs(), highest));
            term = highest;
        }
    }
    let load = match load {
        Some(load) => {
            let output = load.await.expect("the load runs");
            assert!(output.status.success(), "the load failed: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        None => "no load".to_owned(),
    };
    let last = cluster.leader().await;
    let name = if quiet == Quiet::Yes { "quiet" } else { "load" };
    let text = format!(
        "{name}: {} s, terms {} to {}, elections (second, term) {elections:?}\n{load}",
        begun.elapsed().as_secs(),
        first.term,
        last.term
    );
    let data = json!({
        "seconds": begun.elapsed().as_secs(),
        "first_term": first.term,
        "last_term": last.term,
        "elections": elections,
    });
    save(&format!("elections-{name}"), &text, &data);
    assert_eq!(first.term, last.term, "{text}");
}

fn bench(
    cluster: &TestCluster,
    time: Duration,
) -> impl Future<Output = std::io::Result<std::process::Output>> + use<> {
    let endpoints: Vec<String> = (1..=3).map(|id| cluster.url(id)).collect();
    let seconds = time.as_secs().to_string();
    let load = Command::new(program())
        .args(["bench", "--clients", CLIENTS, "--seconds", &seconds])
        .args(["--endpoint", &endpoints.join(",")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    load.expect("the program runs").wait_with_output()
}
