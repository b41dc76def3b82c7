//! Clusters of real processes that grow, shrink and lose machines; and nodes that do not belong.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use raft3d::client::api::{Api, Request, new_idempotency_key};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster_support::nodes::{Nodes, voters_of};
use crate::cluster_support::{FILAMENTS, JOBS, PATIENCE, PRINTERS, send, wait_until};

const MEMBERS: &str = "/api/v1/cluster/members";
const TRANSFER: &str = "/api/v1/cluster/transfer-leader";

/// Writes without pause, through whichever node answers.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: JoinHandle<Vec<Value>>,
}

impl Writer {
    async fn start(nodes: &Nodes) -> Writer {
        let endpoints: Vec<String> = nodes
            .layout
            .nodes
            .iter()
            .map(|n| n.http_addr.clone())
            .collect();
        let api = Api::new(
            &endpoints,
            Duration::from_secs(20),
            nodes.layout.http_client().unwrap(),
        )
        .unwrap();
        let printer = json!({"company": "Prusa", "model": "MK4"});
        let filament = json!({"type": "PLA", "color": "red", "total_weight_in_grams": 1_000_000});
        let printer = write(&api, PRINTERS, &printer).await;
        let filament = write(&api, FILAMENTS, &filament).await;
        let job = json!({
            "printer_id": printer["id"],
            "filament_id": filament["id"],
            "filepath": "part.gcode",
            "print_weight_in_grams": 1,
        });
        let (stop, written) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let task = tokio::spawn({
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            async move {
                let mut ids = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    ids.push(write(&api, JOBS, &job).await["id"].clone());
                    written.fetch_add(1, Ordering::SeqCst);
                }
                ids
            }
        });
        Writer {
            stop,
            written,
            task,
        }
    }

    /// Waits until some more has been written.
    async fn goes_on(&self) {
        let target = self.written.load(Ordering::SeqCst) + 20;
        wait_until("writing goes on", async || {
            let going = !self.task.is_finished();
            assert!(going, "a write failed");
            (self.written.load(Ordering::SeqCst) >= target).then_some(())
        })
        .await;
    }

    /// Ends writing and gives the ids of all jobs that were acknowledged.
    async fn end(self) -> Vec<Value> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("no write failed")
    }
}

/// One write as a client does it, repeated under its key until it is answered.
async fn write(api: &Api, path: &str, body: &Value) -> Value {
    let key = new_idempotency_key().unwrap();
    api.call(&Request::post(path, Some(body), &key))
        .await
        .expect("a write is taken")
}

