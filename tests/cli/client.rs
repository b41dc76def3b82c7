//! The client against a server made for the test: exit codes, messages, safe repetition.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::process::Command;

/// A server that answers every request with one status and body, and remembers what it was asked.
struct Fake {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One request.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    target: String,
    key: Option<String>,
    if_match: Option<String>,
    body: Value,
}

impl Seen {
    async fn read(request: Request) -> Seen {
        let target = request.uri().to_string();
        let method = request.method().to_string();
        let [key, if_match] = ["Idempotency-Key", "If-Match"].map(|name| {
            let value = request.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        });
        let bytes = axum::body::to_bytes(request.into_body(), 1 << 20)
            .await
            .unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Seen {
            method,
            target,
            key,
            if_match,
            body,
        }
    }
}

impl Fake {
    async fn start(status: u16, body: Value) -> Fake {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = seen.clone();
        let answer = move |request: Request| {
            let (log, body) = (log.clone(), body.clone());
            async move {
                let seen = Seen::read(request).await;
                log.lock().unwrap().push(seen);
                (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fake { addr, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// An address that refuses connections.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

async fn raft3d(endpoints: &[SocketAddr], args: &[&str]) -> Output {
    let endpoints: Vec<String> = endpoints.iter().map(SocketAddr::to_string).collect();
    Command::new(env!("CARGO_BIN_EXE_raft3d"))
        .args(args)
        .env_clear()
        .env("RAFT3D_ENDPOINT", endpoints.join(","))
        .output()
        .await
        .unwrap()
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, stdout: &[&str], stderr: &[&str]) {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    for part in stdout {
        assert!(out.contains(part), "`{part}` is not in:\n{out}");
    }
    for part in stderr {
        assert!(err.contains(part), "`{part}` is not in:\n{err}");
    }
}

const ADD_PRINTER: [&str; 6] = ["printers", "add", "--company", "Prusa", "--model", "MK4"];

#[tokio::test]
async fn results_are_tables_or_json() {
    let jobs = json!([{"id": "a", "status": "Queued", "printer_id": 1, "filament_id": 2,
        "print_weight_in_grams": 3, "filepath": "x.gcode"}]);
    let fake = Fake::start(200, jobs.clone()).await;
    let table = raft3d(
        &[fake.addr],
        &["jobs", "list", "--status", "queued", "--printer", "1"],
    )
    .await;
    assert_ends(&table, 0, &["STATUS", "Queued", "x.gcode"], &[]);
    let target = "/api/v1/print_jobs?status=queued&printer_id=1&consistency=linearizable";
    assert_eq!(fake.seen()[0].target, target);
    let output = raft3d(&[fake.addr], &["jobs", "list", "-o", "json"]).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        jobs
    );
}

#[tokio::test]
async fn writes_carry_a_fresh_key_or_the_one_given() {
    let fake = Fake::start(201, json!({"id": 1})).await;
    for _ in 0..2 {
        assert_ends(&raft3d(&[fake.addr], &ADD_PRINTER).await, 0, &[], &[]);
    }
    let given = [
        &ADD_PRINTER[..],
        &["--id", "7", "--idempotency-key", "mine"],
    ]
    .concat();
    assert_ends(&raft3d(&[fake.addr], &given).await, 0, &[], &[]);
    let seen = fake.seen();
    assert_ne!(seen[0].key, seen[1].key);
    assert_eq!(seen[0].key.as_ref().map(String::len), Some(32));
    assert_eq!(seen[0].body, json!({"company": "Prusa", "model": "MK4"}));
    assert_eq!(seen[2].key.as_deref(), Some("mine"));
    assert_eq!(
        seen[2].body,
        json!({"company": "Prusa", "model": "MK4", "id": 7})
    );
}

#[tokio::test]
async fn changes_name_what_is_given_and_the_version_they_are_meant_for() {
    let fake = Fake::start(200, json!({"id": 1, "deleted": 1})).await;
    let update = |what, args: &[&'static str]| [&[what, "update", "lab 1"], args].concat();
    let delete = |what, args: &[&'static str]| [&[what, "delete", "lab 1"], args].concat();
    for (args, method, if_match, body) in [
        (
            update("printers", &["--model", "K1", "--if-match", "41"]),
            "PATCH",
            Some("\"41\""),
            json!({"model": "K1"}),
        ),
        (
            update("filaments", &["--type", "petg", "--remaining", "9"]),
            "PATCH",
            None,
            json!({"type": "petg", "remaining_weight_in_grams": 9}),
        ),
        (
            delete("printers", &["--if-match", "7"]),
            "DELETE",
            Some("\"7\""),
            Value::Null,
        ),
        (delete("filaments", &[]), "DELETE", None, Value::Null),
    ] {
        assert_ends(&raft3d(&[fake.addr], &args).await, 0, &["1"], &[]);
        let seen = fake.seen().pop().unwrap();
        let path = format!("/api/v1/{}/lab%201", args[0]);
        assert_eq!((seen.method.as_str(), seen.target), (method, path));
        assert_eq!(seen.if_match.as_deref(), if_match, "{args:?}");
        assert_eq!(seen.body, body);
        assert!(seen.key.is_some(), "it is safe to repeat");
    }
    let refused = raft3d(&[fake.addr], &delete("printers", &["--if-match", "new"])).await;
    assert_ends(&refused, 2, &[], &["--if-match"]);
}

#[tokio::test]
async fn a_write_goes_on_to_the_next_node_with_the_same_key() {
    let problem = json!({"type": "/problems/outcome-unknown", "title": "Unknown", "status": 503});
    let lost = Fake::start(503, problem).await;
    let good = Fake::start(201, json!({"id": 1})).await;
    let output = raft3d(&[nobody(), lost.addr, good.addr], &ADD_PRINTER).await;
    assert_ends(&output, 0, &["1"], &[]);
    assert_eq!(lost.seen().len(), 1);
    assert_eq!(lost.seen()[0].key, good.seen()[0].key);
    assert_eq!(lost.seen()[0].body, good.seen()[0].body);
}

#[tokio::test]
async fn exit_codes_tell_the_class_of_a_failure() {
    let problem = |status: u16| {
        json!({
            "title": "It is so", "status": status, "detail": "because",
            "errors": [{"pointer": "/model", "detail": "is empty"}],
        })
    };
    for (status, code) in [(404, 3), (409, 4), (422, 4), (400, 4), (500, 1)] {
        let fake = Fake::start(status, problem(status)).await;
        let title = format!("It is so ({status})");
        let output = raft3d(&[fake.addr], &["jobs", "start", "9"]).await;
        assert_ends(&output, code, &[], &[&title, "because", "/model: is empty"]);
        assert_eq!(fake.seen()[0].target, "/api/v1/print_jobs/9/status");
        assert_eq!(fake.seen()[0].body, json!({"status": "running"}));
        assert_eq!(fake.seen().len(), 1, "an answer is not asked for twice");
    }
    let output = raft3d(&[nobody(), nobody()], &["printers", "list"]).await;
    assert_ends(&output, 5, &[], &["unavailable", "refused"]);
}

#[tokio::test]
async fn a_write_that_never_gets_an_answer_says_how_to_repeat_it() {
    let problem = json!({"type": "/problems/outcome-unknown", "title": "Unknown", "status": 503});
    let lost = Fake::start(503, problem).await;
    let args = [&ADD_PRINTER[..], &["--timeout", "1"]].concat();
    let output = raft3d(&[lost.addr], &args).await;
    let key = lost.seen()[0].key.clone().unwrap();
    assert!(
        lost.seen()
            .iter()
            .all(|seen| seen.key.as_ref() == Some(&key))
    );
    assert_ends(&output, 5, &[], &["may have been carried out", &key]);
}

#[tokio::test]
async fn the_status_of_the_cluster_shows_nodes_that_do_not_answer() {
    let view = json!({"node_id": 2, "role": "leader", "leader": 2, "term": 5});
    let fake = Fake::start(200, view).await;
    let dead = nobody();
    let output = raft3d(&[dead, fake.addr], &["cluster", "status"]).await;
    assert_ends(
        &output,
        0,
        &["leader", "unreachable", &dead.to_string()],
        &[],
    );
    let output = raft3d(&[dead], &["cluster", "status"]).await;
    assert_ends(&output, 5, &[], &[&dead.to_string()]);
}
