//! Tokens over HTTP: how they are made, shown and revoked, and what becomes of those that are shown.

mod http_support;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderName};
use http_body_util::BodyExt;
use http_support::stream::{Stream, stream_request};
use http_support::{Answer, Api, DEADLINE, Mode, PRINTERS, request};
use raft3d::domain::command::Op;
use raft3d::domain::events::export::Replay;
use raft3d::domain::time::Timestamp;
use raft3d::domain::tokens::{AccessRole, NewToken, TOKENS_MAX};
use raft3d::http::access::{API_KEY, Access, ClientAddr, upkeep};
use raft3d::http::server::{self, Bounds};
use raft3d::secret::Secret;
use raft3d::service::{FarmService, Limits};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

const TOKENS: &str = "/api/v1/tokens";
const EVENTS: &str = "/api/v1/events";
const EXPORT: &str = "/api/v1/events/export";
const OWN: &str = "/api/v1/tokens/self";
const MEMBERS: &str = "/api/v1/cluster/members";

/// A node that demands tokens, and the secret in its admin token file.
struct Node {
    api: Api,
    access: Access,
    admin: Secret,
}

impl Node {
    fn new() -> Node {
        Node::that(true)
    }

    fn that(demands_tokens: bool) -> Node {
        let admin = Secret::generate().unwrap();
        let access = Access::new(demands_tokens, Some(admin.digest()));
        Node {
            api: Api::with_access(Limits::default(), access.clone()),
            access,
            admin,
        }
    }

    /// Sends a request with `secret` in `header`, as if from 127.0.0.`from`.
    async fn call_with(
        &self,
        (method, path, body): (&str, &str, Value),
        (header, secret): (HeaderName, &str),
        from: u8,
    ) -> Answer {
        let body = match body {
            Value::Null => Body::empty(),
            body => body.to_string().into(),
        };
        let mut request = request(method, path, body);
        request
            .headers_mut()
            .insert(header, secret.parse().unwrap());
        let from = ClientAddr(IpAddr::from([127, 0, 0, from]));
        request.extensions_mut().insert(from);
        self.api.send(request).await
    }

    async fn call(&self, secret: &Secret, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", secret.reveal());
        self.call_with((method, path, body), (AUTHORIZATION, &bearer), 1)
            .await
    }

    async fn get(&self, secret: &Secret, path: &str) -> Answer {
        self.call(secret, "GET", path, Value::Null).await
    }

    /// Shows `secret` from 127.0.0.`from`.
    async fn show(&self, secret: &Secret, from: u8) -> Answer {
        let bearer = format!("Bearer {}", secret.reveal());
        let look = ("GET", PRINTERS, Value::Null);
        self.call_with(look, (AUTHORIZATION, &bearer), from).await
    }

    /// A new token, made with the admin token file.
    async fn token(&self, name: &str, role: &str) -> (u64, Secret) {
        let body = json!({"name": name, "role": role});
        let created = self
            .call(&self.admin, "POST", TOKENS, body)
            .await
            .expect(201);
        let secret = created.json["secret"].as_str().unwrap().parse().unwrap();
        (created.json["id"].as_u64().unwrap(), secret)
    }

    async fn revoke(&self, id: u64) -> Answer {
        let path = format!("{TOKENS}/{id}");
        self.call(&self.admin, "DELETE", &path, Value::Null).await
    }
}

fn new_token(secret: &Secret, expires_at: Option<Timestamp>) -> Op {
    Op::CreateToken(NewToken {
        name: "elsewhere".into(),
        role: AccessRole::Operator,
        digest: secret.digest(),
        expires_at,
    })
}

fn printer() -> Value {
    json!({"company": "Prusa", "model": "MK4"})
}

#[tokio::test]
async fn a_secret_is_shown_once_and_works_until_it_is_revoked() {
    let node = Node::new();
    let body = json!({"name": "alice", "role": "operator", "expires_at": "2999-01-31T00:00:00Z"});
    let created = node
        .call(&node.admin, "POST", TOKENS, body)
        .await
        .expect(201);
    assert_eq!(created.header("cache-control"), Some("no-store"));
    let secret: Secret = created.json["secret"].as_str().unwrap().parse().unwrap();
    let mut shown = created.json.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(shown["name"], "alice");
    assert_eq!(shown["role"], "operator");
    assert_eq!(shown["created_by"], "admin token file");
    assert_eq!(shown["expires_at"], "2999-01-31T00:00:00.000Z");
    assert_eq!(shown["last_used_at"], Value::Null);
    assert_eq!(shown.as_object().unwrap().len(), 7, "no digest: {shown}");

    let listed = node.get(&node.admin, TOKENS).await.expect(200);
    assert_eq!(listed.json, json!([shown]));
    assert_eq!(node.get(&secret, OWN).await.expect(200).json, shown);
    node.call(&secret, "POST", PRINTERS, printer())
        .await
        .expect(201);

    let revoked = node.revoke(1).await.expect(200);
    assert_eq!(revoked.json, shown);
    node.get(&secret, PRINTERS)
        .await
        .expect_problem(401, "unauthenticated");
    node.revoke(1).await.expect_problem(404, "not-found");
    assert_eq!(node.get(&node.admin, TOKENS).await.json, json!([]));
}

