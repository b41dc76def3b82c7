//! A node that was away until the log it needs is gone catches up by snapshot.

use serde_json::json;

use crate::cluster_support::{JOBS, TestCluster, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_away_for_too_long_gets_a_snapshot() {
    let mut cluster = TestCluster::start_with(&["--snapshot-distance", "50"]).await;
    let leader = cluster.leader().await.node_id;
    let away = cluster.others(leader)[0];
    let mut job = cluster.job_template(leader, 100_000).await;
    cluster.equal_indexes().await;
    let left_at = cluster.view(away).await.unwrap().last_log_index;
    cluster.kill9(away).await;

    let mut number = 0;
    wait_until(
        "the leader's log no longer reaches back to the node that is away",
        async || {
            for _ in 0..20 {
                number += 1;
                job["filepath"] = format!("part{number}.gcode").into();
                job["id"] = if number % 2 == 0 {
                    json!(number)
                } else {
                    json!(format!("job/{number}"))
                };
                cluster.create(leader, JOBS, &job).await;
            }
            let view = cluster.view(leader).await?;
            (view.log_start_index > left_at + 1).then_some(())
        },
    )
    .await;

    cluster.bring_back(away).await;
    let index = cluster.equal_indexes().await;
    let view = cluster.view(away).await.unwrap();
    assert!(
        view.snapshot_index > left_at,
        "it has no snapshot of what it missed: {view:#?}"
    );
    assert!(
        view.log_start_index > left_at + 1,
        "its log has a hole: {view:#?}"
    );
    assert_eq!(view.applied_index, index);
    assert_eq!(cluster.same_everywhere().await.len(), number);

    // What it was given is on its disk.
    cluster.kill9(away).await;
    cluster.bring_back(away).await;
    assert_eq!(cluster.same_everywhere().await.len(), number);

    // And it is a full member: with it and one other the cluster goes on.
    cluster.kill9(leader).await;
    let new_leader = cluster.leader().await.node_id;
    job.as_object_mut().unwrap().remove("id");
    cluster.create(new_leader, JOBS, &job).await;
    assert_eq!(cluster.same_everywhere().await.len(), number + 1);
}

#[tokio::test]
async fn a_snapshot_on_request_covers_what_is_applied() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    for id in [1, 2, 3] {
        cluster.create(id, JOBS, &job).await;
        cluster.equal_indexes().await;
        let before = cluster.view(id).await.unwrap();
        let reply = cluster
            .post(id, "/api/v1/cluster/snapshots", &json!({}))
            .await;
        assert!((200..300).contains(&reply.status), "{reply:#?}");
        wait_until("the snapshot is on disk", async || {
            let view = cluster.view(id).await?;
            (view.snapshot_index >= before.applied_index).then_some(())
        })
        .await;
    }
    for id in 1..=3 {
        cluster.kill9(id).await;
    }
    for id in 1..=3 {
        cluster.bring_back(id).await;
    }
    assert_eq!(cluster.same_everywhere().await.len(), 3);
}
