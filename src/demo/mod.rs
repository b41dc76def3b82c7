//! `raft3d demo`: a whole cluster on one machine, each node a process of its own.

pub mod cluster;
pub mod nodes;
mod tour;

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use crate::client::api::ClientError;
use crate::consensus::Status;
use crate::serve::stop_signal;
use cluster::Cluster;
use nodes::{Layout, NodeProcess};

const DEFAULT_HTTP: &str = "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083";
const DEFAULT_RAFT: &str = "127.0.0.1:9081,127.0.0.1:9082,127.0.0.1:9083";
const DEFAULT_DIR: &str = "raft3d-demo";

/// Longest wait for the first leader.
const ELECTION_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at whether a node has ended.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// The command line of `raft3d demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the nodes keep their data, log and pid files: DIR/node1, DIR/node2, ... Data of an
    /// earlier run is kept [default: ./raft3d-demo; a temporary directory for --tour]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// HTTP addresses, one for each node
    /// [default: 127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083; free ports for --tour]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub http: Option<Vec<String>>,
    /// Addresses the nodes talk to each other on, one for each node
    /// [default: 127.0.0.1:9081,127.0.0.1:9082,127.0.0.1:9083; free ports for --tour]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub raft: Option<Vec<String>>,
    /// Walk through by itself: write, kill the leader, show that nothing is lost, restart it, take
    /// a snapshot; ends with exit code 0 if everything held
    #[arg(long)]
    pub tour: bool,
}

