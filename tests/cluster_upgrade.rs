//! A cluster of two programs, one of which reads newer commands than the other.

mod cluster_support;

use cluster_support::{PRINTERS, TestCluster, wait_until};
use serde_json::json;

/// Makes a node a program that reads nothing that this one writes.
const OLD: [&str; 2] = ["--command-version", "0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_program_is_too_old_for_its_log_stops_and_the_newer_one_goes_on() {
    let mut cluster = TestCluster::start().await;
    let printer = json!({"company": "Prusa", "model": "MK4"});
    let leader = cluster.leader().await.node_id;
    let old = cluster.others(leader)[0];
    cluster.post(leader, PRINTERS, &printer).await.expect(201);
    cluster.kill9(old).await;
    cluster.set_extra_args(&OLD);
    cluster.restart(old).unwrap();
    let reason = wait_until("the older program finds what it cannot read", async || {
        let failure = cluster.view(old).await?.failure;
        failure.filter(|reason| reason.contains("reads versions up to 0"))
    })
    .await;
    assert!(reason.contains("has a command of version 1"), "{reason}");
    cluster
        .look(old, "/readyz")
        .await
        .expect_problem(503, "node-failed");
    cluster.post(leader, PRINTERS, &printer).await.expect(201);

    cluster.kill9(old).await;
    cluster.set_extra_args(&[]);
    cluster.bring_back(old).await;
    let printers = cluster.list(old, PRINTERS, "linearizable").await;
    assert_eq!(printers.len(), 2, "{printers:?}");
    cluster.same_everywhere().await;
}
