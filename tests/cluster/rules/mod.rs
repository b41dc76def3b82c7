//! Every rule and status code of the API, through the leader and through both followers.

mod jobs;
mod objects;
mod reads;
mod requests;

use serde_json::{Value, json};

use crate::cluster_support::{Reply, TestCluster};

/// Runs a scenario against a fresh cluster, through each node in turn.
async fn through_every_node(scenario: impl AsyncFn(&TestCluster, i32)) {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let mut ids = vec![leader];
    ids.extend(cluster.others(leader));
    for id in ids {
        println!("through node {id}, the leader is {leader}");
        scenario(&cluster, id).await;
    }
    cluster.same_everywhere().await;
}

fn printer() -> Value {
    json!({"company": "Creality", "model": "Ender 3"})
}

fn filament(grams: u64) -> Value {
    json!({"type": "petg", "color": "black", "total_weight_in_grams": grams})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

/// What every answer carries.
#[track_caller]
fn assert_index(reply: &Reply) {
    assert!(
        reply.header("x-raft3d-index").parse::<u64>().is_ok(),
        "{reply:#?}"
    );
}

/// Posts a body that breaks a rule of one field.
async fn refuse_field(cluster: &TestCluster, id: i32, path: &str, body: &Value, pointer: &str) {
    let reply = cluster
        .post(id, path, body)
        .await
        .expect_problem(422, "invalid-fields");
    assert_index(&reply);
    let errors = reply.body["errors"].as_array().expect("errors");
    assert!(
        errors
            .iter()
            .any(|error| error["pointer"] == json!(pointer)),
        "{pointer}: {reply:#?}"
    );
}
