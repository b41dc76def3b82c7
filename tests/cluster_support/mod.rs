//! Clusters of real `raft3d` processes, on ports chosen by the system and in temporary directories.

// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod certs;
pub mod load;
pub mod nodes;

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use raft3d::client::api::new_idempotency_key;
use raft3d::client::http::HttpClient;
use raft3d::consensus::Status;
use raft3d::demo::DemoError;
use raft3d::demo::cluster::Cluster;
use raft3d::demo::nodes::{Layout, free_addresses};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Longest wait for anything that a cluster is to do by itself.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for one answer; above the nodes' own request timeout.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Starts before giving up; each may lose a port to another program.
const START_ATTEMPTS: usize = 5;
/// Pause between two looks at a condition.
const POLL_PAUSE: Duration = Duration::from_millis(10);

pub const PRINTERS: &str = "/api/v1/printers";
pub const FILAMENTS: &str = "/api/v1/filaments";
pub const JOBS: &str = "/api/v1/print_jobs";

/// One cluster at a time in a test program: three nodes and their clients fill a small machine,
/// and a starved node is a node that does not answer.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A running cluster; all of it ends with this value.
pub struct TestCluster {
    cluster: Cluster,
    http: reqwest::Client,
    /// The highest term in which the nodes were seen to agree on a leader.
    last_term: AtomicU64,
    _dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// What a node answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status, showing the whole reply otherwise.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// Asserts a problem document of that status and type.
    #[track_caller]
    pub fn expect_problem(self, status: u16, kind: &str) -> Reply {
        let reply = self.expect(status);
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{reply:#?}"
        );
        assert_eq!(reply.body["status"], json!(status), "{reply:#?}");
        assert_eq!(
            reply.body["type"],
            json!(format!("/problems/{kind}")),
            "{reply:#?}"
        );
        for member in ["title", "detail"] {
            assert!(
                reply.body[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{reply:#?}"
            );
        }
        reply
    }
}

impl Deref for TestCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for TestCluster {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.cluster.nodes_mut() {
                eprintln!(
                    "--- log of node {} ends:\n{}",
                    node.spec.id,
                    node.log_tail()
                );
            }
        }
    }
}

impl TestCluster {
    /// Three nodes with default settings, and a leader.
    pub async fn start() -> TestCluster {
        TestCluster::start_with(&[]).await
    }

    /// Three nodes with further arguments of `serve`, and a leader.
    pub async fn start_with(extra_args: &[&str]) -> TestCluster {
        TestCluster::start_prepared(extra_args, |_| {}).await
    }

