//! One node put together: the replicated log, the service over it, and the HTTP API in front.

use std::future::Future;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
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
use crate::client::http::HttpClient;
use crate::config::{Config, Origin};
use crate::consensus::{Consensus, Role};
use crate::http;
use crate::http::access::{Access, upkeep};
use crate::join::Joiner;
use crate::raft::{Durability, FirstStart, Node, NodeConfig, Parting, StartError};
use crate::registrar;
use crate::secret::{Secret, SecretFileError};
use crate::service::snapshots::take_regularly;
use crate::service::{FarmService, Limits};
use crate::storage::DataDir;
use crate::supervisor;
use crate::telemetry;
use crate::tls::{Tls, TlsError};
use crate::traces::Traces;

/// How long a leader that stops waits for another to take over.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks at whether the leadership has passed on.
const HANDOVER_POLL: Duration = Duration::from_millis(10);
/// How long requests under way may take to finish once the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests that waited for the cluster until then may take to be answered that this node
/// has left it.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
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
    /// The certificate, its key or the CA cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// What calls the other nodes cannot be made.
    #[error("{0}")]
    Client(ClientError),
    /// The data directory or the Raft address cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node's disk failed, or its consensus core found a state that must not be.
    #[error("the node cannot go on: {0}")]
    Failed(String),
    /// No traces can be sent where they are to go.
    #[error("traces (--otlp-endpoint): {0}")]
    Traces(String),
    /// A token file gives no token.
    #[error(transparent)]
    Token(#[from] SecretFileError),
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
    let tls = match config.tls.clone() {
        Some(files) => Some(Arc::new(
            blocking(move || Tls::load(files, config.node_id)).await??,
        )),
        None => None,
    };
    let http = HttpClient::of_node(tls.as_ref()).map_err(ServeError::Client)?;
    let traces = start_traces(&config, &http)?;
    let mut joiner = match &config.origin {
        Origin::InitialCluster(_) => None,
        Origin::Join(join) => {
            let token = secret_of(config.token_file.as_deref())?;
            let joiner = Joiner::new(join.addrs(), http.clone(), token, config.learner);
            Some(joiner.map_err(ServeError::JoinAddrs)?)
        }
    };
    let admin = secret_of(config.admin_token_file.as_deref())?;
    let access = Access::new(config.demands_tokens(), admin.map(|secret| secret.digest()));
    let (first_start, listener) = tokio::select! {
        // A node that need not wait starts, and stops, in good order.
        biased;
        ready = first_start(&config, joiner.as_mut(), &http, tls.as_ref(), listener) => ready?,
        () = &mut shutdown => return Ok(()),
    };
    let node = Arc::new(
        blocking({
            let config = node_config(&config, first_start);
            let secured = tls.as_ref().map(|tls| tls.raft().clone());
            move || Node::start_secured(config, secured)
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
    let reached_at = reached_at(http_addr, &config, tls.is_some());
    let registration = registrar::register(node.clone(), service.clone(), reached_at.clone());
    let registration = tokio::spawn(registration.in_current_span());
    let snapshots = snapshots_by_time(node.clone(), config.snapshot_interval);
    let snapshots = tokio::spawn(snapshots.in_current_span());
    let (stop_accepting, accepting_stopped) = oneshot::channel::<()>();
    let bounds = http::server::Bounds::of_this_process();
    let connections = http::server::Connections::default();
    let upkeep = upkeep::run(service.clone(), access.clone());
    let upkeep = tokio::spawn(upkeep.in_current_span());
    let mut router = http::router(service, &connections, http, tls.as_deref(), access);
    if let Some(origins) = &config.cors_origins {
        router = http::cors::allow(router, origins);
    }
    let renewal = tls
        .clone()
        .map(|tls| tokio::spawn(tls.follow().in_current_span()));
    let server = http::server::serve(listener, router, bounds, connections, tls, async {
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
            drain(&mut server, &node).await
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
                drain(&mut server, &node).await
            }
        },
        ended = &mut server => ended.map_err(|error| ServeError::Http(io::Error::other(error))),
    };
    server.abort();
    registration.abort();
    supervised.abort();
    snapshots.abort();
    if let Some(renewal) = renewal {
        renewal.abort();
    }
    upkeep.abort();
    leave_cluster(&node).await?;
    if let Some(traces) = traces {
        blocking(move || traces.stop()).await?;
    }
    info!("stopped");
    result
}

/// Has the node record traces, if it was told where to send them.
fn start_traces(config: &Config, http: &HttpClient) -> Result<Option<Traces>, ServeError> {
    let start = |endpoint| {
        let ratio = config.otlp_sampling_ratio.get();
        Traces::start(endpoint, ratio, config.node_id, http.clone())
    };
    let traces = config.otlp_endpoint.as_ref().map(start).transpose();
    traces.map_err(ServeError::Traces)
}

/// Has snapshots taken every `period`, if it is not zero.
async fn snapshots_by_time(node: Arc<Node>, period: Duration) {
    if !period.is_zero() {
        take_regularly(node, period).await;
    }
}

/// The secret in a token file, if there is one.
fn secret_of(path: Option<&Path>) -> Result<Option<Secret>, SecretFileError> {
    path.map(Secret::from_file).transpose()
}

/// Ends the node's part in the cluster; its state stays readable.
async fn leave_cluster(node: &Arc<Node>) -> Result<(), ServeError> {
    let node = Arc::clone(node);
    blocking(move || node.shutdown()).await
}

/// Waits until all requests under way are answered, or for as long as that may take. Those that still
/// wait for the cluster then are told that their outcome is unknown: nobody will tell this node.
async fn drain(server: &mut JoinHandle<()>, node: &Arc<Node>) -> Result<(), ServeError> {
    if let Ok(ended) = timeout(DRAIN_TIMEOUT, &mut *server).await {
        return Ok(ended.map_err(io::Error::other)?);
    }
    leave_cluster(node).await?;
    match timeout(LAST_ANSWERS, server).await {
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
    http: &HttpClient,
    tls: Option<&Arc<Tls>>,
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
            Some(_) => bootstrap(config, addrs, http, tls, listener).await,
            None => Ok((FirstStart::Join(joiner.cluster().await), listener)),
        },
        _ => Ok((FirstStart::Past, listener)),
    }
}

/// Shows this node to the others at `addrs`, on `listener`, until it is clear how it begins.
async fn bootstrap(
    config: &Config,
    addrs: &[String],
    http: &HttpClient,
    tls: Option<&Arc<Tls>>,
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
    let server = http::server::serve(waiting, router, bounds, connections, tls.cloned(), async {
        // An error means that nobody waits any more.
        let _ = stop.await;
    });
    tokio::spawn(server.in_current_span());
    let token = secret_of(config.token_file.as_deref())?;
    let first_start = bootstrap::wait(&candidate, http.clone(), token).await;
    // The server has ended already if nobody listens.
    let _ = decided.send(());
    let first_start = first_start.map_err(ServeError::JoinAddrs)?;
    Ok((first_start, TcpListener::from_std(listener)?))
}

/// Where the other nodes reach the API that listens at `bound`: on the host that it was told, which
/// a certificate may name, or on the one where they reach this node, if it listens everywhere. An
/// API with TLS has its scheme in front.
fn reached_at(bound: SocketAddr, config: &Config, secured: bool) -> String {
    let told = match bound.ip().is_unspecified() {
        true => &config.raft_addr,
        false => &config.http_addr,
    };
    let scheme = if secured { "https://" } else { "" };
    match told.rsplit_once(':') {
        Some((host, _)) => format!("{scheme}{host}:{}", bound.port()),
        None => format!("{scheme}{bound}"),
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

/// From this call on SIGHUP, which asks for certificates to be read again, does not end the process:
/// a node may have none.
pub fn outlive_hangups() {
    // Once caught, a signal stays so without anybody who waits for it.
    if let Err(error) = signal(SignalKind::hangup()) {
        warn!(%error, "SIGHUP cannot be caught, and ends the node");
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
