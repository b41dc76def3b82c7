//! All nodes of a demo together: started, watched and stopped as one.

use std::time::Duration;

use tokio::time::Instant;

use super::DemoError;
use super::nodes::{Layout, NodeProcess, NodeSpec};
use crate::client::api::{Api, Request};
use crate::consensus::{Role, Status};

/// Longest wait for one node's view of the cluster, which it answers from memory.
const VIEW_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks at the cluster.
pub const POLL_PAUSE: Duration = Duration::from_millis(10);

/// The running nodes of one layout. Dropping it kills them.
pub struct Cluster {
    layout: Layout,
    nodes: Vec<NodeProcess>,
    api: Api,
}

impl Cluster {
    /// Starts every node of `layout`, whose addresses must be free.
    pub fn start(layout: Layout) -> Result<Cluster, DemoError> {
        layout.check_addresses()?;
        layout.claim_dir()?;
        let nodes = layout
            .nodes
            .iter()
            .map(|node| NodeProcess::start(&layout, node));
        let nodes = nodes.collect::<Result<_, _>>()?;
        let endpoints: Vec<String> = layout
            .nodes
            .iter()
            .map(|node| layout.origin(node))
            .collect();
        let api = Api::new(&endpoints, Duration::from_secs(10), layout.http_client()?)?
            .with_token(layout.token.clone());
        Ok(Cluster { layout, nodes, api })
    }

    /// Where the nodes live.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A client of the whole cluster.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The nodes, running or not, by id from 1.
    pub fn nodes_mut(&mut self) -> &mut [NodeProcess] {
        &mut self.nodes
    }

    /// Where node `id`, which must be one of the cluster's, lives.
    pub fn spec(&self, id: i32) -> &NodeSpec {
        &self.layout.nodes[position(id)]
    }

    /// The start of the URLs of node `id`'s API.
    pub fn origin(&self, id: i32) -> String {
        self.layout.origin(self.spec(id))
    }

    /// The process of node `id`, which must be one of the cluster's.
    pub fn node(&mut self, id: i32) -> &mut NodeProcess {
        &mut self.nodes[position(id)]
    }

    /// Starts node `id` again on its old data and addresses.
    pub fn restart(&mut self, id: i32) -> Result<(), DemoError> {
        self.nodes[position(id)] = NodeProcess::start(&self.layout, self.spec(id))?;
        Ok(())
    }

    /// Gives further arguments of `serve` to the nodes that are started from now on.
    pub fn set_extra_args(&mut self, args: &[&str]) {
        self.layout.extra_args = args.iter().map(|arg| (*arg).to_owned()).collect();
    }

    /// Ids of the nodes that have not been seen to end.
    pub fn running(&self) -> Vec<i32> {
        let running = self.nodes.iter().filter(|node| node.pid().is_some());
        running.map(|node| node.spec.id).collect()
    }

    /// Node `id`'s own view of the cluster, if it answers.
    pub async fn view(&self, id: i32) -> Option<Status> {
        let endpoint = self.origin(id);
        let request = Request::get("/api/v1/cluster", &[]);
        let answer = self
            .api
            .send(&endpoint, &request, VIEW_TIMEOUT)
            .await
            .ok()?;
        serde_json::from_value(answer.into_result().ok()?).ok()
    }

    /// The views of all running nodes; one that does not answer is left out.
    pub async fn views(&self) -> Vec<Status> {
        let mut views = Vec::new();
        for id in self.running() {
            views.extend(self.view(id).await);
        }
        views
    }

    /// Waits until all running nodes agree on one leader and its term, and gives the leader's view.
    ///
    /// A running node that ends meanwhile is an error that shows why.
    pub async fn wait_for_leader(&mut self, patience: Duration) -> Result<Status, DemoError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(end) = self.newly_ended() {
                return Err(end);
            }
            let views = self.views().await;
            if views.len() == self.running().len()
                && let Some(leader) = agreed_leader(&views)
            {
                return Ok(leader.clone());
            }
            if Instant::now() >= deadline {
                return Err(DemoError::NoLeader { patience, views });
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    /// Stops all running nodes at the same time; one that does not stop properly is an error.
    pub async fn stop(mut self) -> Result<(), DemoError> {
        let stops = self.nodes.drain(..).filter(|node| node.pid().is_some());
        let stops: Vec<_> = stops
            .map(|mut node| tokio::spawn(async move { (node.stop().await, node) }))
            .collect();
        let mut result = Ok(());
        for stop in stops {
            let Ok((status, node)) = stop.await else {
                continue;
            };
            match status {
                Ok(status) if status.success() => {}
                Ok(status) => result = Err(DemoError::node_ended(&node, status)),
                Err(error) => result = Err(DemoError::io(&node.spec.dir, error)),
            }
        }
        result
    }

    /// A node that ran when last looked at and has ended since: as an error that shows why.
    pub fn newly_ended(&mut self) -> Option<DemoError> {
        self.nodes.iter_mut().find_map(|node| {
            let status = node.newly_ended()?;
            Some(DemoError::node_ended(node, status))
        })
    }
}

/// The view of the one leader on whom all views agree.
fn agreed_leader(views: &[Status]) -> Option<&Status> {
    let leader = views.iter().find(|view| view.role == Role::Leader)?;
    let agrees = |view: &Status| view.leader == Some(leader.node_id) && view.term == leader.term;
    views.iter().all(agrees).then_some(leader)
}

fn position(id: i32) -> usize {
    usize::try_from(id - 1).expect("ids of a layout count from 1")
}
