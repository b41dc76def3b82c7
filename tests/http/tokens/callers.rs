//! Whom a request with a token is from, and what becomes of those with one that is not valid.

use axum::http::header::AUTHORIZATION;
use raft3d::consensus::Role;
use raft3d::domain::command::Op;
use raft3d::domain::time::Timestamp;
use raft3d::http::access::API_KEY;
use raft3d::http::server::{self, Bounds};
use raft3d::secret::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Node, OWN, TOKENS, new_token, printer};
use crate::support::{Mode, NODE_ID, PRINTERS, request};

const MEMBERS: &str = "/api/v1/cluster/members";

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
        status.role = Role::Leader;
        status.leader = Some(NODE_ID);
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
