//! The API behind a real listener: what only shows on the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use raft3d::http::server::{self, Bounds};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::{Api, DEADLINE};

/// A node's HTTP side, listening until it is dropped.
struct Server {
    api: Api,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start() -> Server {
        Server::within(Bounds::default()).await
    }

    async fn within(bounds: Bounds) -> Server {
        let api = Api::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = api.router.clone();
        let never = std::future::pending();
        let task = tokio::spawn(server::serve(
            listener,
            router,
            bounds,
            api.connections.clone(),
            None,
            never,
        ));
        Server { api, addr, task }
    }

    /// Sends `parts` over one connection, each when the answer to the one before has come, and
    /// returns the answers.
    async fn exchange(&self, parts: Vec<Vec<u8>>) -> Vec<WireAnswer> {
        let addr = self.addr;
        let exchange = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut answers = Vec::new();
            for part in parts {
                stream.write_all(&part).unwrap();
                answers.push(WireAnswer::read(&mut stream));
            }
            stream.shutdown(Shutdown::Both).unwrap();
            answers
        });
        exchange.await.unwrap()
    }
}

/// An answer with a `Content-Length`, as it comes over the wire.
#[derive(Debug)]
struct WireAnswer {
    status: u16,
    head: String,
    json: Value,
}

impl WireAnswer {
    fn read(stream: &mut TcpStream) -> WireAnswer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the head of an answer");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the body of an answer");
        WireAnswer {
            status: head["http/1.1 ".len()..][..3].parse().unwrap(),
            json: serde_json::from_slice(&body).unwrap_or_default(),
            head,
        }
    }
}

fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn printer() -> String {
    json!({"company": "a", "model": "b"}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_of_the_assignment_works_with_its_quotes() {
    let server = Server::start().await;
    let filament = json!({"type": "PLA", "color": "c", "total_weight_in_grams": 9});
    let job = json!({
        "printer_id": 1, "filament_id": 1, "filepath": "d", "print_weight_in_grams": 5,
    });
    let answers = server
        .exchange(vec![
            post("/api/v1/printers", &printer()),
            post("/api/v1/filaments", &filament.to_string()),
            post("/api/v1/print_jobs", &job.to_string()),
            post("/api/v1/print_jobs/1/status?status=\"running\"", ""),
            post(
                "/api/v1/print_jobs/1/status?status=\"done\"",
                "{\"status\": \"Done\"}",
            ),
        ])
        .await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 201, 201, 200, 200], "{answers:#?}");
    assert_eq!(answers[4].json["status"], "Done");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests_with_bodies_kept_as_they_are() {
    let server = Server::start().await;
    let quoted = "POST /\" HTTP/1.1\r\n\"";
    let body = json!({"company": quoted, "model": "b"}).to_string();
    let requests = vec![post("/api/v1/printers", &body); 50];
    for (number, answer) in server.exchange(requests).await.into_iter().enumerate() {
        assert_eq!(answer.status, 201, "{answer:#?}");
        assert_eq!(answer.json["id"], number + 1);
        assert_eq!(answer.json["company"], quoted);
    }
}

/// The client is still sending when the limit is passed: it gets the answer, not a reset.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_limit_is_answered() {
    let server = Server::start().await;
    let body = " ".repeat(8 << 20);
    let answers = server.exchange(vec![post("/api/v1/printers", &body)]).await;
    assert_eq!(answers[0].status, 413, "{answers:#?}");
    assert!(
        answers[0].head.contains("application/problem+json"),
        "{answers:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_changes_nothing_and_others_are_served() {
    let server = Server::start().await;
    let addr = server.addr;
    let broken = tokio::task::spawn_blocking(move || {
        let whole = post("/api/v1/printers", &printer());
        for cut in (10..whole.len()).step_by(7) {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&whole[..cut]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // The server may answer or just close; it must do either in time.
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{cut}: {answer}"
            );
        }
    });
    broken.await.unwrap();
    assert_eq!(server.api.fake.local_state().printer_count(), 0);
    let answers = server
        .exchange(vec![post("/api/v1/printers", &printer())])
        .await;
    assert_eq!(answers[0].status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_costs_nothing() {
    let server = Server::start().await;
    let addr = server.addr;
    let garbage = tokio::task::spawn_blocking(move || {
        let requests: [&[u8]; 6] = [
            b"\0\0\0\0\0\0\0\0\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /\" \" HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET /api/v1/printers HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n",
        ];
        for request in requests {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.write_all(request).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{request:?}: {answer}"
            );
        }
    });
    garbage.await.unwrap();
    let answers = server
        .exchange(vec![post("/api/v1/printers", &printer())])
        .await;
    assert_eq!(answers[0].status, 201);
}

/// Whether the server has closed `stream`: what it sent until then, if so.
fn read_to_close(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server keeps the connection: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_its_head_or_sends_nothing_is_cut_off() {
    let server = Server::within(Bounds {
        head_timeout: Duration::from_millis(100),
        ..Bounds::default()
    })
    .await;
    let addr = server.addr;
    let slow = tokio::task::spawn_blocking(move || {
        let mut half = TcpStream::connect(addr).unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
        let silent = TcpStream::connect(addr).unwrap();
        let mut idle = TcpStream::connect(addr).unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        assert_eq!(WireAnswer::read(&mut idle).status, 200);
        for stream in [half, silent, idle] {
            let rest = read_to_close(stream);
            assert!(
                rest.is_empty() || rest.starts_with("HTTP/1.1 408"),
                "{rest}"
            );
        }
    });
    slow.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let server = Server::within(Bounds {
        stall_timeout: Duration::from_millis(100),
        ..Bounds::default()
    })
    .await;
    let (addr, company) = (server.addr, "c".repeat(900_000));
    let stalled = tokio::task::spawn_blocking(move || {
        let body = json!({"company": company, "model": "b"}).to_string();
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let request = post("/api/v1/printers", &body);
        // It is never read from, so that the answers fill all buffers on the way and then wait.
        // Until it is closed, writing would block for ever.
        let refused = (0..1_000).find_map(|_| stream.write_all(&request).err());
        let refused = refused.expect("the connection ends");
        let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(ended.contains(&refused.kind()), "{refused}");
    });
    stalled.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_above_the_limit_are_turned_away_and_others_are_served() {
    let server = Server::within(Bounds {
        connections_max: 2,
        ..Bounds::default()
    })
    .await;
    let addr = server.addr;
    let crowd = tokio::task::spawn_blocking(move || {
        let health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut served = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(health).unwrap();
            assert_eq!(WireAnswer::read(&mut stream).status, 200);
            served.push(stream);
        }
        let answer = read_to_close(TcpStream::connect(addr).unwrap()).to_lowercase();
        assert!(answer.starts_with("http/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");

        for stream in &mut served {
            stream.write_all(health).unwrap();
            assert_eq!(WireAnswer::read(stream).status, 200);
        }
        served.pop();
        // The server learns of it in its own time.
        let free = (0..1_000_000).any(|_| {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut status = [0; 12];
            stream.write_all(health).is_ok()
                && stream.read_exact(&mut status).is_ok()
                && status == *b"HTTP/1.1 200"
        });
        assert!(free, "the place of a connection that ended is free again");
    });
    crowd.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_answers_what_is_under_way_and_closes_what_is_idle() {
    let api = Api::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap() };
    let served = server::serve(
        listener,
        api.router.clone(),
        Bounds::default(),
        api.connections.clone(),
        None,
        shutdown,
    );
    let served = tokio::spawn(served);

    let (under_way, begun) = std::sync::mpsc::channel();
    let client = tokio::task::spawn_blocking(move || {
        let mut idle = TcpStream::connect(addr).unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        assert_eq!(WireAnswer::read(&mut idle).status, 200);
        let mut busy = TcpStream::connect(addr).unwrap();
        let body = printer();
        let length = body.len();
        let head = format!(
            "POST /api/v1/printers HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        busy.write_all(head.as_bytes()).unwrap();
        // The handler asks for the body: from now on the request is under way.
        assert_eq!(WireAnswer::read(&mut busy).status, 100);
        under_way.send(()).unwrap();
        assert_eq!(read_to_close(idle), "");
        busy.write_all(body.as_bytes()).unwrap();
        WireAnswer::read(&mut busy).status
    });
    tokio::task::spawn_blocking(move || begun.recv().unwrap())
        .await
        .unwrap();
    stop.send(()).unwrap();
    let status = client.await.unwrap();
    assert_eq!(status, 201);
    served.await.unwrap();
    assert!(TcpStream::connect(addr).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_refused_before_it_is_large() {
    let server = Server::start().await;
    let addr = server.addr;
    let refused = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let head = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(20_000));
        stream.write_all(head.as_bytes()).unwrap();
        read_to_close(stream)
    });
    let answer = refused.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_in_its_last_answers() {
    let api = Api::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let bounds = Bounds {
        farewell: Duration::from_secs(3_600),
        ..Bounds::default()
    };
    let shutdown = async { stopped.await.unwrap() };
    let served = server::serve(
        listener,
        api.router.clone(),
        bounds,
        api.connections.clone(),
        None,
        shutdown,
    );
    let served = tokio::spawn(served);

    let client = tokio::task::spawn_blocking(move || {
        let health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut kept = TcpStream::connect(addr).unwrap();
        kept.write_all(health).unwrap();
        let before = WireAnswer::read(&mut kept);
        assert!(
            !before.head.contains("connection: close"),
            "{}",
            before.head
        );
        // Not accepted yet, perhaps, when the server closes its listener.
        let mut new = TcpStream::connect(addr).unwrap();
        stop.send(()).unwrap();
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(addr).is_ok() {
            assert!(Instant::now() < deadline, "new connections are still taken");
        }
        for stream in [&mut kept, &mut new] {
            stream.write_all(health).unwrap();
            let last = WireAnswer::read(stream);
            assert_eq!(last.status, 200);
            assert!(last.head.contains("connection: close"), "{}", last.head);
        }
        assert_eq!(read_to_close(kept), "");
    });
    client.await.unwrap();
    // Nobody is left to wait for.
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_while_they_last_and_when_they_are_refused() {
    let server = Server::within(Bounds {
        connections_max: 2,
        ..Bounds::default()
    })
    .await;
    let addr = server.addr;
    let clients = tokio::task::spawn_blocking(move || {
        let served = [(); 2].map(|()| {
            let mut stream = TcpStream::connect(addr).unwrap();
            let health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(health).unwrap();
            assert_eq!(WireAnswer::read(&mut stream).status, 200);
            stream
        });
        read_to_close(TcpStream::connect(addr).unwrap());
        served
    });
    let served = clients.await.unwrap();
    let open = async || {
        server
            .api
            .metrics()
            .await
            .value("raft3d_http_connections_open", &[])
    };
    assert_eq!(open().await, 2.0);
    let refused = "raft3d_http_connections_refused_total";
    assert_eq!(server.api.metrics().await.value(refused, &[]), 1.0);

    drop(served);
    let all_gone = async {
        while open().await != 0.0 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, all_gone).await;
    waited.expect("connections that have ended are no longer counted");
}
