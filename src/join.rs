//! A node with an empty data directory joins a cluster that runs: it asks for the cluster's name, is
//! taken in as a learner, and is promoted once it has caught up, unless it is to stay a learner.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::{info, warn};

use crate::client::api::{Answer, Api, ClientError, Request};
use crate::client::http::HttpClient;
use crate::consensus::{Consensus, Status};
use crate::identity::ClusterId;
use crate::raft::Node;
use crate::secret::Secret;
use crate::storage::Stage;

/// How long one round over the cluster's nodes may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(100);
/// What is not worth asking for again: it stays refused.
const FINAL: [&str; 4] = [
    "other-node",
    "member-exists",
    "invalid-fields",
    "upgrade-not-finished",
];

/// A node's way into a cluster.
#[derive(Debug)]
pub struct Joiner {
    api: Api,
    /// Whether the node is to stay a learner.
    stays_learner: bool,
    /// What went wrong last; said once.
    trouble: Option<String>,
}

impl Joiner {
    /// A joiner that asks the nodes whose APIs are at `addrs`, any of which will do, by `http`, and
    /// shows them `token`; it does not ask for promotion if the node `stays_learner`.
    pub fn new(
        addrs: &[String],
        http: HttpClient,
        token: Option<Secret>,
        stays_learner: bool,
    ) -> Result<Joiner, ClientError> {
        Ok(Joiner {
            api: Api::new(addrs, ROUND_TIMEOUT, http)?.with_token(token),
            stays_learner,
            trouble: None,
        })
    }

    /// The cluster's name; waits until a node gives it.
    pub async fn cluster(&mut self) -> ClusterId {
        loop {
            let answer = self.api.call(&Request::get("/api/v1/cluster", &[])).await;
            let status = answer.map(serde_json::from_value::<Status>);
            match status {
                Ok(Ok(Status {
                    cluster_id: Some(id),
                    ..
                })) => return id,
                Ok(Ok(_)) => self.note("the cluster has no name yet".into()),
                Ok(Err(error)) => self.note(format!("the answer is no view of a cluster: {error}")),
                Err(error) => self.note(error.to_string()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Has `node`, which serves its API at `http_addr`, taken in and, unless it is to stay a learner,
    /// promoted, however long that takes; the error is why it never will be.
    pub async fn join(mut self, node: Arc<Node>, http_addr: String) -> Result<(), String> {
        let status = node.status();
        let id = status.node_id;
        if is_voter(&status) {
            return Ok(());
        }
        let new = json!({"id": id, "raft_addr": status.raft_addr, "http_addr": http_addr});
        self.insist("/api/v1/cluster/members", Some(&new)).await?;
        if self.stays_learner {
            info!("this node is a learner of the cluster, and stays one until it is promoted");
            return Ok(());
        }
        info!("this node is a learner of the cluster");
        let promote = format!("/api/v1/cluster/members/{id}/promote");
        self.insist(&promote, None).await?;
        info!("this node is a voter of the cluster");
        Ok(())
    }

    /// Posts until that is done, or refused for good.
    async fn insist(&mut self, path: &str, body: Option<&Value>) -> Result<(), String> {
        let request = Request {
            idempotency_key: None,
            ..Request::post(path, body, "")
        };
        loop {
            match self.api.call(&request).await {
                Ok(_) => return Ok(()),
                Err(ClientError::Refused(answer)) if is_final(&answer) => {
                    return Err(answer.problem());
                }
                Err(error) => self.note(error.to_string()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            warn!(trouble, "this node has not joined yet, and tries again");
            self.trouble = Some(trouble);
        }
    }
}

fn is_voter(status: &Status) -> bool {
    let own = status.members.iter().find(|m| m.id == status.node_id);
    status.stage == Stage::Member && own.is_some_and(|m| !m.learner)
}

fn is_final(answer: &Answer) -> bool {
    let kind = answer.body.get("type").and_then(Value::as_str);
    let name = kind.and_then(|kind| kind.rsplit('/').next());
    name.is_some_and(|name| FINAL.contains(&name))
}
