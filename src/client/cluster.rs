//! `raft3d cluster`.

use clap::Subcommand;
use serde_json::json;

use super::api::{ClientError, Request, failure};
use super::console::Console;
use super::options::ClientArgs;
use super::output::{LEADER, MEMBERS, NODES, REMOVED};

const CLUSTER_PATH: &str = "/api/v1/cluster";
const MEMBERS_PATH: &str = "/api/v1/cluster/members";
const TRANSFER_PATH: &str = "/api/v1/cluster/transfer-leader";
const SNAPSHOTS_PATH: &str = "/api/v1/cluster/snapshots";

/// What can be done with the cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterVerb {
    /// Show every endpoint's own view: role, leader, term and log
    Status,
    /// Have the first endpoint that answers take a snapshot and shorten its log
    Snapshot,
    /// List the members as the leader sees them
    Members,
    /// Take in a node that was started to join, as a learner; `raft3d serve --join` asks for that
    /// by itself
    Add {
        /// The node's number
        id: i32,
        /// Where the other nodes reach it
        #[arg(long, value_name = "HOST:PORT")]
        raft_addr: String,
        /// Where it serves its HTTP API
        #[arg(long, value_name = "HOST:PORT")]
        http_addr: String,
    },
    /// Remove a member, dead or alive; one that leads hands that over first. It stops, and its data
    /// directory is of no use any more
    Remove {
        /// The node's number
        id: i32,
    },
    /// Let a learner that has caught up vote
    Promote {
        /// The node's number
        id: i32,
    },
    /// Have another voter lead
    TransferLeader {
        /// Which [default: the one that is furthest]
        id: Option<i32>,
    },
}

/// Runs one command of `raft3d cluster` and prints its result.
pub async fn run(args: ClientArgs<ClusterVerb>) -> Result<(), ClientError> {
    let console = |columns| Console::new(&args.options, columns);
    match args.verb {
        ClusterVerb::Status => show_status(&console(NODES)?).await,
        ClusterVerb::Snapshot => console(NODES)?.change(SNAPSHOTS_PATH, None).await,
        ClusterVerb::Members => {
            console(MEMBERS)?
                .send(&Request::get(MEMBERS_PATH, &[]))
                .await
        }
        ClusterVerb::Add {
            id,
            raft_addr,
            http_addr,
        } => {
            let body = json!({"id": id, "raft_addr": raft_addr, "http_addr": http_addr});
            console(MEMBERS)?.change(MEMBERS_PATH, Some(&body)).await
        }
        ClusterVerb::Remove { id } => {
            let path = format!("{MEMBERS_PATH}/{id}");
            console(REMOVED)?.send(&Request::delete(&path)).await
        }
        ClusterVerb::Promote { id } => {
            let path = format!("{MEMBERS_PATH}/{id}/promote");
            console(MEMBERS)?.change(&path, None).await
        }
        ClusterVerb::TransferLeader { id } => {
            let body = id.map(|id| json!({ "id": id }));
            console(LEADER)?.change(TRANSFER_PATH, body.as_ref()).await
        }
    }
}

/// Asks every endpoint; one that does not answer gets a row that says so.
async fn show_status(console: &Console) -> Result<(), ClientError> {
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for endpoint in console.api.endpoints() {
        let request = Request::get(CLUSTER_PATH, &[]);
        let answer = match console.api.send(endpoint, &request, console.timeout).await {
            Ok(answer) => answer.into_result().map_err(|error| error.to_string()),
            Err(error) => Err(failure(&error)),
        };
        let mut row = match answer {
            Ok(view) => view,
            Err(reason) => {
                failures.push((endpoint.clone(), reason.clone()));
                json!({"role": "unreachable", "error": reason})
            }
        };
        row["endpoint"] = endpoint.as_str().into();
        rows.push(row);
    }
    if failures.len() == rows.len() {
        return Err(ClientError::Unavailable {
            attempts: failures,
            unknown_write: None,
        });
    }
    console.print(&rows.into())
}
