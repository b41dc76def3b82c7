//! The alert rules: by their own tests, and by a real Prometheus that scrapes a real cluster.
//!
//! `make setup` gets Prometheus' programs from Debian's package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raft3d::demo::nodes::free_addresses;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::cluster_support::{JOBS, PATIENCE, PRINTERS, TestCluster, http_client, wait_until};

/// Waits are shorter here than operators want them, so that a test need not be as patient.
const SHORTENED: [(&str, &str); 5] = [
    ("for: 10s", "for: 2s"),
    ("for: 30s", "for: 2s"),
    ("for: 1m", "for: 2s"),
    ("for: 5m", "for: 2s"),
    (
        "peer_last_contact_seconds > 10",
        "peer_last_contact_seconds > 2",
    ),
];

/// Pause between two looks at the alerts, which are evaluated once a second.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What a machine that is busy with other things may be told of, rightly, at any time.
const OF_THE_MACHINE: [&str; 3] = ["Raft3dSlowDisk", "Raft3dLeaderChanges", "Raft3dWritesFail"];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One of Prometheus' programs, where `scripts/setup.sh` puts them.
#[track_caller]
fn program(name: &str) -> PathBuf {
    let path = project().join("target/prometheus").join(name);
    assert!(path.exists(), "{} is missing: make setup", path.display());
    path
}

#[tokio::test]
async fn each_alert_fires_for_its_trouble_and_not_for_less() {
    for arguments in [["check", "alerts.yml"], ["test", "alerts.test.yml"]] {
        let [verb, file] = arguments;
        let checked = Command::new(program("promtool"))
            .args([verb, "rules", file])
            .current_dir(project().join("deploy/prometheus"))
            .output();
        let checked = checked.await.unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
    let read = |file| std::fs::read_to_string(project().join(file)).unwrap();
    let tests = read("deploy/prometheus/alerts.test.yml");
    for line in read("deploy/prometheus/alerts.yml").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            for what in [format!("{alert}, eval"), format!("alertname: {alert}\n")] {
                assert!(tests.contains(&what), "no test of {alert}");
            }
        }
    }
}

/// Prometheus, with the alert rules and `cluster` to scrape each second.
struct Prometheus {
    url: String,
    dir: TempDir,
    _process: Child,
}

impl Prometheus {
    async fn start(cluster: &TestCluster) -> Prometheus {
        let dir = tempfile::tempdir().unwrap();
        let rules = project().join("deploy/prometheus/alerts.yml");
        let mut rules = std::fs::read_to_string(rules).unwrap();
        for (usual, shorter) in SHORTENED {
            assert!(rules.contains(usual), "no `{usual}` in the rules");
            rules = rules.replace(usual, shorter);
        }
        let targets: Vec<_> = (1..=3).map(|id| &cluster.spec(id).http_addr).collect();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "farm", "static_configs": [{"targets": targets}]}],
        });
        std::fs::write(dir.path().join("alerts.yml"), rules).unwrap();
        // Every JSON document is one of YAML.
        std::fs::write(dir.path().join("prometheus.yml"), config.to_string()).unwrap();
        let address = free_addresses(1).unwrap().remove(0);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = Command::new(program("prometheus"))
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(dir.path())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        Prometheus {
            url: format!("http://{address}"),
            dir,
            _process: process.unwrap(),
        }
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let url = format!("{}/api/v1/{path}", self.url);
        let answer = http_client().get(url).send().await.ok()?;
        let mut answer: Value = answer.json().await.ok()?;
        Some(answer["data"].take())
    }

    /// Waits until all nodes have been scraped.
    async fn wait_for_scrapes(&self) {
        wait_until("Prometheus has scraped all nodes", async || {
            let found = self.ask("query?query=sum(up%3D%3D1)").await?;
            (found["result"][0]["value"][1] == "3").then_some(())
        })
        .await;
    }

    /// Waits until `wanted` fire and no others but those [`OF_THE_MACHINE`], each given as its name, a
    /// space, and the instance if it has one.
    async fn wait_for_alerts(&self, wanted: &[&str]) {
        let wanted: BTreeSet<_> = wanted.iter().map(|alert| (*alert).to_owned()).collect();
        let mut fired = BTreeSet::new();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.ask("alerts").await {
                fired = firing(&found);
                fired.retain(|alert| {
                    wanted.contains(alert) || !OF_THE_MACHINE.contains(&alert.as_str())
                });
                if fired == wanted {
                    return;
                }
            }
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                tokio::time::Instant::now() < deadline,
                "{wanted:?} should fire, and {fired:?} do:\n{}",
                log()
            );
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// The alerts that fire, as [`Prometheus::wait_for_alerts`] takes them.
fn firing(found: &Value) -> BTreeSet<String> {
    let alerts = found["alerts"].as_array().unwrap();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let name = |alert: &Value| {
        let label = |name: &str| {
            alert["labels"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        format!("{} {}", label("alertname"), label("instance"))
            .trim_end()
            .to_owned()
    };
    firing.map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_a_lost_quorum_and_an_empty_roll_are_told_by_their_own_alerts() {
    let mut cluster = TestCluster::start_with(&["--request-timeout-ms", "500"]).await;
    let prometheus = Prometheus::start(&cluster).await;
    prometheus.wait_for_scrapes().await;
    prometheus.wait_for_alerts(&[]).await;

    let leader = cluster.leader().await.node_id;
    let mut job = cluster.job_template(leader, 100).await;
    job["print_weight_in_grams"] = json!(60);
    let job = cluster.create(leader, JOBS, &job).await;
    prometheus.wait_for_alerts(&["Raft3dSpoolLow"]).await;
    let canceled = cluster
        .send_once(leader, |http, url| {
            let job = job["id"].as_i64().unwrap();
            http.post(format!("{url}{JOBS}/{job}/status?status=canceled"))
        })
        .await;
    canceled.expect(200);
    prometheus.wait_for_alerts(&[]).await;

    let lost = cluster.others(leader)[0];
    let down = |id: i32| format!("Raft3dNodeDown {}", cluster.spec(id).http_addr);
    let (first, second) = (down(lost), down(leader));
    cluster.kill9(lost).await;
    prometheus
        .wait_for_alerts(&[&first, "Raft3dNoQuorumMargin"])
        .await;

    cluster.kill9(leader).await;
    let alone = cluster.running()[0];
    prometheus
        .wait_for_alerts(&[&first, &second, "Raft3dNoLeader"])
        .await;
    let printer = json!({"company": "Prusa", "model": "MK4"});
    let refused = cluster.post(alone, PRINTERS, &printer).await;
    refused.expect_problem(503, "no-quorum");
    prometheus
        .wait_for_alerts(&[&first, &second, "Raft3dNoLeader", "Raft3dWritesFail"])
        .await;

    cluster.bring_back(lost).await;
    cluster.bring_back(leader).await;
    cluster.leader().await;
    // Refusals count for five minutes.
    prometheus.wait_for_alerts(&["Raft3dWritesFail"]).await;
}
