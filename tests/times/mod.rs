//! Measurements of whole clusters that take their time, and what they have in common.

pub mod elections;
pub mod failover;
mod report;
pub mod soak;
mod soak_load;
mod usage;

use std::time::Duration;

use raft3d::consensus::{Role, Status};
use serde_json::{Value, json};

use crate::cluster_support::{FILAMENTS, PRINTERS, http_client, send, wait_until};
use crate::faults::nodes::Nodes;

/// Grams that no load uses up.
const ENDLESS_GRAMS: u64 = (1 << 53) - 1;
/// Longest wait for one node's view of the cluster.
const VIEW_TIMEOUT: Duration = Duration::from_millis(500);

/// The view of node `id`, if it answers.
async fn view(nodes: &Nodes, id: u8) -> Option<Status> {
    let url = &nodes.endpoints()[usize::from(id) - 1].url;
    let request = http_client().get(format!("{url}/api/v1/cluster"));
    let reply = tokio::time::timeout(VIEW_TIMEOUT, send(request)).await;
    serde_json::from_value(reply.ok()?.ok()?.body).ok()
}

/// Waits until all nodes follow one leader and have applied what it has, give or take what is
/// under way; gives the leader's view.
async fn settled(nodes: &Nodes) -> Status {
    const UNDER_WAY: u64 = 100;
    wait_until("all nodes follow one leader", async || {
        let mut views = Vec::new();
        for id in nodes.ids() {
            views.push(view(nodes, id).await?);
        }
        let leader = views.iter().find(|view| view.role == Role::Leader)?;
        let follows = |view: &Status| {
            view.term == leader.term
                && view.leader == Some(leader.node_id)
                && view.applied_index + UNDER_WAY >= leader.applied_index
        };
        views.iter().all(follows).then(|| leader.clone())
    })
    .await
}

/// Creates a printer and an endless filament; the body of a job of one gram.
async fn job_body(nodes: &Nodes) -> Value {
    let printer = json!({"company": "Prusa", "model": "MK4"});
    let filament = json!({"type": "PLA", "color": "red", "total_weight_in_grams": ENDLESS_GRAMS});
    json!({
        "printer_id": create(nodes, PRINTERS, &printer).await,
        "filament_id": create(nodes, FILAMENTS, &filament).await,
        "filepath": "part.gcode",
        "print_weight_in_grams": 1,
    })
}

/// Creates an object through the first node and gives its id.
async fn create(nodes: &Nodes, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", nodes.endpoints()[0].url);
    let reply = send(http_client().post(url).json(body)).await;
    reply.expect("an answer").expect(201).body["id"].clone()
}
