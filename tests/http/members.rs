//! Changing the members over HTTP: what is refused and why, and the way to the leader.

use axum::body::Body;
use raft3d::consensus::{CAUGHT_UP_GAP, ChangeError, Role, Status};
use raft3d::http::server::{self, Bounds};
use raft3d::identity::{ClusterId, DirectoryId};
use raft3d::storage::Stage;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Api, NODE_ID, request};

const MEMBERS: &str = "/api/v1/cluster/members";
const TRANSFER: &str = "/api/v1/cluster/transfer-leader";

/// The node that is to be taken in.
const JOINER: i32 = 4;
const JOINER_RAFT: &str = "127.0.0.1:9084";

/// A node that leads three voters, all of which answer and have the whole log.
fn leading() -> Api {
    let api = Api::new();
    api.fake.set_status(|status| {
        status.role = Role::Leader;
        status.leader = Some(NODE_ID);
        for member in &mut status.members {
            member.last_log_index = Some(status.last_log_index);
            member.last_contact_ms = (member.id != NODE_ID).then_some(10);
        }
    });
    api
}

/// Changes what the leader knows of member `id`.
fn set_member(api: &Api, id: i32, learner: bool, last_log_index: u64, last_contact_ms: u64) {
    api.fake.set_status(|status| {
        let member = status.members.iter_mut().find(|m| m.id == id).unwrap();
        member.learner = learner;
        member.last_log_index = Some(last_log_index);
        member.last_contact_ms = Some(last_contact_ms);
    });
}

/// Makes a node another one.
type Change = fn(&mut Status);

/// A node that waits to be taken in, changed by `change`, and its HTTP address.
async fn joiner(change: impl FnOnce(&mut Status)) -> String {
    let api = Api::new();
    api.fake.set_status(|status| {
        status.node_id = JOINER;
        status.raft_addr = JOINER_RAFT.into();
        status.directory_id = DirectoryId::from_bytes([4; 16]).unwrap();
        status.stage = Stage::Joining;
        status.leader = None;
        change(status);
    });
    served(&api).await
}

/// Serves the API until the test ends; its address.
async fn served(api: &Api) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let router = api.router.clone();
    tokio::spawn(server::serve(
        listener,
        router,
        Bounds::default(),
        api.connections.clone(),
        None,
        std::future::pending(),
    ));
    addr
}

fn addition(http_addr: &str) -> Value {
    json!({"id": JOINER, "raft_addr": JOINER_RAFT, "http_addr": http_addr})
}

async fn delete(api: &Api, id: i32) -> crate::support::Answer {
    api.request("DELETE", &format!("{MEMBERS}/{id}"), Body::empty())
        .await
}

#[tokio::test]
async fn a_node_that_waits_is_taken_in_as_a_learner_and_repeating_that_is_harmless() {
    let (api, addr) = (leading(), joiner(|_| {}).await);
    for _ in 0..2 {
        let member = api.post(MEMBERS, addition(&addr)).await.expect(201).json;
        assert_eq!(member["id"], json!(JOINER));
        assert_eq!(member["learner"], json!(true));
    }
    let state = api.fake.local_state();
    let record = state.roster().node(JOINER).expect("it is noted");
    assert_eq!(record.http_addr, addr);
    assert_eq!(
        api.get(MEMBERS).await.expect(200).ids(),
        [1, 2, 3, JOINER].map(|id| json!(id))
    );
}

#[tokio::test]
async fn a_node_that_is_not_what_it_is_taken_for_is_not_taken_in() {
    let wrong: [(&str, Change); 5] = [
        ("is node 5, not node 4", |status| status.node_id = 5),
        ("at 127.0.0.1:1, not at", |status| {
            status.raft_addr = "127.0.0.1:1".into()
        }),
        ("belongs to cluster", |status| {
            status.cluster_id = ClusterId::from_bytes([9; 16])
        }),
        ("was removed", |status| status.stage = Stage::Removed),
        ("does not wait to be taken in", |status| {
            status.cluster_id = None
        }),
    ];
    let api = leading();
    for (told, change) in wrong {
        let answer = api.post(MEMBERS, addition(&joiner(change).await)).await;
        let detail = answer.expect_problem(409, "other-node");
        assert!(detail.contains(told), "`{told}` is not in `{detail}`");
    }
    api.fake.set_status(|status| status.cluster_id = None);
    let nameless = joiner(|status| status.cluster_id = None).await;
    let answer = api.post(MEMBERS, addition(&nameless)).await;
    answer.expect_problem(503, "no-quorum");
    let answer = api.post(MEMBERS, addition("127.0.0.1:1")).await;
    answer.expect_problem(422, "node-unreachable");
    assert_eq!(api.fake.proposal_count(), 0, "nothing was written");
}

