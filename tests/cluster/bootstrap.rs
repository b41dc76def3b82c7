//! Nodes of real processes that are told each other's addresses only, and found one cluster.

use serde_json::json;

use crate::cluster_support::nodes::Nodes;
use crate::cluster_support::{PRINTERS, send, turn, wait_until};

const CLUSTER: &str = "/api/v1/cluster";

/// Places for nodes, of which the first three are told to found a cluster.
async fn three() -> Nodes {
    let mut nodes = Nodes::none(Some(turn().await));
    let list = nodes.http_addrs(3);
    for node in &mut nodes.layout.nodes {
        node.join = Some(list.clone());
    }
    nodes.layout.extra_args = vec!["--bootstrap-expect".into(), "3".into()];
    nodes
}

/// Waits until node `id` shows that it waits for others.
async fn wait_for_candidate(nodes: &Nodes, id: i32) {
    wait_until("the node waits to found a cluster", async || {
        let shown = send(nodes.http.get(nodes.url(id) + CLUSTER)).await.ok()?;
        (shown.body["node_id"] == json!(id) && shown.body["bootstrap"].is_array()).then_some(())
    })
    .await;
}

/// Waits until the nodes 1 to 3 are the voters of one cluster, and gives its name.
async fn one_cluster(nodes: &Nodes) -> String {
    nodes.wait_for_voters(&[1, 2, 3]).await;
    wait_until(
        "all three know the same name of their cluster",
        async || {
            let mut names = Vec::new();
            for id in 1..=3 {
                names.push(nodes.status(id).await?.cluster_id?.to_string());
            }
            names.dedup();
            assert!(names.len() == 1, "two clusters: {names:?}");
            names.pop()
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_found_one_cluster_in_whatever_order_they_come() {
    let mut nodes = three().await;
    for id in [3, 1] {
        nodes.start(id);
        wait_for_candidate(&nodes, id).await;
    }
    let refused = send(nodes.http.get(nodes.url(1) + PRINTERS)).await.unwrap();
    refused.expect_problem(503, "not-ready");
    // Two of three could elect a leader, and wait all the same.
    for id in [3, 1] {
        wait_until("the node says for whom it waits", async || {
            let late = &nodes.spec(2).http_addr;
            nodes.log(id).contains(late.as_str()).then_some(())
        })
        .await;
        wait_for_candidate(&nodes, id).await;
    }
    nodes.start(2);
    let name = one_cluster(&nodes).await;
    let printer = json!({"company": "Prusa", "model": "MK4"});
    nodes.post(2, PRINTERS, &printer).await.expect(201);

    // Started again with the same flags they go on; one alone does not begin anew.
    for id in 1..=3 {
        nodes.kill(id).await;
    }
    nodes.start(1);
    wait_until("the node is up", async || nodes.status(1).await).await;
    assert_eq!(nodes.status(1).await.unwrap().leader, None);
    for id in [2, 3] {
        nodes.start(id);
    }
    assert_eq!(one_cluster(&nodes).await, name);
    let listed = nodes
        .ask(3, |http, url| http.get(url + PRINTERS))
        .await
        .expect(200);
    assert_eq!(listed.body.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_just_as_all_are_there_still_becomes_a_founder() {
    let mut nodes = three().await;
    for id in 1..=3 {
        nodes.start(id);
    }
    // As soon as the first of the others has begun, whether or not this one has.
    wait_until("a node has begun", async || {
        let begun = nodes.status(1).await.is_some() || nodes.status(2).await.is_some();
        begun.then_some(())
    })
    .await;
    nodes.kill(3).await;
    let names = wait_until("the two others have a named cluster", async || {
        let (one, two) = (nodes.status(1).await?, nodes.status(2).await?);
        Some((one.cluster_id?, two.cluster_id?))
    })
    .await;
    assert_eq!(names.0, names.1);
    nodes.start(3);
    assert_eq!(one_cluster(&nodes).await, names.0.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_when_there_is_a_cluster_joins_it() {
    let mut nodes = three().await;
    for id in 1..=3 {
        nodes.start(id);
    }
    let name = one_cluster(&nodes).await;
    // A fourth machine with the same flags, though the list is of the three.
    nodes.join(4).await;
    let joined = nodes.status(4).await.unwrap();
    assert_eq!(joined.cluster_id.unwrap().to_string(), name);
    assert!(nodes.log(4).contains("joins it"), "{}", nodes.log(4));
}
