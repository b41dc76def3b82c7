//! The nodes under attack: real processes, each in its network namespace and on its bad disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use raft3d::demo::nodes::{Layout, NodeProcess, NodeSpec};

use super::disk::Disk;
use super::network::Network;
use super::power::Loss;
use super::rng::Rng;
use super::system::send_signal;
use crate::cluster_support::program;

const HTTP_PORT: u16 = 8081;
const RAFT_PORT: u16 = 9081;

/// Where a node is reached, and how often it was started: what clients need to know.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The node's id.
    pub id: u8,
    /// URL of its API, without a path.
    pub url: String,
    starts: Arc<AtomicU64>,
}

impl Endpoint {
    /// Counts the starts of the node: while it stays the same, so does the process.
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::SeqCst)
    }
}

/// All nodes of a cluster, by id from 1. They end with this value.
pub struct Nodes {
    layout: Layout,
    nodes: Vec<Node>,
}

struct Node {
    spec: NodeSpec,
    launcher: PathBuf,
    disk: Disk,
    endpoint: Endpoint,
    process: Option<NodeProcess>,
    paused: bool,
}

impl Nodes {
    /// `count` nodes with data under `dir`, none of them running, with further arguments of
    /// `serve` and variables of the environment. Without the shim their disks are sound.
    pub fn new(
        count: u8,
        dir: &Path,
        shim: Option<&Path>,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Nodes {
        let addresses = |port: u16| -> Vec<String> {
            (1..=count)
                .map(|id| format!("{}:{port}", Network::address(id)))
                .collect()
        };
        let mut layout = Layout::new(program(), dir, &addresses(HTTP_PORT), &addresses(RAFT_PORT));
        // Their addresses are no loopback addresses, though nobody else is in their namespaces.
        let args = ["--insecure"].iter().chain(args);
        layout.extra_args = args.map(|arg| (*arg).to_owned()).collect();
        let nodes = layout.nodes.iter().zip(1..).map(|(spec, id)| {
            fs::create_dir_all(&spec.dir).expect("room for a node's directory");
            let disk = Disk::new(&spec.dir);
            let launcher = dir.join(format!("start-node{id}"));
            write_launcher(&launcher, id, &disk, shim, env);
            Node {
                spec: spec.clone(),
                launcher,
                disk,
                endpoint: Endpoint {
                    id,
                    url: format!("http://{}", spec.http_addr),
                    starts: Arc::default(),
                },
                process: None,
                paused: false,
            }
        });
        let nodes = nodes.collect();
        Nodes { layout, nodes }
    }

    /// All ids.
    pub fn ids(&self) -> Vec<u8> {
        self.nodes.iter().map(|node| node.endpoint.id).collect()
    }

    /// Where the nodes are reached.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.nodes
            .iter()
            .map(|node| node.endpoint.clone())
            .collect()
    }

    /// Node `id`'s disk.
    pub fn disk(&self, id: u8) -> &Disk {
        &self.nodes[usize::from(id) - 1].disk
    }

    /// Node `id`'s data directory.
    pub fn dir(&self, id: u8) -> &Path {
        &self.nodes[usize::from(id) - 1].spec.dir
    }

    /// Lets node `id`'s disk lose at every power failure all that it may lose.
    pub fn forget_all(&mut self, id: u8) {
        self.node(id).disk.forgets_all = true;
    }

    /// Starts node `id` unless it runs.
    pub async fn start(&mut self, id: u8) {
        if self.is_running(id) {
            return;
        }
        let layout = Layout {
            exe: self.node(id).launcher.clone(),
            ..self.layout.clone()
        };
        let node = self.node(id);
        node.endpoint.starts.fetch_add(1, Ordering::SeqCst);
        let started = NodeProcess::start(&layout, &node.spec);
        node.process = Some(started.expect("a process for a node"));
    }

    /// Whether node `id` runs; one that has ended by itself is noticed here.
    pub fn is_running(&mut self, id: u8) -> bool {
        let node = self.node(id);
        let Some(process) = &mut node.process else {
            return false;
        };
        if process.newly_ended().is_some() {
            node.ended();
        }
        node.process.is_some()
    }

    /// Ends node `id` with SIGKILL, if it runs.
    pub async fn kill(&mut self, id: u8) {
        if !self.is_running(id) {
            return;
        }
        let node = self.node(id);
        if let Some(process) = &mut node.process {
            process.kill().await.expect("a child can be killed");
        }
        node.ended();
    }

    /// Asks node `id`, which runs, to stop in good order.
    pub fn terminate(&mut self, id: u8) {
        self.node(id).signal(libc::SIGTERM);
    }

    /// Cuts the power of node `id`, running or not.
    pub async fn lose_power(&mut self, id: u8, rng: &mut Rng) -> Loss {
        self.kill(id).await;
        self.node(id).disk.lose_power(rng)
    }

    /// Throws away node `id`, running or not, with all its data: at the next start it joins the
    /// cluster of the others.
    pub async fn replace(&mut self, id: u8) {
        self.kill(id).await;
        let others = self
            .layout
            .nodes
            .iter()
            .filter(|spec| spec.id != i32::from(id));
        let others: Vec<_> = others.map(|spec| spec.http_addr.clone()).collect();
        let node = self.node(id);
        node.disk.wipe();
        node.spec.join = Some(others.join(","));
    }

    /// Halts node `id` where it is, if it runs.
    pub fn pause(&mut self, id: u8) {
        if self.is_running(id) {
            self.node(id).signal(libc::SIGSTOP);
            self.node(id).paused = true;
        }
    }

    /// Lets node `id` go on, if it was halted.
    pub fn resume(&mut self, id: u8) {
        if self.is_running(id) && self.node(id).paused {
            self.node(id).signal(libc::SIGCONT);
            self.node(id).paused = false;
        }
    }

    /// The end of what node `id` has logged.
    pub fn log_tail(&self, id: u8) -> String {
        let log = self.nodes[usize::from(id) - 1].spec.log_path();
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn node(&mut self, id: u8) -> &mut Node {
        &mut self.nodes[usize::from(id) - 1]
    }
}

impl Node {
    fn ended(&mut self) {
        self.process = None;
        self.paused = false;
        self.disk.process_ended();
    }

    fn signal(&self, signal: i32) {
        if let Some(pid) = self.process.as_ref().and_then(NodeProcess::pid) {
            send_signal(pid, signal).expect("a child can be signalled");
        }
    }
}

/// A program that takes the arguments of `raft3d` and becomes it, in the node's network namespace
/// and on its disk.
fn write_launcher(path: &Path, id: u8, disk: &Disk, shim: Option<&Path>, env: &[(&str, &str)]) {
    let mut script = format!(
        "#!/bin/sh\nexec nsenter --net={} env",
        Network::namespace(id).display()
    );
    for (name, value) in shim
        .map(|shim| disk.environment(shim))
        .into_iter()
        .flatten()
    {
        script += &format!(" {name}={}", value.display());
    }
    for (name, value) in env {
        script += &format!(" {name}={value}");
    }
    script += &format!(" '{}' \"$@\"\n", program().display());
    fs::write(path, script).expect("room for a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}