#[tokio::test]
async fn ids_and_addresses_of_members_are_taken() {
    let api = leading();
    let addr = joiner(|status| status.node_id = 2).await;
    let body = json!({"id": 2, "raft_addr": JOINER_RAFT, "http_addr": addr});
    let answer = api.post(MEMBERS, body).await;
    let detail = answer.expect_problem(409, "member-exists");
    assert!(detail.contains("remove that member first"), "{detail}");

    let addr = joiner(|status| status.raft_addr = "127.0.0.1:9081".into()).await;
    let body = json!({"id": JOINER, "raft_addr": "127.0.0.1:9081", "http_addr": addr});
    let answer = api.post(MEMBERS, body).await;
    let detail = answer.expect_problem(409, "member-exists");
    assert!(detail.contains("node 1 has the Raft address"), "{detail}");
}

#[tokio::test]
async fn bodies_are_checked_field_by_field() {
    let api = leading();
    let answer = api
        .post(MEMBERS, json!({"id": 0, "raft_addr": "here", "x": 1}))
        .await;
    answer.expect_problem(422, "invalid-fields");
    let mut pointers = answer.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/http_addr", "/id", "/raft_addr", "/x"]);
    let answer = api.post(TRANSFER, json!({"id": "two"})).await;
    answer.expect_problem(422, "invalid-fields");
    let path = format!("{MEMBERS}/two");
    let answer = api.request("DELETE", &path, Body::empty()).await;
    answer.expect_problem(404, "unknown-member");
}

#[tokio::test]
async fn a_learner_votes_once_it_has_caught_up() {
    let api = leading();
    let promote = |id| {
        let (api, path) = (api.clone(), format!("{MEMBERS}/{id}/promote"));
        async move { api.post(&path, "").await }
    };
    promote(9).await.expect_problem(404, "unknown-member");
    assert_eq!(
        promote(2).await.expect(200).json["learner"],
        json!(false),
        "it votes already"
    );

    let last = 5 * CAUGHT_UP_GAP;
    api.fake.set_status(|status| status.last_log_index = last);
    set_member(&api, 2, true, last - CAUGHT_UP_GAP - 1, 10);
    promote(2).await.expect_problem(409, "not-caught-up");
    set_member(&api, 2, true, last, 60_000);
    promote(2).await.expect_problem(409, "not-caught-up");
    set_member(&api, 2, true, last - CAUGHT_UP_GAP, 10);
    set_member(&api, 1, false, last, 60_000);
    promote(2).await.expect_problem(409, "would-lose-quorum");
    set_member(&api, 1, false, last, 10);
    assert_eq!(promote(2).await.expect(200).json["learner"], json!(false));
}

#[tokio::test]
async fn a_dead_member_may_go_and_a_needed_one_may_not() {
    let api = leading();
    set_member(&api, 2, false, 31, 60_000);
    let answer = delete(&api, 1).await;
    let detail = answer.expect_problem(409, "would-lose-quorum");
    assert!(
        detail.contains("of the 2 voters that would be left, 1 answered"),
        "{detail}"
    );
    assert_eq!(
        delete(&api, 2).await.expect(200).json,
        json!({"removed": 2})
    );
    assert_eq!(api.get(MEMBERS).await.ids(), [json!(1), json!(3)]);
    delete(&api, 2).await.expect_problem(404, "unknown-member");

    // A learner counts for nothing.
    set_member(&api, 1, true, 0, 60_000);
    delete(&api, 1).await.expect(200);
    delete(&api, NODE_ID)
        .await
        .expect_problem(409, "would-lose-quorum");
}

#[tokio::test]
async fn one_change_at_a_time() {
    let api = leading();
    api.fake.be_busy_for(2);
    delete(&api, 1).await.expect(200);
    api.fake.refuse_changes(ChangeError::Busy);
    delete(&api.impatient(), 2)
        .await
        .expect_problem(409, "change-in-progress");
}

#[tokio::test]
async fn an_id_is_free_again_once_the_leader_has_parted_from_the_node_that_had_it() {
    let (api, addr) = (leading(), joiner(|_| {}).await);
    api.fake.part_slowly(JOINER, usize::MAX);
    let answer = api.impatient().post(MEMBERS, addition(&addr)).await;
    let detail = answer.expect_problem(409, "change-in-progress");
    assert!(detail.contains("node 4 was removed just now"), "{detail}");
    // The others do not take the new one for the old one meanwhile.
    assert_eq!(api.fake.local_state().roster().node(JOINER), None);
    api.fake.part_slowly(JOINER, 2);
    api.post(MEMBERS, addition(&addr)).await.expect(201);
}

