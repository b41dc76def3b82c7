//! One node put together: the replicated log, the service over it, and the HTTP API in front.

use std::future::Future;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, info, warn};

use crate::bootstrap::{self, Candidate};
use crate::client::api::ClientError;
use crate::config::{Config, Origin};
use crate::consensus::{Consensus, Role};
use crate::http;
use crate::join::Joiner;
use crate::raft::{Durability, FirstStart, Node, NodeConfig, Parting, StartError};
use crate::registrar;
use crate::service::snapshots::take_regularly;
use crate::service::{FarmService, Limits};
use crate::storage::DataDir;
use crate::supervisor;
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

/// How long a node that was removed goes on saying so before it stops.
const FAREWELL: Duration = Duration::from_secs(3);
/// After how many of its longest election timeouts a silent member counts as dead.
const DEAD_AFTER_TIMEOUTS: u32 = 4;

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
    /// The nodes of the cluster to join are not named properly.
    #[error("--join: {0}")]
    JoinAddrs(ClientError),
    /// The cluster does not take this node in.
    #[error("this node cannot join the cluster: {0}")]
    Join(String),
    /// The cluster knows this node with another data directory.
    #[error("{0}")]
    Stranger(String),
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
/// `FAILURE_GRACE` unless `shutdown` resolves before, and is an error.
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
    let mut shutdown = pin!(shutdown);
    let mut joiner = match &config.origin {
        Origin::InitialCluster(_) => None,
        Origin::Join(join) => Some(Joiner::new(join.addrs()).map_err(ServeError::JoinAddrs)?),
    };
    let (first_start, listener) = tokio::select! {
        // A node that need not wait starts, and stops, in good order.
        biased;
        ready = first_start(&config, joiner.as_mut(), listener) => ready?,
        () = &mut shutdown => return Ok(()),
    };
    let node = Arc::new(
        blocking({
            let config = node_config(&config, first_start);
            move || Node::start(config)
        })
        .await??,
    );
    info!(%http_addr, raft_addr = config.raft_addr, data_dir = %config.data_dir.display(), "started");

    let limits = Limits {
        request_timeout: config.request_timeout,
        alive_within: Duration::from_millis(config.election_timeout.high_ms.into())
            * DEAD_AFTER_TIMEOUTS,
        ..Limits::default()
    };
    let service = FarmService::with_limits(node.clone(), limits);
    let reached_at = reached_at(http_addr, &config.raft_addr);
    let registration = registrar::register(node.clone(), service.clone(), reached_at.clone());
    let registration = tokio::spawn(registration.in_current_span());
    let snapshots = snapshots_by_time(node.clone(), config.snapshot_interval);
    let snapshots = tokio::spawn(snapshots.in_current_span());
    let (stop_accepting, accepting_stopped) = oneshot::channel::<()>();
    let bounds = http::server::Bounds::of_this_process();
    let connections = http::server::Connections::default();
    let router = http::router(service, &connections);
    let server = http::server::serve(listener, router, bounds, connections, async {
        // An error means that the sender is gone, and with it the node: stop as well.
        let _ = accepting_stopped.await;
    });
    let mut server = tokio::spawn(server.in_current_span());

    let supervised = tokio::spawn(supervisor::report(node.clone()).in_current_span());

    let joining = async {
        let joined = match joiner {
            Some(joiner) => joiner.join(node.clone(), reached_at).await,
            None => Ok(()),
        };
        match joined {
            Ok(()) => std::future::pending().await,
            Err(reason) => reason,
        }
    };
    let result = tokio::select! {
        () = &mut shutdown => {
            info!("stopping");
            supervisor::stopping();
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
        reason = joining => Err(ServeError::Join(reason)),
        parting = node.parting() => match parting {
            Parting::Stranger(reason) => Err(ServeError::Stranger(reason)),
            Parting::Removed => {
                // Time for whoever watches to see why.
                let _ = timeout(FAREWELL, shutdown).await;
                let _ = stop_accepting.send(());
                drain(&mut server).await
            }
        },
        ended = &mut server => ended.map_err(|error| ServeError::Http(io::Error::other(error))),
    };
    server.abort();
    registration.abort();
    supervised.abort();
    snapshots.abort();
    leave_cluster(&node).await?;
    info!("stopped");
    result
}

