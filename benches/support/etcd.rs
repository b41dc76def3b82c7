//! Three nodes of etcd, with its default settings: what a user might pick instead.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use serde_json::{Value, json};

use super::http::{Call, Connection};
use super::nodes::free_addresses;
use super::report::target;

const SIZE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// A running cluster; its processes end with this value.
pub struct Etcd {
    processes: Vec<Child>,
    /// `host:port` of each node's API.
    pub hosts: Vec<String>,
}

impl Etcd {
    /// Starts the cluster with its data under `dir` and waits until it takes writes.
    pub async fn start(dir: &Path) -> Etcd {
        let addresses = free_addresses(2 * SIZE);
        let (hosts, peers) = addresses.split_at(SIZE);
        let members: Vec<_> = (1..)
            .zip(peers)
            .map(|(number, peer)| format!("node{number}=http://{peer}"))
            .collect();
        let start = |number: usize| {
            let (host, peer) = (&hosts[number - 1], &peers[number - 1]);
            let name = format!("node{number}");
            let log = File::create(dir.join(format!("{name}.log"))).expect("a log");
            program()
                .args(["--name", &name, "--data-dir"])
                .arg(dir.join(&name))
                .args(["--listen-client-urls", &format!("http://{host}")])
                .args(["--advertise-client-urls", &format!("http://{host}")])
                .args(["--listen-peer-urls", &format!("http://{peer}")])
                .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
                .args(["--initial-cluster", &members.join(",")])
                .args(["--initial-cluster-state", "new"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("etcd can be started: make bench installs it")
        };
        let etcd = Etcd {
            processes: (1..=SIZE).map(start).collect(),
            hosts: hosts.to_vec(),
        };
        for host in hosts {
            etcd.wait_for(host).await;
        }
        etcd
    }

    /// Waits until a node takes writes.
    async fn wait_for(&self, host: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if tokio::net::TcpStream::connect(host).await.is_ok() {
                let mut connection = Connection::open(host).await;
                if connection.send(put("ready", "yes")).await.0.is_success() {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "etcd on {host} takes no writes");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What `etcd --version` says first.
    pub fn version() -> String {
        let output = program().arg("--version").output();
        let output = output.expect("etcd can be started: make bench installs it");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or("etcd").to_owned()
    }

    /// How many keys begin with `prefix`, which is one letter.
    pub async fn count(&self, prefix: u8) -> u64 {
        let body = json!({
            "key": BASE64_STANDARD.encode([prefix]),
            "range_end": BASE64_STANDARD.encode([prefix + 1]),
            "count_only": true,
        });
        let mut connection = Connection::open(&self.hosts[0]).await;
        let (_, answer) = connection.send(post("/v3/kv/range", &body)).await;
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let count = answer["count"]
            .as_str()
            .and_then(|count| count.parse().ok());
        count.unwrap_or(0)
    }
}

/// The program, where `make bench` puts it.
fn program() -> Command {
    Command::new(target().join("etcd-server/etcd"))
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Stores `value` under `key`.
pub fn put(key: &str, value: &str) -> Call {
    let body = json!({
        "key": BASE64_STANDARD.encode(key),
        "value": BASE64_STANDARD.encode(value),
    });
    post("/v3/kv/put", &body)
}

/// Reads what is stored under `key`; if `serializable`, what the node asked has.
pub fn get(key: &str, serializable: bool) -> Call {
    let body = json!({ "key": BASE64_STANDARD.encode(key), "serializable": serializable });
    post("/v3/kv/range", &body)
}

fn post(path: &str, body: &Value) -> Call {
    Call {
        method: Method::POST,
        path: path.to_owned(),
        body: body.to_string(),
    }
}
