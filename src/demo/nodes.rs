//! The nodes of a demo: where each one lives, and its process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::DemoError;
use crate::client::api::ClientError;
use crate::client::http::HttpClient;
use crate::secret::Secret;

/// Longest wait for a node that was asked to stop: more than it may take by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The CA's file in [`Layout::certs`].
const CA_FILE: &str = "ca.crt";
/// How much of a log's end is shown when a node fails.
const LOG_TAIL_BYTES: u64 = 4_096;

/// Where one node lives.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Server id.
    pub id: i32,
    /// `host:port` of its HTTP API.
    pub http_addr: String,
    /// `host:port` of its Raft listener.
    pub raft_addr: String,
    /// Its data directory; `pid` and `raft3d.log` are there too.
    pub dir: PathBuf,
    /// HTTP addresses of the cluster that it joins; nothing for a member of the initial cluster.
    pub join: Option<String>,
}

impl NodeSpec {
    /// The file that its output goes to.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("raft3d.log")
    }

    /// The file that holds its process id while it runs.
    pub fn pid_path(&self) -> PathBuf {
        self.dir.join("pid")
    }
}

/// Where all nodes live and how they are started.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The program to run.
    pub exe: PathBuf,
    /// Directory that holds the nodes' directories.
    pub dir: PathBuf,
    /// The nodes, by id from 1.
    pub nodes: Vec<NodeSpec>,
    /// Further arguments of `serve`, the same for all.
    pub extra_args: Vec<String>,
    /// Directory with the CA and the nodes' certificates, as `raft3d certs init` makes it; without,
    /// there is no TLS.
    pub certs: Option<PathBuf>,
    /// What the cluster's client shows the nodes, if they demand tokens.
    pub token: Option<Secret>,
}

impl Layout {
    /// A node for each pair of addresses, numbered from 1, in `dir/node1`, `dir/node2` and so on.
    pub fn new(exe: PathBuf, dir: &Path, http: &[String], raft: &[String]) -> Layout {
        let nodes = http.iter().zip(raft).zip(1..);
        let nodes = nodes.map(|((http_addr, raft_addr), id)| NodeSpec {
            id,
            http_addr: http_addr.clone(),
            raft_addr: raft_addr.clone(),
            dir: dir.join(format!("node{id}")),
            join: None,
        });
        Layout {
            exe,
            dir: dir.to_owned(),
            nodes: nodes.collect(),
            extra_args: Vec::new(),
            certs: None,
            token: None,
        }
    }

    /// The value of `--initial-cluster`.
    pub fn initial_cluster(&self) -> String {
        let nodes = self.nodes.iter().filter(|node| node.join.is_none());
        let nodes: Vec<_> = nodes
            .map(|node| format!("{}={}", node.id, node.raft_addr))
            .collect();
        nodes.join(",")
    }

    /// The arguments that start `node`.
    pub fn serve_args(&self, node: &NodeSpec) -> Vec<String> {
        let options = [
            ("--node-id", node.id.to_string()),
            ("--data-dir", node.dir.display().to_string()),
            ("--http-addr", node.http_addr.clone()),
            ("--raft-addr", node.raft_addr.clone()),
            match &node.join {
                Some(addrs) => ("--join", addrs.clone()),
                None => ("--initial-cluster", self.initial_cluster()),
            },
        ];
        let mut args = vec!["serve".to_owned()];
        args.extend(
            options
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value]),
        );
        if let Some(certs) = &self.certs {
            let (cert, key) = (
                format!("node-{}.crt", node.id),
                format!("node-{}.key", node.id),
            );
            for (option, file) in [
                ("--tls-cert", cert.as_str()),
                ("--tls-key", key.as_str()),
                ("--tls-ca", CA_FILE),
            ] {
                args.push(option.to_owned());
                args.push(certs.join(file).display().to_string());
            }
        }
        args.extend(self.extra_args.iter().cloned());
        args
    }

    /// What speaks to the nodes.
    pub fn http_client(&self) -> Result<HttpClient, ClientError> {
        let ca = self.certs.as_ref().map(|certs| certs.join(CA_FILE));
        HttpClient::new(ca.as_deref())
    }

    /// The start of the URLs of `node`'s API.
    pub fn origin(&self, node: &NodeSpec) -> String {
        let scheme = if self.certs.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", node.http_addr)
    }

    /// Refuses addresses that somebody listens on already, naming all of them.
    pub fn check_addresses(&self) -> Result<(), DemoError> {
        let addrs = self
            .nodes
            .iter()
            .flat_map(|node| [&node.http_addr, &node.raft_addr]);
        let taken = addrs.filter_map(|addr| {
            let error = TcpListener::bind(addr.as_str()).err()?;
            Some(format!("{addr}: {error}"))
        });
        match taken.collect::<Vec<_>>() {
            taken if taken.is_empty() => Ok(()),
            taken => Err(DemoError::AddressesTaken(taken.join("\n  "))),
        }
    }

    /// Creates the directories. One that was made for other Raft addresses is refused: its nodes
    /// know each other by those.
    pub fn claim_dir(&self) -> Result<(), DemoError> {
        for node in &self.nodes {
            fs::create_dir_all(&node.dir).map_err(|error| DemoError::io(&node.dir, error))?;
        }
        let path = self.dir.join("initial-cluster");
        let ours = self.initial_cluster();
        match fs::read_to_string(&path) {
            Ok(theirs) if theirs.trim() == ours => Ok(()),
            Ok(theirs) => Err(DemoError::OtherCluster {
                dir: self.dir.clone(),
                theirs: theirs.trim().to_owned(),
                ours,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&path, ours + "\n").map_err(|error| DemoError::io(&path, error))
            }
            Err(error) => Err(DemoError::io(&path, error)),
        }
    }
}