#[tokio::test]
async fn a_token_is_shown_in_either_header() {
    let node = Node::new();
    let (_, secret) = node.token("alice", "viewer").await;
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let value = format!("{scheme} {}", secret.reveal());
        let look = ("GET", OWN, Value::Null);
        let answer = node.call_with(look, (AUTHORIZATION, &value), 1).await;
        assert_eq!(answer.expect(200).json["name"], "alice");
    }
    let look = || ("GET", OWN, Value::Null);
    let answer = node.call_with(look(), (API_KEY, secret.reveal()), 1).await;
    assert_eq!(answer.expect(200).json["name"], "alice");
    let basic = (AUTHORIZATION, "Basic YWxpY2U6cDQ=");
    let answer = node.call_with(look(), basic, 1).await;
    let detail = answer.expect_problem(401, "unauthenticated");
    assert!(detail.contains("needs a token"), "{detail}");
}

/// Nothing in an answer tells a token that never was from one that was revoked or has expired.
#[tokio::test]
async fn unknown_revoked_and_expired_tokens_are_answered_alike() {
    let node = Node::new();
    // First: nothing may be created that the log's time has passed already.
    let expired = Secret::generate().unwrap();
    let past = Some(Timestamp::from_millis(1));
    node.api.fake.commit_elsewhere(new_token(&expired, past));
    let (id, revoked) = node.token("alice", "admin").await;
    node.revoke(id).await.expect(200);
    let tokens = node.get(&node.admin, TOKENS).await.expect(200);
    assert_eq!(tokens.ids(), [1], "the expired one");
    let unknown = Secret::generate().unwrap();
    let mut texts = Vec::new();
    for (secret, from) in [(&unknown, 2), (&revoked, 3), (&expired, 4)] {
        let before = node.api.fake.proposal_count();
        let answer = node.show(secret, from).await;
        answer.expect_problem(401, "unauthenticated");
        let looks = node.api.fake.proposal_count() - before;
        assert_eq!(looks, 1, "each of them is asked about once");
        let mut shown = answer.json;
        shown["request_id"].take();
        texts.push(shown);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[tokio::test]
async fn a_token_made_elsewhere_works_here_before_this_node_has_heard_of_it() {
    let node = Node::new();
    node.api.fake.apply_when_waited_for();
    let secret = Secret::generate().unwrap();
    node.api.fake.commit_elsewhere(new_token(&secret, None));
    node.show(&secret, 2).await.expect(200);
    let looks = node.api.fake.proposal_count();
    for _ in 0..20 {
        let look = ("GET", "/api/v1/printers?consistency=eventual", Value::Null);
        let bearer = format!("Bearer {}", secret.reveal());
        node.call_with(look, (AUTHORIZATION, &bearer), 2)
            .await
            .expect(200);
    }
    assert_eq!(node.api.fake.proposal_count(), looks, "it is known now");

    node.api.fake.set_mode(Mode::ShuttingDown);
    for _ in 0..20 {
        // No failure: nobody knows.
        let unknown = node.show(&Secret::generate().unwrap(), 3).await;
        let detail = unknown.expect_problem(503, "no-quorum");
        assert!(detail.contains("not known whether"), "{detail}");
    }
}

#[tokio::test]
async fn an_address_that_shows_too_many_invalid_tokens_waits_and_harms_nobody() {
    let node = Node::new();
    let (_, secret) = node.token("alice", "viewer").await;
    for _ in 0..10 {
        let wrong = Secret::generate().unwrap();
        node.show(&wrong, 7)
            .await
            .expect_problem(401, "unauthenticated");
    }
    let looks = node.api.fake.proposal_count();
    let wrong = Secret::generate().unwrap();
    let answer = node.show(&wrong, 7).await;
    let detail = answer.expect_problem(429, "too-many-failures");
    let seconds = answer.header("retry-after").unwrap();
    assert!(detail.contains(&format!("{seconds} s")), "{detail}");
    assert_eq!(node.api.fake.proposal_count(), looks, "nobody is asked");

    node.show(&wrong, 8)
        .await
        .expect_problem(401, "unauthenticated");
    node.show(&secret, 8).await.expect(200);
    node.show(&secret, 7).await.expect(200);
    let malformed = ("GET", PRINTERS, Value::Null);
    node.call_with(malformed, (API_KEY, "hunter2"), 7)
        .await
        .expect_problem(429, "too-many-failures");
}

#[tokio::test]
async fn what_a_holder_submits_after_the_revocation_is_refused_by_the_log() {
    let node = Node::new();
    let (id, secret) = node.token("alice", "operator").await;
    node.api.fake.lag();
    node.api.fake.commit_elsewhere(Op::RevokeToken(id));
    node.show(&secret, 1).await;
    assert!(node.api.fake.local_state().tokens().get(id).is_some());
    let answer = node.call(&secret, "POST", PRINTERS, printer()).await;
    answer.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn two_callers_may_use_the_same_idempotency_key() {
    let node = Node::new();
    let mut ids = Vec::new();
    for name in ["alice", "bob"] {
        let (_, secret) = node.token(name, "operator").await;
        for replayed in [None, Some("true")] {
            let mut request = request("POST", PRINTERS, printer().to_string());
            let headers = request.headers_mut();
            headers.insert("idempotency-key", "order-1".parse().unwrap());
            headers.insert(API_KEY, secret.reveal().parse().unwrap());
            let answer = node.api.send(request).await.expect(201);
            assert_eq!(answer.header("idempotency-replayed"), replayed);
            ids.push(answer.json["id"].clone());
        }
    }
    assert_eq!(ids, [1, 1, 2, 2]);
}

/// The first answer may be lost; the second has another secret in hand, which is worth nothing.
#[tokio::test]
async fn a_repeated_creation_gives_the_token_without_a_secret() {
    let node = Node::new();
    let create = || {
        let body = json!({"name": "alice", "role": "viewer"});
        let mut request = request("POST", TOKENS, body.to_string());
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "k".parse().unwrap());
        headers.insert(API_KEY, node.admin.reveal().parse().unwrap());
        node.api.send(request)
    };
    let first = create().await.expect(201);
    let again = create().await.expect(201);
    assert!(first.json["secret"].is_string());
    assert_eq!(again.json["secret"], Value::Null);
    assert_eq!(again.json["id"], first.json["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_lost_answer_of_the_leader_does_not_cost_the_secret() {
    let node = Node::new();
    node.api.fake.set_next_modes(&[Mode::UnknownYetCommitted]);
    let body = json!({"name": "alice", "role": "viewer"});
    let mut request = request("POST", TOKENS, body.to_string());
    let headers = request.headers_mut();
    headers.insert("idempotency-key", "k".parse().unwrap());
    headers.insert(API_KEY, node.admin.reveal().parse().unwrap());
    let created = node.api.send(request).await.expect(201);
    let secret: Secret = created.json["secret"].as_str().unwrap().parse().unwrap();
    node.show(&secret, 1).await.expect(200);
}

#[tokio::test]
async fn bodies_are_checked_field_by_field() {
    let node = Node::new();
    let create = |body: Value| node.call(&node.admin, "POST", TOKENS, body);
    let answer =
        create(json!({"name": "a b", "role": "root", "expires_at": 5, "secret": "x"})).await;
    answer.expect_problem(422, "invalid-fields");
    assert_eq!(
        answer.pointers(),
        ["/role", "/expires_at", "/name", "/secret"]
    );
    let past = json!({"name": "a", "role": "viewer", "expires_at": "2001-01-31T00:00:00Z"});
    let answer = create(past).await;
    answer.expect_problem(422, "invalid-fields");
    assert_eq!(answer.pointers(), ["/expires_at"]);
    node.token("alice", "viewer").await;
    let answer = create(json!({"name": "alice", "role": "admin"})).await;
    answer.expect_problem(409, "name-taken");
    assert_eq!(answer.pointers(), ["/name"]);
    let path = format!("{TOKENS}/alice");
    let answer = node.call(&node.admin, "DELETE", &path, Value::Null).await;
    answer.expect_problem(404, "not-found");
}

#[tokio::test]
async fn there_are_only_so_many() {
    let node = Node::new();
    for n in 0..TOKENS_MAX {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        node.api.fake.commit_elsewhere(Op::CreateToken(NewToken {
            name: format!("t{n}"),
            role: AccessRole::Viewer,
            digest: raft3d::domain::tokens::TokenDigest(digest),
            expires_at: None,
        }));
    }
    let body = json!({"name": "alice", "role": "viewer"});
    let answer = node.call(&node.admin, "POST", TOKENS, body).await;
    answer.expect_problem(409, "too-many-tokens");
}

#[tokio::test]
async fn uses_are_noted_beside_the_requests() {
    let node = Node::new();
    let (id, secret) = node.token("alice", "viewer").await;
    let proposals = node.api.fake.proposal_count();
    let eventual = format!("{PRINTERS}?consistency=eventual");
    for _ in 0..5 {
        node.get(&secret, &eventual).await.expect(200);
    }
    assert_eq!(node.api.fake.proposal_count(), proposals);
    let last_used = || {
        let state = node.api.fake.local_state();
        state.tokens().get(id).unwrap().last_used_at
    };
    assert_eq!(last_used(), None);

    let service = |request_timeout| {
        let fake = Arc::clone(&node.api.fake);
        FarmService::new(fake, request_timeout)
    };
    node.api.fake.set_mode(Mode::NotAccepted);
    upkeep::note_uses(&service(Duration::from_millis(50)), &node.access).await;
    node.api.fake.set_mode(Mode::Commit);
    assert_eq!(last_used(), None);
    let proposals = node.api.fake.proposal_count();
    let service = service(DEADLINE);
    upkeep::note_uses(&service, &node.access).await;
    upkeep::note_uses(&service, &node.access).await;
    assert_eq!(
        node.api.fake.proposal_count(),
        proposals + 1,
        "once for all of them, and not again"
    );
    let created_at = node
        .api
        .fake
        .local_state()
        .tokens()
        .get(id)
        .unwrap()
        .created_at;
    assert!(last_used() >= Some(created_at));
}

#[tokio::test]
async fn where_no_token_is_demanded_one_still_says_who_calls() {
    let node = Node::that(false);
    let (_, secret) = node.token("alice", "viewer").await;
    assert_eq!(
        node.get(&secret, OWN).await.expect(200).json["name"],
        "alice"
    );
    node.call(&secret, "POST", PRINTERS, printer())
        .await
        .expect(201);
    let body = json!({"name": "bob", "role": "viewer"});
    let created = node.call(&secret, "POST", TOKENS, body).await.expect(201);
    assert_eq!(created.json["created_by"], "alice");

    let everything = json!({"name": null, "role": "admin"});
    assert_eq!(node.api.get(OWN).await.expect(200).json, everything);
    for _ in 0..20 {
        let own = ("GET", OWN, Value::Null);
        let answer = node.call_with(own, (API_KEY, "hunter2"), 1).await;
        assert_eq!(answer.expect(200).json, everything);
    }
}

#[tokio::test]
async fn the_admin_token_file_is_called_by_its_name() {
    let node = Node::new();
    let own = node.get(&node.admin, OWN).await.expect(200);
    assert_eq!(
        own.json,
        json!({"name": "admin token file", "role": "admin"})
    );
}

/// What is passed on to the leader is judged there by the caller's own token.
#[tokio::test]
async fn the_caller_s_token_travels_with_what_is_passed_on() {
    let leader = Node::new();
    leader.api.fake.set_status(|status| {
        status.role = raft3d::consensus::Role::Leader;
        status.leader = Some(http_support::NODE_ID);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    tokio::spawn(server::serve(
        listener,
        leader.api.router.clone(),
        Bounds::default(),
        leader.api.connections.clone(),
        None,
        std::future::pending(),
    ));
    let follower = Node::new();
    follower.api.fake.set_status(|status| {
        status.members[0].http_addr = Some(addr);
    });
    let secret = Secret::generate().unwrap();
    let both = [&leader, &follower];
    follower.api.fake.commit_elsewhere(new_token(&secret, None));
    let refused = follower.get(&secret, MEMBERS).await;
    refused.expect_problem(401, "unauthenticated");
    leader.api.fake.commit_elsewhere(new_token(&secret, None));
    for node in both {
        node.get(&secret, MEMBERS).await.expect(200);
    }
    let bearer = (API_KEY, secret.reveal());
    let list = ("GET", MEMBERS, Value::Null);
    follower.call_with(list, bearer, 1).await.expect(200);
}

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