#[tokio::test]
async fn a_change_that_is_not_seen_to_be_done_has_an_unknown_outcome() {
    let api = leading();
    api.fake.hang_changes();
    let answer = delete(&api.impatient(), 1).await;
    let detail = answer.expect_problem(503, "outcome-unknown");
    assert!(
        detail.contains("look at GET /api/v1/cluster/members"),
        "{detail}"
    );
    let answer = api.impatient().post(TRANSFER, "").await;
    answer.expect_problem(503, "no-quorum");
}

#[tokio::test]
async fn the_leadership_goes_to_a_voter_that_is_fit() {
    let api = leading();
    let to = |id: i32| json!({ "id": id });
    api.post(TRANSFER, to(9))
        .await
        .expect_problem(404, "unknown-member");
    set_member(&api, 2, true, 31, 10);
    api.post(TRANSFER, to(2))
        .await
        .expect_problem(409, "not-caught-up");
    set_member(&api, 2, false, 31, 60_000);
    api.post(TRANSFER, to(2))
        .await
        .expect_problem(409, "not-caught-up");
    assert_eq!(
        api.post(TRANSFER, to(NODE_ID)).await.expect(200).json,
        json!({"leader": NODE_ID})
    );
    assert_eq!(api.fake.yielded(), [], "nobody was asked yet");
    assert_eq!(
        api.post(TRANSFER, "").await.expect(200).json,
        json!({"leader": 1})
    );
    assert_eq!(api.fake.yielded(), [Some(1)], "the only one that answers");
}

/// A follower that knows where the leader is.
async fn follower_of(leader: &Api) -> Api {
    let (follower, addr) = (Api::new(), served(leader).await);
    follower.fake.set_status(|status| {
        status.node_id = 2;
        status.leader = Some(NODE_ID);
        let member = status.members.iter_mut().find(|m| m.id == NODE_ID);
        member.unwrap().http_addr = Some(addr);
    });
    follower
}

#[tokio::test]
async fn a_follower_passes_requests_on_to_the_leader() {
    let leader = leading();
    let follower = follower_of(&leader).await;
    let members = follower.get(MEMBERS).await.expect(200);
    assert_eq!(members.json[2]["leader"], json!(true), "{}", members.text);
    delete(&follower, 9)
        .await
        .expect_problem(404, "unknown-member");
    assert_eq!(
        delete(&follower, 1).await.expect(200).json,
        json!({"removed": 1})
    );
    assert_eq!(leader.get(MEMBERS).await.ids(), [json!(2), json!(3)]);
    let addr = joiner(|_| {}).await;
    follower.post(MEMBERS, addition(&addr)).await.expect(201);
}

#[tokio::test]
async fn a_leader_that_is_removed_hands_over_and_passes_that_on() {
    let (old, new) = (leading(), leading());
    let addr = served(&new).await;
    old.fake.set_status(|status| {
        let heir = status.members.iter_mut().find(|m| m.id == 1).unwrap();
        heir.http_addr = Some(addr);
        heir.last_log_index = Some(32);
    });
    // To the new leader, which is another fake, node 3 is a member like others.
    new.fake.set_status(|status| {
        status.node_id = 1;
        status.leader = Some(1);
        for member in &mut status.members {
            member.last_contact_ms = Some(10);
        }
    });
    assert_eq!(
        delete(&old, NODE_ID).await.expect(200).json,
        json!({"removed": NODE_ID})
    );
    assert_eq!(old.fake.yielded(), [Some(1)]);
}

#[tokio::test]
async fn without_a_leader_nothing_is_changed_and_nothing_goes_in_circles() {
    let api = Api::new();
    api.fake.set_status(|status| status.leader = None);
    delete(&api, 1).await.expect_problem(503, "no-quorum");
    api.get(MEMBERS).await.expect_problem(503, "no-quorum");

    let follower = follower_of(&leading()).await;
    let mut request = request("DELETE", &format!("{MEMBERS}/1"), Body::empty());
    request
        .headers_mut()
        .insert("x-raft3d-forwarded-by", 1.into());
    follower
        .send(request)
        .await
        .expect_problem(503, "no-quorum");

    api.fake.set_status(|status| status.leader = Some(1));
    let answer = delete(&api, 1).await;
    let detail = answer.expect_problem(503, "no-quorum");
    assert!(
        detail.contains("has not announced its HTTP address"),
        "{detail}"
    );
}
