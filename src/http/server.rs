//! Takes connections for the API, within bounds on their number and on a client's patience.
//!
//! What clients can make a node hold is bounded: [`Bounds::connections_max`] connections of at most
//! [`CONNECTION_MEMORY_MAX`] each, the bodies under way (see [`super::body`]), and the commands in
//! flight (see [`crate::service::Limits`]). A client that sends nothing or takes nothing loses its
//! connection, whether it is slow, gone or hostile.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tracing::{Instrument, debug, info, warn};

use super::access::ClientAddr;
use super::quotes::Connection;
use crate::telemetry::Seldom;
use crate::tls::Tls;

/// Pause after the system could not give us a connection, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// What strangers can cause at will is logged this seldom, each kind of it.
const LOG_PERIOD: Duration = Duration::from_secs(10);
/// Open files that are not connections of the API: the log, its threads, other nodes.
const OTHER_FILES_MAX: u64 = 1_024;
/// What is buffered of a connection at most, read or to be written, in bytes: so also the longest
/// head of a request.
const BUFFER_MAX: usize = 16 << 10;
/// What one connection takes at most beyond a large body, in bytes: a buffer each way with the next
/// piece of an answer, a request line that is looked at, a small body, and what is known of it. An
/// idle one takes less than a tenth of that. TLS takes [`TLS_MEMORY_MAX`] more.
pub const CONNECTION_MEMORY_MAX: usize = 96 << 10;
/// What TLS buffers of one connection at most, in bytes: a record as it comes, decrypted, and as much
/// that is to be written.
pub const TLS_MEMORY_MAX: usize = 3 * TLS_BUFFER_MAX;
/// A little more than the longest record.
const TLS_BUFFER_MAX: usize = 20 << 10;
/// What a connection above the limit is answered.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Retry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What a server puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most connections at a time; one more is answered 503 and closed.
    pub connections_max: usize,
    /// How long a client may take to send the head of a request, and may keep a connection
    /// without sending one.
    pub head_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a client may take none of the bytes of an answer.
    pub stall_timeout: Duration,
    /// How long a server that stops waits for one more request on each connection, to say in the
    /// answer that it is the last.
    pub farewell: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections_max: 16_384,
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            farewell: Duration::from_millis(300),
        }
    }
}

impl Bounds {
    /// The usual bounds, with no more connections than the system lets this process open. Asks
    /// the system for as many open files as that takes.
    pub fn of_this_process() -> Bounds {
        let usual = Bounds::default();
        let wanted = usual.connections_max as u64 + OTHER_FILES_MAX;
        match rlimit::increase_nofile_limit(wanted) {
            Ok(files) => Bounds {
                connections_max: usual.connections_max.min(
                    usize::try_from(files.saturating_sub(OTHER_FILES_MAX).max(files / 2))
                        .unwrap_or(usize::MAX),
                ),
                ..usual
            },
            Err(error) => {
                warn!(%error, "the limit of open files is unknown");
                usual
            }
        }
    }
}

/// How many connections there are, and whether they are to end. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    open: Gauge,
    refused: Counter,
    leaving: watch::Sender<bool>,
}

