//! schemathesis, a program that tests APIs by their own description, against a real cluster.
//!
//! `make schemathesis` installs it under `target/` and runs this. What it is told is in
//! `schemathesis.toml`.

mod cluster_support;

use std::path::Path;

use cluster_support::TestCluster;
use tokio::process::Command;

/// Where `scripts/setup.sh` installs it.
const PROGRAM: &str = "target/schemathesis/bin/schemathesis";

/// Every check on every operation, through a node that does not lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs schemathesis: make schemathesis"]
async fn the_api_does_what_its_description_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(PROGRAM);
    assert!(program.exists(), "{PROGRAM} is missing: make setup");
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let follower = cluster.others(leader)[0];
    let document = format!("http://{}/openapi.json", cluster.spec(follower).http_addr);
    let reports = root.join("target/schemathesis/report");
    let status = Command::new(program)
        .arg("--config-file")
        .arg(root.join("tests/schemathesis.toml"))
        .args(["--no-color", "run", "--max-time", "90"])
        .args(["--report", "junit", "--report-dir"])
        .args([reports.as_os_str(), document.as_ref()])
        .current_dir(root.join("target"))
        .kill_on_drop(true)
        .status()
        .await
        .unwrap();
    assert!(status.success(), "schemathesis found failures: {status}");
    assert_eq!(cluster.running().len(), 3, "every node has survived it");
}