/// Why a demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// Somebody listens on these addresses already.
    #[error(
        "cannot start the nodes, these addresses are not free:\n  {0}\n\
         stop what uses them, or give others with --http and --raft"
    )]
    AddressesTaken(String),
    /// The directory belongs to nodes with other addresses.
    #[error(
        "{} holds the data of nodes at {theirs}, not at {ours}: \
         give the same --raft again, or another --dir", dir.display()
    )]
    OtherCluster {
        /// The directory.
        dir: PathBuf,
        /// What it was made for.
        theirs: String,
        /// What it was to be used for.
        ours: String,
    },
    /// A node ended although nobody asked it to, or not as it should.
    #[error("node {id} ended with {status}; its log ends:\n{log_tail}")]
    NodeEnded {
        /// Server id.
        id: i32,
        /// Exit code or signal.
        status: String,
        /// The end of its log.
        log_tail: String,
    },
    /// The nodes did not agree on a leader.
    #[error("no leader that all nodes agree on within {patience:?}; their views: {views:#?}")]
    NoLeader {
        /// How long they had.
        patience: Duration,
        /// Last views.
        views: Vec<Status>,
    },
    /// A promise of the tour did not hold.
    #[error("this did not hold: {0}")]
    CheckFailed(String),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file or process operation failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl DemoError {
    fn io(path: &Path, error: io::Error) -> DemoError {
        DemoError::Io {
            path: path.to_owned(),
            error,
        }
    }

    fn node_ended(node: &NodeProcess, status: ExitStatus) -> DemoError {
        DemoError::NodeEnded {
            id: node.spec.id,
            status: status.to_string(),
            log_tail: node.log_tail(),
        }
    }

    /// The program's exit code: 2 for usage, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            DemoError::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// Runs the demo until a signal stops it, or the tour to its end.
pub async fn run(args: DemoArgs) -> Result<(), DemoError> {
    let exe = std::env::current_exe().map_err(|error| DemoError::io(Path::new("raft3d"), error))?;
    if args.tour {
        return tour::run(exe, args).await;
    }
    let http = args.http.unwrap_or_else(|| list(DEFAULT_HTTP));
    let raft = args.raft.unwrap_or_else(|| list(DEFAULT_RAFT));
    let dir = args.dir.unwrap_or(DEFAULT_DIR.into());
    let stop = stop_signal();
    tokio::pin!(stop);
    let begun = Instant::now();
    let mut cluster = Cluster::start(checked_layout(exe, &dir, &http, &raft)?)?;
    let leader = tokio::select! {
        leader = cluster.wait_for_leader(ELECTION_PATIENCE) => leader?,
        () = &mut stop => return cluster.stop().await,
    };
    println!("{}", welcome(&cluster, &leader, begun.elapsed()));
    let result = tokio::select! {
        error = report_ends(&mut cluster) => Err(error),
        () = &mut stop => Ok(()),
    };
    println!(
        "\nStopping the nodes; their data stays in {}.",
        dir.display()
    );
    result.and(cluster.stop().await)
}

/// A layout of as many nodes as there are addresses.
fn checked_layout(
    exe: PathBuf,
    dir: &Path,
    http: &[String],
    raft: &[String],
) -> Result<Layout, DemoError> {
    if http.len() != raft.len() {
        return Err(DemoError::Usage(format!(
            "--http names {} addresses ({}) and --raft names {} ({}): give one of each per node",
            http.len(),
            http.join(","),
            raft.len(),
            raft.join(",")
        )));
    }
    if http.len() < 3 {
        return Err(DemoError::Usage(format!(
            "--http names {} nodes ({}): at least three are needed to survive the loss of one",
            http.len(),
            http.join(",")
        )));
    }
    Ok(Layout::new(exe, dir, http, raft))
}

/// What to open and what to try, with this cluster's addresses.
fn welcome(cluster: &Cluster, leader: &Status, elapsed: Duration) -> String {
    let layout = cluster.layout();
    let http = |position: usize| &layout.nodes[position % layout.nodes.len()].http_addr;
    let (id, term) = (leader.node_id, leader.term);
    let dir = layout.dir.display();
    let exe = layout.exe.display();
    let endpoints: Vec<_> = layout
        .nodes
        .iter()
        .map(|node| node.http_addr.as_str())
        .collect();
    let mut text = String::from("Nodes:\n");
    for node in &layout.nodes {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  node {}  http://{}  {}",
            node.id,
            node.http_addr,
            node.dir.display()
        );
    }
    text += &format!(
        r#"Node {id} leads term {term}, {} ms after the start.

Look at the cluster as one node sees it:
  http://{}/api/v1/cluster

Try it; every node takes every request:
  curl {}/api/v1/printers -d '{{"company": "Prusa", "model": "MK4"}}'
  curl {}/api/v1/filaments -d '{{"type": "PLA", "color": "red", "total_weight_in_grams": 1000}}'
  curl {}/api/v1/print_jobs -d '{{"printer_id": 1, "filament_id": 1, "filepath": "cube.gcode", "print_weight_in_grams": 120}}'
  curl -X POST '{}/api/v1/print_jobs/1/status?status=running'
  curl {}/api/v1/print_jobs

Or with this program:
  export RAFT3D_ENDPOINT={}
  {exe} cluster status
  {exe} jobs list

Kill the leader and go on writing:
  kill -9 $(cat {dir}/node{id}/pid)

Ctrl-C stops the nodes."#,
        elapsed.as_millis(),
        http(0),
        http(0),
        http(1),
        http(2),
        http(0),
        http(1),
        endpoints.join(","),
    );
    text
}

/// Says when a node ends and how to start it again; resolves when none is left.
async fn report_ends(cluster: &mut Cluster) -> DemoError {
    let layout = cluster.layout().clone();
    loop {
        if let Some(end) = cluster.newly_ended() {
            println!("\n{}", describe_end(&layout, &end));
            if cluster.running().is_empty() {
                return end;
            }
        }
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}

fn describe_end(layout: &Layout, end: &DemoError) -> String {
    let mut text = end.to_string();
    if let DemoError::NodeEnded { id, status, .. } = end
        && let Some(node) = layout.nodes.iter().find(|node| node.id == *id)
    {
        let command = layout.serve_args(node).join(" ");
        text = format!(
            "Node {id} ended with {status}; its log is {}. Start it again with:\n  {} {command}",
            node.log_path().display(),
            layout.exe.display(),
        );
    }
    text
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}
