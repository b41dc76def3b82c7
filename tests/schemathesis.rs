//! schemathesis, a program that tests APIs by their own description, against a real cluster.
//!
//! `make schemathesis` installs it under `target/` and runs this. What it is told is in
//! `schemathesis.toml`.

mod cluster_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cluster_support::TestCluster;
use raft3d::secret::Secret;
use tokio::process::Command;

/// Where `scripts/setup.sh` installs it.
const PROGRAM: &str = "target/schemathesis/bin/schemathesis";

/// The variable in which `schemathesis.toml` expects a token that may do everything.
const TOKEN: &str = "RAFT3D_TOKEN";

/// Every check on every operation, through a node that does not lead, of a cluster that demands
/// tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs schemathesis: make schemathesis"]
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
    let document = format!("http://{}/openapi.json", cluster.spec(follower).http_addr);
    let reports = root.join("target/schemathesis/report");
    let status = Command::new(program)
        .arg("--config-file")
        .arg(root.join("tests/schemathesis.toml"))
        .args(["--no-color", "run", "--max-time", "90"])
        .args(["--report", "junit", "--report-dir"])
        .args([reports.as_os_str(), document.as_ref()])
        .env(TOKEN, admin.reveal())
        .current_dir(root.join("target"))
        .kill_on_drop(true)
        .status()
        .await
        .unwrap();
    assert!(status.success(), "schemathesis found failures: {status}");
    assert_eq!(cluster.running().len(), 3, "every node has survived it");
}
