//! The lightest client there is: one keep-alive connection, one request at a time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::samples::Samples;

/// A connection to a server.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// What to send.
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON; empty for none.
    pub body: String,
}

impl Connection {
    /// Connects to `host:port`. The connection is driven by a task of the present runtime.
    pub async fn open(host: &str) -> Connection {
        let stream = TcpStream::connect(host).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (sender, driver) = handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(driver);
        Connection {
            sender,
            host: host.to_owned(),
        }
    }

    /// Sends `call` and reads the whole answer.
    pub async fn send(&mut self, call: Call) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .body(Full::from(call.body))
            .expect("a valid request");
        self.sender.ready().await.expect("the connection lasts");
        let answer = self.sender.send_request(request).await;
        let answer = answer.expect("the server answers");
        let status = answer.status();
        let body = answer.into_body().collect().await;
        (status, body.expect("the whole answer").to_bytes())
    }
}

/// What some clients got done in some time.
pub struct Tally {
    /// How long the successful calls took.
    pub latencies: Samples,
    /// Calls that were refused.
    pub refused: u64,
    /// From the first call to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// Successful calls per second.
    pub fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Lets `clients` clients, spread evenly over `hosts`, make one call after the other for `time`.
/// `call` gives what to send from numbers that no two calls share.
pub async fn drive(
    hosts: &[String],
    clients: usize,
    time: Duration,
    call: impl Fn(u64) -> Call,
) -> Tally {
    let mut connections = Vec::new();
    for client in 0..clients {
        connections.push(Connection::open(&hosts[client % hosts.len()]).await);
    }
    let began = Instant::now();
    let call = &call;
    let work = connections
        .iter_mut()
        .enumerate()
        .map(|(client, connection)| async move {
            let (mut latencies, mut refused) = (Samples::new(), 0);
            let mut number = client as u64;
            while began.elapsed() < time {
                let asked = Instant::now();
                let (status, _) = connection.send(call(number)).await;
                match status.is_success() {
                    true => latencies.add(asked.elapsed()),
                    false => refused += 1,
                }
                number += clients as u64;
            }
            (latencies, refused)
        });
    let all = futures_util::future::join_all(work).await;
    let elapsed = began.elapsed();
    let mut latencies = Samples::new();
    all.iter().for_each(|(some, _)| latencies.merge(some));
    Tally {
        latencies,
        refused: all.iter().map(|(_, refused)| refused).sum(),
        elapsed,
    }
}
