//! Events by who shows which token, and streams and downloads whose token ends.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use raft3d::domain::command::Op;
use raft3d::domain::events::export::Replay;
use raft3d::domain::time::Timestamp;
use raft3d::secret::Secret;
use serde_json::json;
use tower::ServiceExt;

use super::{Node, new_token, printer};
use crate::support::stream::{Stream, stream_request};
use crate::support::{PRINTERS, request};

const EVENTS: &str = "/api/v1/events";
const EXPORT: &str = "/api/v1/events/export";

/// `request`, which shows `secret`.
fn showing(secret: &Secret, mut request: Request<Body>) -> Request<Body> {
    let bearer = format!("Bearer {}", secret.reveal());
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer.parse().unwrap());
    request
}

/// The body of an export with `secret`, which has begun.
async fn export_with(node: &Node, secret: &Secret) -> Body {
    let request = showing(secret, request("GET", EXPORT, Body::empty()));
    let response = node.api.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// A stream of events, opened with `secret`.
async fn stream_with(node: &Node, secret: &Secret) -> Stream {
    let request = showing(secret, stream_request(EVENTS));
    let mut stream = Stream::open(&node.api, request).await;
    let greeting = stream.block().await.unwrap();
    assert!(greeting.starts_with("retry: "), "{greeting}");
    stream
}

#[tokio::test]
async fn events_of_tokens_are_for_admins_and_who_did_the_rest_is_for_all() {
    let node = Node::new();
    let (_, viewer) = node.token("viewer", "viewer").await;
    let (_, boss) = node.token("boss", "admin").await;
    let mut seen_by_viewer = stream_with(&node, &viewer).await;
    let mut seen_by_boss = stream_with(&node, &boss).await;
    let (id, _) = node.token("short", "operator").await;
    node.revoke(id).await.expect(200);
    node.call(&boss, "POST", PRINTERS, printer())
        .await
        .expect(201);

    let (_, kind, event) = seen_by_viewer.event().await;
    assert_eq!(kind, "printer.created");
    assert_eq!(event["actor"], json!({"token": 2, "name": "boss"}));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(seen_by_boss.event().await.1);
    }
    let all = ["token.created", "token.revoked", "printer.created"];
    assert_eq!(kinds, all);

    for (who, count) in [(&viewer, 1), (&boss, 5), (&node.admin, 5)] {
        let page = node.get(who, EVENTS).await.expect(200);
        assert_eq!(page.json.as_array().unwrap().len(), count, "{}", page.text);
        let export = export_with(&node, who).await.collect().await.unwrap();
        let export = String::from_utf8(export.to_bytes().into()).unwrap();
        assert_eq!(export.matches("{\"event\"").count(), count);
        // The same farm comes of it, with them or without.
        let mut lines = export.lines();
        let mut replay = Replay::begin(lines.next().unwrap()).unwrap();
        lines.for_each(|line| replay.take(line).unwrap());
        let hash = node.get(who, "/api/v1/cluster/hash").await.expect(200);
        let end = replay.end().unwrap();
        let rebuilt: String = (replay.farm().hash().iter())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(end.farm_hash.as_ref(), Some(&rebuilt));
        assert_eq!(hash.json["farm_hash"], rebuilt);
    }
    let hidden = format!("{EVENTS}?object=token");
    assert_eq!(node.get(&viewer, &hidden).await.expect(200).text, "[]");
    let shown = node.get(&boss, &hidden).await.expect(200);
    assert!(!shown.text.contains("digest") && !shown.text.contains("secret"));
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let node = Node::new();
    let (id, secret) = node.token("alice", "viewer").await;
    let (_, other) = node.token("bob", "viewer").await;
    let mut ends = stream_with(&node, &secret).await;
    let mut goes_on = stream_with(&node, &other).await;
    node.revoke(id).await.expect(200);
    node.call(&node.admin, "POST", PRINTERS, printer())
        .await
        .expect(201);
    let last = ends.block().await.unwrap();
    assert!(
        last.contains(": the stream ends: the token") && last.contains("revoked"),
        "{last}"
    );
    assert_eq!(ends.block().await, None);
    assert_eq!(goes_on.event().await.1, "printer.created");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let node = Node::new();
    let secret = Secret::generate().unwrap();
    let soon = raft3d::service::now().as_millis() + 300;
    let new = new_token(&secret, Some(Timestamp::from_millis(soon)));
    node.api.fake.commit_elsewhere(new);
    let mut stream = stream_with(&node, &secret).await;
    let last = stream.block().await.unwrap();
    assert!(
        last.contains(": the stream ends: the token") && last.contains("expired"),
        "{last}"
    );
    assert_eq!(stream.block().await, None);
}

/// A client that takes its time holds a download open for long.
#[tokio::test]
async fn an_export_breaks_off_when_its_token_is_revoked() {
    let node = Node::new();
    let (id, secret) = node.token("alice", "viewer").await;
    for _ in 0..2_000 {
        let printer = serde_json::from_value(printer()).unwrap();
        node.api.fake.commit_elsewhere(Op::CreatePrinter(printer));
    }
    let mut body = export_with(&node, &secret).await;
    body.frame().await.unwrap().unwrap();
    node.revoke(id).await.expect(200);
    while let Some(frame) = body.frame().await {
        let Err(error) = frame else {
            continue;
        };
        assert!(error.to_string().contains("revoked"), "{error}");
        return;
    }
    panic!("the export went on to its end");
}
