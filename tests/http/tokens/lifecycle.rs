//! Tokens as they are made, listed, used and revoked.

use std::sync::Arc;
use std::time::Duration;

use raft3d::domain::command::Op;
use raft3d::domain::tokens::{AccessRole, NewToken, TOKENS_MAX, TokenDigest};
use raft3d::http::access::{API_KEY, upkeep};
use raft3d::secret::Secret;
use raft3d::service::FarmService;
use serde_json::{Value, json};

use super::{Node, OWN, TOKENS, printer};
use crate::support::{DEADLINE, Mode, PRINTERS, request};

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
            digest: TokenDigest(digest),
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
