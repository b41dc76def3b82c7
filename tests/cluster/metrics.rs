//! What real nodes show at `/metrics`, and that the files for operators ask for nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use crate::cluster_support::certs::Certs;
use crate::cluster_support::{JOBS, TestCluster, wait_until};
use crate::exposition::{CONTENT_TYPE, Family, Page};

const COMMITTED: [(&str, &str); 1] = [("result", "committed")];
const CREATED: [(&str, &str); 3] = [("method", "POST"), ("route", JOBS), ("status", "201")];

async fn scrape(cluster: &TestCluster, id: i32) -> Page {
    let url = cluster.url(id) + "/metrics";
    let answer = cluster.http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], CONTENT_TYPE);
    Page::parse(&answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_shows_what_it_does_and_the_files_for_operators_ask_for_nothing_else() {
    let args = ["--log-format", "json"];
    // With TLS there is one metric more, and none less.
    let mut cluster = TestCluster::start_prepared(&args, |layout| {
        Certs::prepare(layout);
    })
    .await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    let before = scrape(&cluster, leader).await;
    for _ in 0..5 {
        cluster.create(leader, JOBS, &job).await;
    }
    let after = scrape(&cluster, leader).await;
    let grown =
        |name, labels| after.value(name, labels) - before.find(name, labels).unwrap_or_default();
    assert_eq!(grown("raft3d_http_requests_total", &CREATED), 5.0);
    // A node submits something itself when it starts.
    assert!(grown("raft3d_raft_proposals_total", &COMMITTED) >= 5.0);
    for (name, least) in [
        ("raft3d_raft_propose_duration_seconds_count", 5.0),
        ("raft3d_raft_apply_duration_seconds_count", 5.0),
        ("raft3d_raft_wal_fsync_duration_seconds_count", 1.0),
        ("raft3d_raft_commit_index", 5.0),
        ("raft3d_raft_applied_index", 5.0),
        ("raft3d_raft_last_log_index", 5.0),
        ("process_cpu_seconds_total", 0.0),
    ] {
        assert!(
            grown(name, &[]) >= least,
            "{name} grew by {}",
            grown(name, &[])
        );
    }
    for name in [
        "raft3d_build_info",
        "raft3d_raft_log_bytes",
        "raft3d_raft_has_leader",
        "raft3d_http_connections_open",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(after.value(name, &[]) >= 1.0, "{name}");
    }

    cluster.look(leader, "/livez").await.expect(200);
    let snapshots = "/api/v1/cluster/snapshots";
    cluster
        .post(leader, snapshots, &Value::Null)
        .await
        .expect(202);
    let page = wait_until("the snapshot is written and timed", async || {
        let page = scrape(&cluster, leader).await;
        let count = page.value("raft3d_raft_snapshot_duration_seconds_count", &[]);
        (count >= 1.0).then_some(page)
    })
    .await;
    assert!(page.value("raft3d_raft_snapshot_last_index", &[]) > 0.0);

    // Everything has been used by now, and so everything has series.
    check_table(&page);
    let names = page.names();
    check_uses("the alerts", &alert_expressions(), &names);
    check_uses("the dashboard", &dashboard_expressions(), &names);
    check_log(&cluster, leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_follower_shows_as_lag_and_a_lost_leader_as_a_change() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    cluster.equal_indexes().await;
    let follower = cluster.others(leader)[0];
    let peer = follower.to_string();
    let peer = [("peer", peer.as_str())];
    let lag = async |cluster: &TestCluster| {
        let page = scrape(cluster, leader).await;
        page.value("raft3d_raft_last_log_index", &[])
            - page.value("raft3d_raft_peer_match_index", &peer)
    };
    cluster.kill9(follower).await;
    for _ in 0..10 {
        cluster.create(leader, JOBS, &job).await;
    }
    assert!(lag(&cluster).await >= 10.0);
    wait_until(
        "the lost follower has not answered for a second",
        async || {
            let page = scrape(&cluster, leader).await;
            let silence = page.value("raft3d_raft_peer_last_contact_seconds", &peer);
            (silence > 1.0).then_some(())
        },
    )
    .await;
    cluster.bring_back(follower).await;
    wait_until("the follower has caught up", async || {
        (lag(&cluster).await == 0.0).then_some(())
    })
    .await;

    let changes = "raft3d_raft_leader_changes_total";
    let before = scrape(&cluster, follower).await.value(changes, &[]);
    assert!(before >= 1.0, "the present leader counts");
    cluster.kill9(leader).await;
    let heir = cluster.leader().await.node_id;
    assert_ne!(heir, leader);
    for id in cluster.others(leader) {
        let page = scrape(&cluster, id).await;
        let leads = f64::from(u8::from(id == heir));
        assert_eq!(page.value("raft3d_raft_is_leader", &[]), leads, "node {id}");
        assert_eq!(page.value("raft3d_raft_has_leader", &[]), 1.0, "node {id}");
    }
    assert!(scrape(&cluster, follower).await.value(changes, &[]) > before);
}

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The table of the documentation is what a node says of itself.
#[track_caller]
fn check_table(page: &Page) {
    let row = |family: &Family| {
        let labels: BTreeSet<_> = family
            .samples
            .iter()
            .flat_map(|s| s.labels.keys())
            .collect();
        let labels: Vec<_> = labels.into_iter().filter(|label| *label != "le").collect();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let Family {
            name, kind, help, ..
        } = family;
        assert!(!family.samples.is_empty(), "nothing has used {name}");
        format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
    };
    let table: String = page.families.iter().map(row).collect();
    assert!(
        file("docs/operations.md").contains(&table),
        "the table of docs/operations.md has to be:\n{table}"
    );
}

/// The expressions of all alerts, each of which says what it is about and how bad it is.
fn alert_expressions() -> Vec<String> {
    let text = file("deploy/prometheus/alerts.yml");
    let documents = YamlLoader::load_from_str(&text).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap());
    let expression = |rule: &Yaml| {
        for place in [
            &rule["alert"],
            &rule["labels"]["severity"],
            &rule["annotations"]["summary"],
        ] {
            assert!(
                place.as_str().is_some_and(|text| !text.is_empty()),
                "{rule:?}"
            );
        }
        rule["expr"].as_str().unwrap().to_owned()
    };
    rules.map(expression).collect()
}

fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/raft3d.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let expression = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let query = |variable: &Value| variable["query"]["query"].as_str().map(str::to_owned);
    targets
        .map(expression)
        .chain(variables.iter().filter_map(query))
        .collect()
}

/// Every metric in `expressions` is one that a node shows.
#[track_caller]
fn check_uses(who: &str, expressions: &[String], names: &BTreeSet<&str>) {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = expressions
        .iter()
        .flat_map(|text| text.split(|char| !is_part(char)));
    let ours = |word: &&str| word.starts_with("raft3d_") || word.starts_with("process_");
    let used: BTreeSet<_> = words.filter(ours).collect();
    assert!(used.len() > 5, "{who} use {used:?}");
    let unknown: Vec<_> = used.difference(names).collect();
    assert!(
        unknown.is_empty(),
        "{who} use what no node shows: {unknown:?}"
    );
}

/// Every line of a node's log is an object that a program can read, and names the node.
#[track_caller]
fn check_log(cluster: &TestCluster, id: i32) {
    let log = fs::read_to_string(cluster.spec(id).log_path()).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert!(!lines.is_empty());
    let mut targets = BTreeSet::new();
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "no {field}: {line}");
        }
        assert_eq!(event["spans"][0]["id"], json!(id), "{line}");
        targets.insert(event["target"].as_str().unwrap().to_owned());
    }
    for target in ["raft3d::serve", "raft3d::core"] {
        assert!(targets.contains(target), "{targets:?}");
    }
}
