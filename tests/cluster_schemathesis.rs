//! schemathesis, a program that tests APIs by their own description, against a real cluster.
//!
//! What it is told is in `schemathesis.toml`. `make schemathesis SECONDS=600` does more of it.

mod cluster_support;
mod exposition;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cluster_support::TestCluster;
use exposition::Page;
use raft3d::secret::Secret;
use tokio::process::Command;

/// Where `scripts/setup.sh` installs it.
const PROGRAM: &str = "target/schemathesis/bin/schemathesis";

/// The variable in which `schemathesis.toml` expects a token that may do everything.
const TOKEN: &str = "RAFT3D_TOKEN";

/// How long it takes unless `RAFT3D_SECONDS` says otherwise.
const SECONDS: &str = "60";

/// Every check on every operation, through a node that does not lead, of a cluster that demands
/// tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_does_what_its_description_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(PROGRAM);
    assert!(program.exists(), "{PROGRAM} is missing: make setup");
    let dir = tempfile::tempdir().unwrap();
    let admin = Secret::generate().unwrap();
    let admin_file = dir.path().join("admin.token");
    fs::write(&admin_file, admin.reveal()).unwrap();
    fs::set_permissions(&admin_file, fs::Permissions::from_mode(0o600)).unwrap();
    let args = [
        "--require-tokens",
        "--admin-token-file",
        admin_file.to_str().unwrap(),
    ];
    let mut cluster = TestCluster::start_prepared(&args, |layout| {
        layout.token = Some(admin.clone());
    })
    .await;
    let leader = cluster.leader().await.node_id;
    let follower = cluster.others(leader)[0];
    let seconds = std::env::var("RAFT3D_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
    let output = Command::new(program)
        .arg("--config-file")
        .arg(root.join("tests/schemathesis.toml"))
        .args(["--no-color", "run", "--max-time", &seconds])
        .arg(cluster.url(follower) + "/openapi.json")
        .env(TOKEN, admin.reveal())
        .current_dir(dir.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    print!("{report}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let answers = answers(&cluster, follower, &admin).await;
    println!("Answers by status: {answers:?}");
    assert!(output.status.success(), "{}", output.status);
    assert!(report.contains("Seed: 1"), "it can be repeated");
    assert_eq!(cluster.running().len(), 3, "every node has survived it");
    // What refuses everything would pass every check.
    let all: f64 = answers.values().sum();
    let share = |status: &str| {
        let of_class = answers.iter().filter(|(name, _)| name.starts_with(status));
        of_class.map(|(_, count)| count).sum::<f64>() / all
    };
    assert!(all >= 1_000.0, "only {all} requests");
    assert!(share("2") >= 0.1, "hardly anything was done");
    assert!(share("5") <= 0.05, "the leader was away too often");
}

/// How many requests the node has answered with each status.
async fn answers(cluster: &TestCluster, id: i32, token: &Secret) -> BTreeMap<String, f64> {
    let request = cluster.http().get(cluster.url(id) + "/metrics");
    let answer = request.bearer_auth(token.reveal()).send().await.unwrap();
    let page = Page::parse(&answer.text().await.unwrap());
    let mut by_status = BTreeMap::new();
    for sample in &page.family("raft3d_http_requests_total").samples {
        *by_status
            .entry(sample.labels["status"].clone())
            .or_default() += sample.value;
    }
    by_status
}
