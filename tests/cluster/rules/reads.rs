//! What each node shows: its own view, and nothing older than what was acknowledged.

use serde_json::json;

use super::{printer, through_every_node};
use crate::cluster_support::{JOBS, PRINTERS, TestCluster};

#[tokio::test]
async fn every_node_shows_its_own_view_of_the_cluster() {
    through_every_node(async |cluster, id| {
        // What a node acknowledged it has applied itself.
        cluster.create(id, PRINTERS, &printer()).await;
        let view = cluster.get(id, "/api/v1/cluster").await.expect(200).body;
        assert_eq!(view["node_id"], json!(id));
        let leads = view["leader"] == json!(id);
        assert_eq!(view["role"], if leads { "leader" } else { "follower" });
        assert_eq!(
            view["members"].as_array().map(Vec::len),
            Some(3),
            "{view:#}"
        );
        for index in [
            "term",
            "last_log_index",
            "committed_index",
            "applied_index",
            "log_start_index",
        ] {
            assert!(
                view[index].as_u64().is_some_and(|value| value > 0),
                "{index}: {view:#}"
            );
        }
        cluster.get(id, "/healthz").await.expect(200);
        cluster.get(id, "/readyz").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn reads_are_never_older_than_a_write_acknowledged_before() {
    let mut cluster = TestCluster::start().await;
    cluster.leader().await;
    let template = cluster.job_template(1, 10_000).await;
    for round in 0..60 {
        let (writer, reader) = (round % 3 + 1, (round / 3) % 3 + 1);
        let job = cluster.create(writer, JOBS, &template).await;
        let path = format!("{JOBS}/{}", job["id"]);
        let reply = cluster.get(reader, &path).await.expect(200);
        assert_eq!(
            reply.body, job,
            "written through node {writer}, read through node {reader}"
        );
    }
}