async fn assert_jobs(nodes: &Nodes, through: i32, ids: &[Value]) {
    let reply = nodes
        .ask(through, |http, url| http.get(url + JOBS))
        .await
        .expect(200);
    let there: Vec<&Value> = reply
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["id"])
        .collect();
    assert_eq!(
        there.len(),
        ids.len(),
        "each acknowledged job is there once"
    );
    for id in ids {
        assert!(there.contains(&id), "job {id} is lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_grows_and_shrinks_while_writes_go_on() {
    let mut nodes = Nodes::found(1).await;
    let writer = Writer::start(&nodes).await;
    for id in 2..=5 {
        writer.goes_on().await;
        nodes.join(id).await;
    }
    writer.goes_on().await;
    // The first leader among them: it hands that over and goes.
    for id in 1..=4 {
        let log = nodes.remove(5, id).await;
        assert!(log.contains("removed from its cluster"), "{log}");
        writer.goes_on().await;
    }
    nodes.wait_for_voters(&[5]).await;
    let written = writer.end().await;
    assert_jobs(&nodes, 5, &written).await;

    // It lives on alone, also over a restart with the command that it joined by.
    nodes.kill(5).await;
    nodes.start(5);
    nodes.wait_for_voters(&[5]).await;
    assert_jobs(&nodes, 5, &written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_to_stay_a_learner_does_until_it_is_promoted() {
    let mut nodes = Nodes::found(1).await;
    nodes.layout.extra_args.push("--learner".into());
    for times in 1..=2 {
        nodes.start(2);
        wait_until("the learner says that it stays one", async || {
            let log = nodes.log(2);
            (log.matches("stays one until it is promoted").count() == times).then_some(())
        })
        .await;
        let status = nodes.status(1).await.unwrap();
        assert_eq!(voters_of(&status), [1]);
        assert_eq!(status.members.len(), 2);
        let read = nodes.ask(2, |http, url| http.get(url + PRINTERS)).await;
        read.expect(200);
        if times == 1 {
            nodes.kill(2).await;
        }
    }
    wait_until("the learner has caught up, and is promoted", async || {
        let path = format!("{MEMBERS}/2/promote");
        let reply = nodes.post(2, &path, &Value::Null).await;
        (reply.status == 200).then_some(())
    })
    .await;
    nodes.wait_for_voters(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_machine_is_removed_and_replaced() {
    let mut nodes = Nodes::found(3).await;
    let dead = nodes.follower().await;
    nodes.kill(dead).await;
    std::fs::remove_dir_all(&nodes.spec(dead).dir).unwrap();

    // Its id does not come back with an empty directory: it would have forgotten its vote.
    nodes.start(dead);
    let mut impostor = nodes.running.remove(&dead).unwrap();
    let ended = tokio::time::timeout(PATIENCE, impostor.wait()).await;
    let log = impostor.log_tail();
    let ended = ended.unwrap_or_else(|_| panic!("the impostor does not stop:\n{log}"));
    assert_eq!(ended.unwrap().code(), Some(1), "{log}");
    assert!(
        log.contains("is a member of the cluster with another data directory"),
        "{log}"
    );

    // Nor by joining, as long as it is a member.
    let through = nodes.follower().await;
    let survivors: Vec<String> = nodes
        .running
        .keys()
        .map(|id| nodes.spec(*id).http_addr.clone())
        .collect();
    std::fs::remove_dir_all(&nodes.spec(dead).dir).unwrap();
    nodes.layout.nodes[dead as usize - 1].join = Some(survivors.join(","));
    let refused = nodes.run_to_end(nodes.spec(dead));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("remove that member first"), "{text}");

    nodes
        .ask(through, |http, url| {
            http.delete(format!("{url}{MEMBERS}/{dead}"))
        })
        .await
        .expect(200);
    let rest: Vec<i32> = nodes.running.keys().copied().collect();
    nodes.wait_for_voters(&rest).await;
    std::fs::remove_dir_all(&nodes.spec(dead).dir).unwrap();
    nodes.join(dead).await;
    nodes.wait_for_voters(&[1, 2, 3]).await;

    // The same at one go, while the leader still awaits an answer of the one that has died.
    let leader = nodes.leader().await;
    nodes.kill(dead).await;
    std::fs::remove_dir_all(&nodes.spec(dead).dir).unwrap();
    let path = format!("{MEMBERS}/{dead}");
    nodes
        .ask(leader, |http, url| http.delete(url + &path))
        .await
        .expect(200);
    nodes.join(dead).await;
    nodes.wait_for_voters(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_removed_while_it_was_away_learns_of_it_and_stays_away() {
    let mut nodes = Nodes::found(3).await;
    let away = nodes.follower().await;
    nodes.kill(away).await;
    let leader = nodes.leader().await;
    nodes
        .ask(leader, |http, url| {
            http.delete(format!("{url}{MEMBERS}/{away}"))
        })
        .await
        .expect(200);
    nodes.start(away);
    let url = nodes.url(away) + "/readyz";
    wait_until("the node says that it was removed", async || {
        let reply = send(nodes.http.get(&url)).await.ok()?;
        let detail = reply.body["detail"].as_str()?.to_owned();
        (reply.status == 503 && detail.contains("was removed from its cluster")).then_some(())
    })
    .await;
    let mut node = nodes.running.remove(&away).unwrap();
    let ended = tokio::time::timeout(PATIENCE, node.wait()).await;
    assert_eq!(
        ended.expect("it stops").unwrap().code(),
        Some(0),
        "{}",
        node.log_tail()
    );

    let again = nodes.run_to_end(nodes.spec(away));
    let text = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1), "{text}");
    assert!(text.contains("was removed from its cluster"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_the_quorum_is_refused() {
    let mut nodes = Nodes::found(3).await;
    let leader = nodes.leader().await;
    let others: Vec<i32> = nodes
        .running
        .keys()
        .copied()
        .filter(|id| *id != leader)
        .collect();
    let (alive, dead) = (others[0], others[1]);
    nodes.kill(dead).await;
    // Whether the leader has noticed by now or not, the living one must stay.
    wait_until("the leader has noticed that a node is dead", async || {
        let status = nodes.status(leader).await?;
        let member = status.members.into_iter().find(|m| m.id == dead)?;
        member.last_contact_ms.filter(|ago| *ago > 2_400)
    })
    .await;
    let path = format!("{MEMBERS}/{alive}");
    let reply = nodes
        .ask(leader, |http, url| http.delete(url + &path))
        .await;
    let reply = reply.expect_problem(409, "would-lose-quorum");
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("1 answered lately and 2 are needed"),
        "{detail}"
    );
    nodes.wait_for_voters(&[1, 2, 3]).await;

    let single = Nodes::found_in(1, None).await;
    let reply = single
        .ask(1, |http, url| http.delete(format!("{url}{MEMBERS}/1")))
        .await;
    reply.expect_problem(409, "would-lose-quorum");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_of_the_members_and_hands_the_leadership_over() {
    let nodes = Nodes::found(3).await;
    let leader = nodes.leader().await;
    for id in 1..=3 {
        let reply = nodes
            .ask(id, |http, url| http.get(url + MEMBERS))
            .await
            .expect(200);
        let members = reply.body.as_array().unwrap().clone();
        assert_eq!(members.len(), 3, "{members:?}");
        for (member, id) in members.iter().zip(1..) {
            assert_eq!(member["id"], json!(id));
            assert_eq!(member["http_addr"], json!(nodes.spec(id).http_addr));
            assert_eq!(member["leader"], json!(id == leader));
            assert_eq!(
                member["last_contact_ms"].is_number(),
                id != leader,
                "{member}"
            );
        }
    }
    let heir = nodes.follower().await;
    let reply = nodes
        .post(heir, TRANSFER, &json!({ "id": heir }))
        .await
        .expect(200);
    assert_eq!(reply.body, json!({ "leader": heir }));
    assert_eq!(nodes.leader().await, heir);
    let reply = nodes.post(leader, TRANSFER, &json!({ "id": 9 })).await;
    reply.expect_problem(404, "unknown-member");
    let reply = nodes
        .ask(leader, |http, url| http.delete(format!("{url}{MEMBERS}/9")))
        .await;
    reply.expect_problem(404, "unknown-member");
    let reply = nodes
        .post(leader, &format!("{MEMBERS}/9/promote"), &Value::Null)
        .await;
    reply.expect_problem(404, "unknown-member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_gets_in_nowhere() {
    let mut ours = Nodes::found(1).await;
    let mut theirs = Nodes::found_in(1, None).await;
    theirs.join(2).await;
    let foreign = theirs.spec(2).clone();

    // Asked for by hand:
    let new = json!({
        "id": 2, "raft_addr": foreign.raft_addr, "http_addr": foreign.http_addr,
    });
    let reply = ours
        .post(1, MEMBERS, &new)
        .await
        .expect_problem(409, "other-node");
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(detail.contains("belongs to cluster"), "{detail}");
    let nobody = json!({"id": 3, "raft_addr": "127.0.0.1:1", "http_addr": "127.0.0.1:2"});
    ours.post(1, MEMBERS, &nobody)
        .await
        .expect_problem(422, "node-unreachable");

    // With its data directory, at an address that our cluster takes for its own node 2, and with a
    // shorter log than ours, so that nothing but its origin is against its voting for our node 1:
    ours.join(2).await;
    for _ in 0..20 {
        let printer = json!({"company": "Prusa", "model": "MK4"});
        ours.post(1, PRINTERS, &printer).await.expect(201);
    }
    let origin = theirs.status(2).await.expect("an answer").cluster_id;
    for id in [1, 2] {
        theirs.kill(id).await;
    }
    ours.kill(1).await;
    ours.kill(2).await;
    let place = ours.spec(2).clone();
    std::fs::remove_dir_all(&place.dir).unwrap();
    copy_dir(&foreign.dir, &place.dir);
    ours.start(2);
    ours.start(1);
    wait_until("the stranger does not listen to our node 1", async || {
        ours.log(2).contains("it is of cluster").then_some(())
    })
    .await;
    let stranger = ours.status(2).await.expect("an answer");
    assert_eq!(stranger.cluster_id, origin);
    let printer = json!({"company": "Prusa", "model": "MK4"});
    let alone = send(ours.http.post(ours.url(1) + PRINTERS).json(&printer)).await;
    alone.unwrap().expect_problem(503, "no-quorum");
}

fn copy_dir(from: &Path, to: &PathBuf) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        match item.file_type().unwrap().is_dir() {
            true => copy_dir(&item.path(), &target),
            false => drop(std::fs::copy(item.path(), target).unwrap()),
        }
    }
}