impl Connections {
    /// Adds the counts to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "connections_open",
            "Connections of clients",
            self.open.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections turned away because there were too many",
            self.refused.clone(),
        );
    }

    /// Resolves once the server is leaving: what would go on for ever is to end.
    pub async fn leaving(&self) {
        // An error cannot be while a clone is here.
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving).await;
    }

    /// Once the server is leaving, every answer is the last on its connection, and says so.
    fn say_farewell(&self, mut response: Response) -> Response {
        if *self.leaving.borrow() {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn enter(&self) -> Present {
        self.open.inc();
        Present(self.open.clone())
    }
}

/// What any client can have the log filled with.
struct Noise {
    handshakes: Seldom,
    turned_away: Seldom,
}

impl Noise {
    fn new() -> Noise {
        Noise {
            handshakes: Seldom::new(LOG_PERIOD),
            turned_away: Seldom::new(LOG_PERIOD),
        }
    }
}

/// One open connection: counted until it is dropped.
struct Present(Gauge);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Serves `router` on `listener`, by `tls` if there is any, until `shutdown` resolves, then takes no
/// new connections, ends those that there are, and returns once every request under way is answered.
///
/// A connection ends with the next answer on it, which says so: a client that sends a request just
/// as an idle connection is closed could not know whether it was carried out. Only connections
/// that stay idle for [`Bounds::farewell`] are closed without a word.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    counts: Connections,
    tls: Option<Arc<Tls>>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(bounds.connections_max));
    let noise = Arc::new(Noise::new());
    let (open, closing) = watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    let begin = |stream| match Arc::clone(&slots).try_acquire_owned() {
        Ok(slot) => {
            let guest = Guest {
                bounds,
                tls: tls.clone(),
                closing: closing.clone(),
                counts: counts.clone(),
                watcher: connections.watcher(),
                noise: Arc::clone(&noise),
                _slot: slot,
                _present: counts.enter(),
            };
            tokio::spawn(guest.serve(stream, router.clone()).in_current_span());
        }
        Err(_) => {
            counts.refused.inc();
            if let Some(more) = noise.turned_away.admit() {
                let most = bounds.connections_max;
                warn!(connections_max = most, more, "a connection is turned away");
            }
            turn_away(&stream, tls.is_some());
        }
    };
    loop {
        tokio::select! {
            stream = accept(&listener) => begin(stream),
            () = &mut shutdown => break,
        }
    }
    counts.leaving.send_replace(true);
    accept_the_last(listener).into_iter().for_each(begin);
    let all = u32::try_from(bounds.connections_max).unwrap_or(u32::MAX);
    // Either all have ended, or those that are left are idle, or busy and waited for below.
    let _ = timeout(bounds.farewell, slots.acquire_many(all)).await;
    drop(open);
    connections.shutdown().await;
}

/// Closes `listener` and gives the connections that the system had taken for it: it would reset
/// them, requests and all.
fn accept_the_last(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else {
        return Vec::new();
    };
    let accepted = std::iter::from_fn(|| listener.accept().ok());
    let streams = accepted.filter_map(|(stream, _)| {
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    });
    streams.collect()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client was gone before it was let in.
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                warn!(%error, "no connections can be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// One connection: what holds for it, and its place among the others.
struct Guest {
    bounds: Bounds,
    tls: Option<Arc<Tls>>,
    /// Closed once nobody waits for handshakes any more.
    closing: watch::Receiver<()>,
    counts: Connections,
    watcher: Watcher,
    noise: Arc<Noise>,
    _slot: OwnedSemaphorePermit,
    _present: Present,
}

impl Guest {
    async fn serve(mut self, stream: TcpStream, router: Router) {
        // Answers are written whole: to wait for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "answers on one connection may be delayed");
        }
        // A client that is gone already sends nothing.
        let Ok(client) = stream.peer_addr() else {
            return;
        };
        let client = ClientAddr(client.ip());
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.bounds.stall_timeout));
        let stream = Box::pin(stream);
        let Some(tls) = self.tls.take() else {
            return self.talk(stream, client, router).await;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().server));
        let handshake = acceptor.accept_with(stream, |connection| {
            connection.set_buffer_limit(Some(TLS_BUFFER_MAX));
        });
        let secured = tokio::select! {
            secured = timeout(self.bounds.handshake_timeout, handshake) => secured,
            _ = self.closing.changed() => return,
        };
        match secured {
            Ok(Ok(stream)) => self.talk(stream, client, router).await,
            // Clients that speak no TLS, or that do not believe this node, or whom it does not.
            Ok(Err(error)) => {
                if let Some(more) = self.noise.handshakes.admit() {
                    info!(client = %client.0, %error, more, "a TLS handshake failed");
                }
            }
            Err(_) => debug!("a TLS handshake took too long"),
        }
    }

    async fn talk(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        client: ClientAddr,
        router: Router,
    ) {
        let service = TowerToHyperService::new(router);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.head_timeout)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(
                TokioIo::new(Connection::new(stream)),
                service_fn(|mut request| {
                    request.extensions_mut().insert(client);
                    let answer = service.call(request);
                    let counts = &self.counts;
                    async move { answer.await.map(|response| counts.say_farewell(response)) }
                }),
            );
        if let Err(error) = self.watcher.watch(connection).await {
            // Clients that vanish, stall or speak something else: no fault of this node's.
            debug!(%error, "a connection broke off");
        }
    }
}

/// Best effort: the client sees either the answer or a closed connection; always the latter with
/// TLS, whose handshake would be the work that is refused.
fn turn_away(stream: &TcpStream, secured: bool) {
    if secured {
        return;
    }
    if let Err(error) = stream.try_write(TURNED_AWAY) {
        debug!(%error, "it was not told why");
    }
}
