//! One node put together: the replicated log, the service over it, and the HTTP API in front.

use std::future::Future;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, info, warn};

use crate::config::Config;
use crate::consensus::{Consensus, Role};
use crate::http;
use crate::raft::{Durability, Node, NodeConfig, StartError};
use crate::service::FarmService;
use crate::telemetry;

/// How long a leader that stops waits for another to take over.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks at whether the leadership has passed on.
const HANDOVER_POLL: Duration = Duration::from_millis(10);
/// How long requests under way may take to finish once the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node that has failed, and left the cluster, goes on to say so and to serve eventual
/// reads before its process ends: time for load balancers and people to see it.
const FAILURE_GRACE: Duration = Duration::from_secs(30);

/// Why a node did not start or did not run to its proper end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The HTTP address cannot be listened on.
    #[error("cannot listen for HTTP on {addr} (--http-addr): {source}")]
    Bind {
        /// The address.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory or the Raft address cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node's disk failed, or its consensus core found a state that must not be.
    #[error("the node cannot go on: {0}")]
    Failed(String),
    /// The HTTP server failed.
    #[error("the HTTP server failed: {0}")]
    Http(#[from] io::Error),
}

/// Listens for HTTP where `config` says.
pub async fn bind(config: &Config) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(&config.http_addr).await;
    listener.map_err(|source| ServeError::Bind {
        addr: config.http_addr.clone(),
        source,
    })
}

/// Runs one node until `shutdown` resolves, then stops it in good order: the leadership handed
/// over, no new connections, requests under way answered, the log closed.
///
/// A node that cannot go on leaves the cluster at once, answers from memory for
/// [`FAILURE_GRACE`] unless `shutdown` resolves before, and is an error.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let span = telemetry::node_span(config.node_id);
    run_node(config, listener, shutdown).instrument(span).await
}

async fn run_node(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let http_addr = listener.local_addr()?;
    let node = Arc::new(
        blocking({
            let config = node_config(&config);
            move || Node::start(config)
        })
        .await??,
    );
    info!(%http_addr, raft_addr = config.raft_addr, data_dir = %config.data_dir.display(), "started");

    let service = FarmService::new(node.clone(), config.request_timeout);
    let (stop_accepting, accepting_stopped) = oneshot::channel::<()>();
    let bounds = http::server::Bounds::of_this_process();
    let server = http::server::serve(listener, http::router(service), bounds, async {
        // An error means that the sender is gone, and with it the node: stop as well.
        let _ = accepting_stopped.await;
    });
    let mut server = tokio::spawn(server.in_current_span());

    let mut shutdown = pin!(shutdown);
    let result = tokio::select! {
        () = &mut shutdown => {
            info!("stopping");
            // First, and while requests are still taken: they wait for the new leader.
            hand_over(&node).await;
            // The server has ended already if nobody listens.
            let _ = stop_accepting.send(());
            drain(&mut server).await
        }
        reason = node.failure() => {
            leave_cluster(&node).await?;
            warn!(grace = ?FAILURE_GRACE, "eventual reads are served for a while, nothing else");
            // Either way it is over.
            let _ = timeout(FAILURE_GRACE, shutdown).await;
            Err(ServeError::Failed(reason))
        }
        ended = &mut server => ended.map_err(|error| ServeError::Http(io::Error::other(error))),
    };
    server.abort();
    leave_cluster(&node).await?;
    info!("stopped");
    result
}

/// Ends the node's part in the cluster; its state stays readable.
async fn leave_cluster(node: &Arc<Node>) -> Result<(), ServeError> {
    let node = Arc::clone(node);
    blocking(move || node.shutdown()).await
}

/// Waits until all requests under way are answered, or for as long as that may take.
async fn drain(server: &mut JoinHandle<()>) -> Result<(), ServeError> {
    match timeout(DRAIN_TIMEOUT, server).await {
        Ok(ended) => Ok(ended.map_err(io::Error::other)?),
        Err(_) => {
            warn!(waited = ?DRAIN_TIMEOUT, "some requests did not finish and are dropped");
            Ok(())
        }
    }
}

/// Runs `work`, which waits for disks and threads, where it holds up nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServeError> {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|error| ServeError::Http(io::Error::other(error)))
}

fn node_config(config: &Config) -> NodeConfig {
    NodeConfig {
        node_id: config.node_id,
        data_dir: config.data_dir.clone(),
        raft_addr: config.raft_addr.clone(),
        initial_cluster: config.initial_cluster.nodes().to_vec(),
        election_timeout_ms: (
            config.election_timeout.low_ms,
            config.election_timeout.high_ms,
        ),
        heartbeat_ms: config.heartbeat_ms,
        snapshot_distance: config.snapshot_distance,
        durability: Durability::Fsync,
    }
}

/// If this node leads, passes the leadership on and waits until another leader is known, so that
/// the cluster goes on without an election timeout.
async fn hand_over(node: &Node) {
    let before = node.status();
    if before.role != Role::Leader || before.members.len() < 2 {
        return;
    }
    node.yield_leadership();
    let deadline = Instant::now() + HANDOVER_TIMEOUT;
    loop {
        match node.status().leader {
            Some(leader) if leader != before.node_id => {
                info!(leader, "handed over the leadership");
                return;
            }
            _ if Instant::now() >= deadline => {
                warn!(waited = ?HANDOVER_TIMEOUT, "no other node has taken over the leadership");
                return;
            }
            _ => tokio::time::sleep(HANDOVER_POLL).await,
        }
    }
}

/// Resolves on SIGTERM or SIGINT. The signals are caught from this call on.
pub fn stop_signal() -> impl Future<Output = ()> + Send + 'static {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let [terminate, interrupt] = signals;
        match (terminate, interrupt) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            (Err(error), _) | (_, Err(error)) => {
                warn!(%error, "signals cannot be caught: SIGKILL is the only way to stop");
                std::future::pending().await
            }
        }
    }
}

/// Resolves when standard input ends.
pub async fn stdin_closed() {
    let (sender, receiver) = oneshot::channel();
    // A thread of its own: a blocked read must not hold up the runtime's end.
    std::thread::spawn(move || {
        let mut chunk = [0; 256];
        while io::stdin().read(&mut chunk).is_ok_and(|length| length > 0) {}
        // Nobody waits any more if the node stopped by itself.
        let _ = sender.send(());
    });
    // An error would mean that the thread is gone, and standard input with it.
    let _ = receiver.await;
}