    /// The same, with what `prepare` does to the layout before any node is started.
    pub async fn start_prepared(
        extra_args: &[&str],
        mut prepare: impl FnMut(&mut Layout),
    ) -> TestCluster {
        let turn = turn().await;
        for attempt in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let addresses = free_addresses(6).unwrap();
            let (http, raft) = addresses.split_at(3);
            let mut layout = Layout::new(program(), dir.path(), http, raft);
            layout.extra_args = extra_args.iter().map(|arg| (*arg).to_owned()).collect();
            prepare(&mut layout);
            let http = layout.http_client().unwrap().get();
            let started = async {
                let mut cluster = Cluster::start(layout)?;
                let leader = cluster.wait_for_leader(PATIENCE).await?;
                Ok((cluster, leader.term))
            };
            match started.await {
                Ok((cluster, term)) => {
                    return TestCluster {
                        cluster,
                        last_term: term.into(),
                        http,
                        _dir: dir,
                        _turn: turn,
                    };
                }
                Err(error) if lost_a_port(&error) && attempt < START_ATTEMPTS => {}
                Err(error) => panic!("the cluster does not start: {error}"),
            }
        }
        unreachable!("every attempt returns, panics or is followed by another")
    }

    /// Waits for a leader that all running nodes agree on.
    pub async fn leader(&mut self) -> Status {
        self.cluster.wait_for_leader(PATIENCE).await.unwrap()
    }

    /// The running nodes except `id`.
    pub fn others(&self, id: i32) -> Vec<i32> {
        self.running()
            .into_iter()
            .filter(|other| *other != id)
            .collect()
    }

    /// Ends node `id` with SIGKILL.
    pub async fn kill9(&mut self, id: i32) {
        self.node(id).kill().await.unwrap();
    }

    /// Starts node `id` again and waits until it answers.
    pub async fn bring_back(&mut self, id: i32) {
        let deadline = Instant::now() + PATIENCE;
        self.cluster.restart(id).unwrap();
        while self.view(id).await.is_none() {
            match self.newly_ended() {
                // Another program's connection may hold the port for a moment.
                Some(error) if lost_a_port(&error) => self.cluster.restart(id).unwrap(),
                Some(error) => panic!("node {id} does not start again: {error}"),
                None => {}
            }
            assert!(
                Instant::now() < deadline,
                "node {id} does not answer within {PATIENCE:?}"
            );
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    /// Waits until all running nodes have applied the same log to its end, and gives that index.
    pub async fn equal_indexes(&mut self) -> u64 {
        self.leader().await;
        wait_until(
            "all nodes have applied the same log to its end",
            async || {
                let views = self.views().await;
                let first = views.first()?;
                let equal = views.iter().all(|view| {
                    view.applied_index == first.applied_index
                        && view.last_log_index == view.applied_index
                });
                (equal && views.len() == self.running().len()).then_some(first.applied_index)
            },
        )
        .await
    }

    /// A client that believes the nodes.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The URL of node `id`, without a path.
    pub fn url(&self, id: i32) -> String {
        self.origin(id)
    }

    /// Sends a request to node `id`, once, and takes whatever it answers.
    pub async fn send_once(
        &self,
        id: i32,
        build: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> Reply {
        send(build(&self.http, self.url(id))).await.unwrap()
    }

    /// Sends a request to node `id`; a 503 is taken for an answer only if no other leader has been
    /// elected meanwhile. On a busy machine that happens at any time, and is no fault.
    async fn send_steadily(
        &self,
        id: i32,
        build: impl Fn(&reqwest::Client, String) -> reqwest::RequestBuilder,
    ) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.send_once(id, &build).await;
            if reply.status != 503 || Instant::now() >= deadline {
                return reply;
            }
            let term = self.agreed_term().await;
            if self.last_term.fetch_max(term, Ordering::Relaxed) >= term {
                return reply;
            }
        }
    }

    /// The term that all running nodes are in, once they follow one leader; the highest of their
    /// terms if they cannot, for want of a majority.
    async fn agreed_term(&self) -> u64 {
        let majority = self.running().len() >= 2;
        wait_until("the running nodes agree on a leader", async || {
            let views = self.views().await;
            let term = views.iter().map(|view| view.term).max()?;
            let leader = views[0].leader;
            let agreed = leader.is_some()
                && views
                    .iter()
                    .all(|view| view.term == term && view.leader == leader);
            (agreed || !majority).then_some(term)
        })
        .await
    }

    /// GET from node `id`, once: whatever it answers.
    pub async fn look(&self, id: i32, path: &str) -> Reply {
        self.send_once(id, |http, url| http.get(url + path)).await
    }

    /// GET from node `id`.
    pub async fn get(&self, id: i32, path: &str) -> Reply {
        self.send_steadily(id, |http, url| http.get(url + path))
            .await
    }

    /// POST of a JSON body to node `id`, with a key of its own to make it safe to repeat.
    pub async fn post(&self, id: i32, path: &str, body: &Value) -> Reply {
        self.post_with_key(id, path, body, &new_idempotency_key().unwrap())
            .await
    }

    /// POST of a JSON body with an `Idempotency-Key` to node `id`.
    pub async fn post_with_key(&self, id: i32, path: &str, body: &Value, key: &str) -> Reply {
        self.send_steadily(id, |http, url| {
            http.post(url + path)
                .json(body)
                .header("Idempotency-Key", key)
        })
        .await
    }

    /// POST of any bytes to node `id`, with a key of its own.
    pub async fn post_bytes(&self, id: i32, path: &str, body: impl Into<Bytes>) -> Reply {
        let (body, key) = (body.into(), new_idempotency_key().unwrap());
        self.send_steadily(id, |http, url| {
            http.post(url + path)
                .body(body.clone())
                .header("Idempotency-Key", &key)
        })
        .await
    }

    /// A list as node `id` has it, at the given consistency.
    pub async fn list(&self, id: i32, path: &str, consistency: &str) -> Vec<Value> {
        let reply = self
            .get(id, &format!("{path}?consistency={consistency}"))
            .await
            .expect(200);
        reply.body.as_array().expect("a list").clone()
    }

    /// Creates an object through node `id` and gives it.
    pub async fn create(&self, id: i32, path: &str, body: &Value) -> Value {
        self.post(id, path, body).await.expect(201).body
    }

    /// A printer and a filament of `grams`, ready for jobs: the body of a job of one gram.
    pub async fn job_template(&self, id: i32, grams: u64) -> Value {
        let printer = self
            .create(id, PRINTERS, &json!({"company": "Prusa", "model": "MK4"}))
            .await;
        let filament = json!({"type": "PLA", "color": "red", "total_weight_in_grams": grams});
        let filament = self.create(id, FILAMENTS, &filament).await;
        json!({
            "printer_id": printer["id"],
            "filament_id": filament["id"],
            "filepath": "part.gcode",
            "print_weight_in_grams": 1,
        })
    }

    /// Asserts that all running nodes have the same objects, and gives the jobs.
    pub async fn same_everywhere(&mut self) -> Vec<Value> {
        self.equal_indexes().await;
        let mut jobs = Vec::new();
        let ids = self.running();
        for path in [PRINTERS, FILAMENTS, JOBS] {
            jobs = self.list(ids[0], path, "eventual").await;
            for id in &ids[1..] {
                let theirs = self.list(*id, path, "eventual").await;
                assert!(
                    jobs == theirs,
                    "{path} on node {} and node {id} differ",
                    ids[0]
                );
            }
        }
        jobs
    }
}

/// Waits until no other cluster runs in this test program; none starts while the guard lives.
pub async fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().await
}

/// Waits until `condition` gives a value; panics with `what` when that takes too long.
pub async fn wait_until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

/// Sends one request and reads all of the answer.
pub async fn send(request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
    let response = request.timeout(ANSWER_PATIENCE).send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await?;
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Reply {
        status,
        headers,
        body,
    })
}

/// A client that follows nothing and goes through no proxy.
pub fn http_client() -> reqwest::Client {
    HttpClient::new(None).unwrap().get()
}

/// The program under test.
pub fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_raft3d").into()
}

/// True if a node did not start because somebody else took its port meanwhile.
fn lost_a_port(error: &DemoError) -> bool {
    match error {
        DemoError::AddressesTaken(_) => true,
        DemoError::NodeEnded { log_tail, .. } => log_tail.contains("in use"),
        _ => false,
    }
}