/// Has snapshots taken every `period`, if it is not zero.
async fn snapshots_by_time(node: Arc<Node>, period: Duration) {
    if !period.is_zero() {
        take_regularly(node, period).await;
    }
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

/// What a node with an empty data directory is to be part of. A node that joins, or founds a cluster with
/// others, learns it from them, and waits for them; `listener` is given back.
async fn first_start(
    config: &Config,
    joiner: Option<&mut Joiner>,
    listener: TcpListener,
) -> Result<(FirstStart, TcpListener), ServeError> {
    let addrs = match &config.origin {
        Origin::InitialCluster(nodes) => {
            return Ok((FirstStart::Found(nodes.nodes().to_vec()), listener));
        }
        Origin::Join(addrs) => addrs.addrs(),
    };
    match joiner {
        Some(joiner) if !DataDir::is_used(&config.data_dir) => match config.bootstrap_expect {
            Some(_) => bootstrap(config, addrs, listener).await,
            None => Ok((FirstStart::Join(joiner.cluster().await), listener)),
        },
        _ => Ok((FirstStart::Past, listener)),
    }
}

/// Shows this node to the others at `addrs`, on `listener`, until it is clear how it begins.
async fn bootstrap(
    config: &Config,
    addrs: &[String],
    listener: TcpListener,
) -> Result<(FirstStart, TcpListener), ServeError> {
    let mut addrs = addrs.to_vec();
    addrs.sort();
    let candidate = Candidate {
        node_id: config.node_id,
        raft_addr: config.raft_addr.clone(),
        bootstrap: addrs,
    };
    let listener = listener.into_std()?;
    let waiting = TcpListener::from_std(listener.try_clone()?)?;
    let bounds = http::server::Bounds::of_this_process();
    let (decided, stop) = oneshot::channel::<()>();
    let router = http::waiting::router(candidate.clone());
    let connections = http::server::Connections::default();
    let server = http::server::serve(waiting, router, bounds, connections, async {
        // An error means that nobody waits any more.
        let _ = stop.await;
    });
    tokio::spawn(server.in_current_span());
    let first_start = bootstrap::wait(&candidate).await;
    // The server has ended already if nobody listens.
    let _ = decided.send(());
    let first_start = first_start.map_err(ServeError::JoinAddrs)?;
    Ok((first_start, TcpListener::from_std(listener)?))
}

/// Where the other nodes reach the API that listens at `http_addr`: on the host where they reach
/// this node, if it listens everywhere.
fn reached_at(http_addr: SocketAddr, raft_addr: &str) -> String {
    match raft_addr.rsplit_once(':') {
        Some((host, _)) if http_addr.ip().is_unspecified() => {
            format!("{host}:{}", http_addr.port())
        }
        _ => http_addr.to_string(),
    }
}

fn node_config(config: &Config, first_start: FirstStart) -> NodeConfig {
    NodeConfig {
        node_id: config.node_id,
        data_dir: config.data_dir.clone(),
        raft_addr: config.raft_addr.clone(),
        first_start,
        election_timeout_ms: (
            config.election_timeout.low_ms,
            config.election_timeout.high_ms,
        ),
        heartbeat_ms: config.heartbeat_ms,
        snapshot_distance: config.snapshot_distance,
        durability: Durability::Fsync,
        command_version: config.command_version,
    }
}

/// If this node leads, passes the leadership on and waits until another leader is known, so that
/// the cluster goes on without an election timeout.
async fn hand_over(node: &Node) {
    let before = node.status();
    if before.role != Role::Leader || before.members.len() < 2 {
        return;
    }
    node.yield_leadership(None);
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
