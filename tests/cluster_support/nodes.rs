//! Nodes that come and go one by one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use raft3d::consensus::Status;
use raft3d::demo::nodes::{Layout, NodeProcess, NodeSpec, free_addresses};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::MutexGuard;

use super::{PATIENCE, Reply, http_client, program, send, turn, wait_until};

const MEMBERS: &str = "/api/v1/cluster/members";

/// Addresses for more nodes than any of these tests starts.
const PLACES: usize = 7;

/// Nodes that come and go. All of them end with this value.
pub struct Nodes {
    pub layout: Layout,
    pub running: BTreeMap<i32, NodeProcess>,
    pub http: reqwest::Client,
    dir: TempDir,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (id, node) in &self.running {
                eprintln!("--- log of node {id} ends:\n{}", node.log_tail());
            }
        }
    }
}

impl Nodes {
    /// A new cluster of the nodes 1 to `size`, once it has a name and its nodes know each other.
    pub async fn found(size: usize) -> Nodes {
        let guard = turn().await;
        Nodes::found_in(size, Some(guard)).await
    }

    pub async fn found_in(size: usize, guard: Option<MutexGuard<'static, ()>>) -> Nodes {
        let mut nodes = Nodes::none(guard);
        let join = nodes.http_addrs(size);
        for node in &mut nodes.layout.nodes[size..] {
            node.join = Some(join.clone());
        }
        for id in 1..=size as i32 {
            nodes.start(id);
        }
        nodes
            .wait_for_voters(&(1..=size as i32).collect::<Vec<_>>())
            .await;
        wait_until(
            "all founders are known by their HTTP addresses",
            async || {
                let status = nodes.status(1).await?;
                let known = status.members.iter().all(|m| m.http_addr.is_some());
                (status.cluster_id.is_some() && known).then_some(())
            },
        )
        .await;
        nodes
    }

    /// Places for nodes of which none is started.
    pub fn none(guard: Option<MutexGuard<'static, ()>>) -> Nodes {
        let dir = tempfile::tempdir().unwrap();
        let addresses = free_addresses(2 * PLACES).unwrap();
        let (http, raft) = addresses.split_at(PLACES);
        Nodes {
            layout: Layout::new(program(), dir.path(), http, raft),
            running: BTreeMap::new(),
            http: http_client(),
            dir,
            _turn: guard,
        }
    }

    /// The HTTP addresses of the first `count` nodes, as `--join` takes them.
    pub fn http_addrs(&self, count: usize) -> String {
        let nodes = self.layout.nodes[..count].iter();
        nodes
            .map(|node| node.http_addr.as_str())
            .collect::<Vec<_>>()
            .join(",")
    }

    /// A path for something beside the nodes' directories.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn spec(&self, id: i32) -> &NodeSpec {
        &self.layout.nodes[id as usize - 1]
    }

    pub fn start(&mut self, id: i32) {
        let spec = self.spec(id).clone();
        std::fs::create_dir_all(&spec.dir).unwrap();
        let process = NodeProcess::start(&self.layout, &spec).unwrap();
        self.running.insert(id, process);
    }

    /// Starts node `id`, which joins, and waits until it votes.
    pub async fn join(&mut self, id: i32) {
        let mut voters: Vec<i32> = self.voters().await;
        self.start(id);
        voters.push(id);
        voters.sort();
        self.wait_for_voters(&voters).await;
    }

    pub async fn kill(&mut self, id: i32) {
        let mut node = self.running.remove(&id).expect("a running node");
        node.kill().await.unwrap();
    }

    /// Removes node `id` through node `through`, and waits until it has stopped by itself.
    pub async fn remove(&mut self, through: i32, id: i32) -> String {
        self.ask(through, |http, url| {
            http.delete(format!("{url}{MEMBERS}/{id}"))
        })
        .await
        .expect(200);
        let mut node = self.running.remove(&id).expect("a running node");
        let ended = tokio::time::timeout(PATIENCE, node.wait()).await;
        let log = node.log_tail();
        let ended = ended.unwrap_or_else(|_| panic!("node {id} does not stop:\n{log}"));
        assert_eq!(ended.unwrap().code(), Some(0), "{log}");
        log
    }

    pub fn url(&self, id: i32) -> String {
        format!("http://{}", self.spec(id).http_addr)
    }

    /// Sends a request to node `id` until it is not answered 503.
    pub async fn ask(
        &self,
        id: i32,
        build: impl Fn(&reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> Reply {
        wait_until("the cluster answers", async || {
            let reply = send(build(&self.http, self.url(id))).await.ok()?;
            (reply.status != 503).then_some(reply)
        })
        .await
    }

    pub async fn post(&self, id: i32, path: &str, body: &Value) -> Reply {
        self.ask(id, |http, url| http.post(url + path).json(body))
            .await
    }

    pub async fn status(&self, id: i32) -> Option<Status> {
        let request = self.http.get(self.url(id) + "/api/v1/cluster");
        serde_json::from_value(send(request).await.ok()?.body).ok()
    }

    /// The ids of the voters, as some running node knows them.
    pub async fn voters(&self) -> Vec<i32> {
        let id = *self.running.keys().next().expect("a running node");
        let status = self.status(id).await.expect("an answer");
        voters_of(&status)
    }

    /// Waits until all running nodes that vote know a leader and exactly these voters.
    pub async fn wait_for_voters(&self, wanted: &[i32]) {
        wait_until(&format!("the voters are {wanted:?}"), async || {
            for id in wanted.iter().filter(|id| self.running.contains_key(id)) {
                let status = self.status(*id).await?;
                if status.leader.is_none() || voters_of(&status) != wanted {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    pub async fn leader(&self) -> i32 {
        wait_until("the running nodes agree on a leader", async || {
            let mut leaders = Vec::new();
            for id in self.running.keys() {
                leaders.push(self.status(*id).await?.leader?);
            }
            let first = leaders[0];
            let agreed = self.running.contains_key(&first) && leaders.iter().all(|l| *l == first);
            agreed.then_some(first)
        })
        .await
    }

    /// A running node that does not lead.
    pub async fn follower(&self) -> i32 {
        let leader = self.leader().await;
        *self
            .running
            .keys()
            .find(|id| **id != leader)
            .expect("a follower")
    }

    /// Runs the program with the arguments that start node `id`, until it ends by itself.
    pub fn run_to_end(&self, spec: &NodeSpec) -> Output {
        Command::new(program())
            .args(self.layout.serve_args(spec))
            .output()
            .unwrap()
    }

    /// The log of node `id`, which may have ended.
    pub fn log(&self, id: i32) -> String {
        std::fs::read_to_string(self.spec(id).log_path()).unwrap()
    }
}

/// Ids of the members that vote.
pub fn voters_of(status: &Status) -> Vec<i32> {
    let voters = status.members.iter().filter(|m| !m.learner);
    voters.map(|m| m.id).collect()
}