/// `count` loopback addresses that nobody listens on at the moment.
///
/// Somebody else may take one before it is used; who starts nodes on them must be ready to begin
/// again with others.
pub fn free_addresses(count: usize) -> io::Result<Vec<String>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.to_string()))
        .collect()
}

/// A running node. Dropping it kills the process.
#[derive(Debug)]
pub struct NodeProcess {
    /// Where it lives.
    pub spec: NodeSpec,
    child: Child,
    /// The node stops when this closes, and so also when this process dies, however it dies.
    stdin: Option<ChildStdin>,
    /// Where this run's part of the log file begins.
    log_start: u64,
}

impl NodeProcess {
    /// Starts `node` of `layout`, its output going to the end of its log file.
    ///
    /// To be called within a tokio runtime.
    pub fn start(layout: &Layout, node: &NodeSpec) -> Result<NodeProcess, DemoError> {
        let log_path = node.log_path();
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(|error| DemoError::io(&log_path, error))?;
        let log_start = log
            .metadata()
            .map_err(|error| DemoError::io(&log_path, error))?
            .len();
        let log_too = log
            .try_clone()
            .map_err(|error| DemoError::io(&log_path, error))?;
        let mut child = Command::new(&layout.exe)
            .args(layout.serve_args(node))
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(log_too)
            // Ctrl-C in a terminal goes to the whole process group; the nodes stop when told to.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| DemoError::io(&layout.exe, error))?;
        let stdin = child.stdin.take();
        let process = NodeProcess {
            spec: node.clone(),
            child,
            stdin,
            log_start,
        };
        let pid_path = process.spec.pid_path();
        fs::write(
            &pid_path,
            format!("{}\n", process.pid().unwrap_or_default()),
        )
        .map_err(|error| DemoError::io(&pid_path, error))?;
        Ok(process)
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How the process ended, if it ran when last looked at and has ended since.
    pub fn newly_ended(&mut self) -> Option<ExitStatus> {
        self.pid()?;
        let status = self.child.try_wait().ok().flatten()?;
        self.forget_pid();
        Some(status)
    }

    /// Resolves when the process has ended. Cancel safe.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.forget_pid();
        Ok(status)
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.start_kill()?;
        self.wait().await
    }

    /// Asks the process to stop and waits for its end; kills it if that takes too long.
    pub async fn stop(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        match timeout(STOP_TIMEOUT, self.wait()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }

    /// The end of what this run has logged.
    pub fn log_tail(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(self.spec.log_path())?;
            let end = file.metadata()?.len();
            let start = self.log_start.max(end.saturating_sub(LOG_TAIL_BYTES));
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }

    /// Removes the pid file: its number may soon belong to somebody else's process.
    fn forget_pid(&self) {
        // One that is gone already is as good.
        let _ = fs::remove_file(self.spec.pid_path());
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if self.pid().is_some() {
            self.forget_pid();
        }
    }
}
