//! A cluster of two programs, one of which reads newer commands than the other.

use raft3d::domain::command::NEWEST_VERSION;
use serde_json::json;

use crate::cluster_support::{PRINTERS, TestCluster, wait_until};

const TOKENS: &str = "/api/v1/tokens";

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

/// Every request is traced, though no collector is there.
const NOW: [&str; 2] = ["--otlp-endpoint", "http://127.0.0.1:9"];

/// Makes a node the program before tokens.
const BEFORE: [&str; 4] = [NOW[0], NOW[1], "--command-version", "1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixed_cluster_serves_what_all_know_and_takes_the_new_when_the_last_is_upgraded() {
    let mut cluster = TestCluster::start_with(&BEFORE).await;
    let printer = json!({"company": "Prusa", "model": "MK4"});
    let token = json!({"name": "ci", "role": "viewer"});
    let announced = async |cluster: &TestCluster, version: u8, among: &[i32]| {
        wait_until("the programs are announced", async || {
            for &id in among {
                let view = cluster.view(id).await?;
                (view.command_version == version).then_some(())?;
                let known = view.members.iter().all(|m| m.http_addr.is_some());
                known.then_some(())?;
            }
            Some(())
        })
        .await;
    };
    announced(&cluster, 1, &[1, 2, 3]).await;
    let refused = cluster.post(2, TOKENS, &token).await;
    let refused = refused.expect_problem(409, "upgrade-not-finished");
    assert!(refused.body["detail"].to_string().contains("node 2"));

    cluster.set_extra_args(&NOW);
    let mut written = 0;
    for id in 1..=3 {
        cluster.node(id).stop().await.unwrap();
        let other = cluster.others(id)[0];
        cluster.create(other, PRINTERS, &printer).await;
        cluster.bring_back(id).await;
        announced(&cluster, NEWEST_VERSION, &[id]).await;
        for via in 1..=3 {
            cluster.create(via, PRINTERS, &printer).await;
        }
        written += 4;
        if id < 3 {
            for via in 1..=3 {
                let refused = cluster.post(via, TOKENS, &token).await;
                let refused = refused.expect_problem(409, "upgrade-not-finished");
                assert!(refused.body["detail"].to_string().contains("node 3"));
            }
        }
    }
    wait_until("the last node has announced its program", async || {
        let reply = cluster.post(1, TOKENS, &token).await;
        (reply.status == 201).then_some(())
    })
    .await;

    // There is no way back from here.
    cluster.node(1).stop().await.unwrap();
    cluster.set_extra_args(&BEFORE);
    cluster.restart(1).unwrap();
    wait_until(
        "the older program says that it cannot read the log",
        async || {
            let failure = cluster.view(1).await?.failure?;
            failure.contains("a command of version").then_some(())
        },
    )
    .await;
    cluster.create(2, PRINTERS, &printer).await;
    cluster.kill9(1).await;
    cluster.set_extra_args(&NOW);
    cluster.bring_back(1).await;
    let printers = cluster.list(1, PRINTERS, "linearizable").await;
    assert_eq!(printers.len(), written + 1, "{printers:?}");
}
