//! Nodes that are asked to stop while they have things to do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster_support::{PRINTERS, Reply, TestCluster, send, wait_until};

const BACKUP: &str = "/api/v1/cluster/backup";
/// More than the sockets between a node and its client hold.
const FARM_BYTES: usize = 8 << 20;
/// As long as a node may take to stop: to hand over, to answer, and to leave.
const BOUND: Duration = Duration::from_secs(8);

/// A printer whose name has `length` characters.
fn printer(length: usize) -> Value {
    json!({"company": "P".repeat(length), "model": "MK4"})
}

/// A farm whose backup no socket holds.
async fn fill(cluster: &TestCluster, id: i32) {
    let length = 1_000_000;
    for _ in 0..FARM_BYTES / length {
        cluster.create(id, PRINTERS, &printer(length)).await;
    }
}

/// Creates printers through `url`, one after the other on one connection and without a key, until none
/// is to be had there any more; how many there were.
async fn write_until_refused(http: reqwest::Client, url: String, acknowledged: &AtomicUsize) {
    loop {
        let request = http.post(url.clone() + PRINTERS).json(&printer(5));
        match send(request).await {
            Ok(Reply { status: 201, .. }) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(other) => panic!("a request under way was not carried out: {other:#?}"),
            Err(error) => {
                assert!(error.is_connect(), "no answer to a request: {error:?}");
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_finishes_what_it_has_begun() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await;
    let id = leader.node_id;
    fill(&cluster, id).await;
    let (http, url) = (cluster.http().clone(), cluster.url(id));

    let mut download = http.get(url.clone() + BACKUP).send().await.unwrap();
    let mut downloaded = download.chunk().await.unwrap().expect("a piece").len();
    let stream = http.get(format!("{url}/api/v1/events"));
    let stream = stream.header("accept", "text/event-stream");
    let mut stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let acknowledged = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);

    let stop = async {
        wait_until("there are writes under way", async || {
            (acknowledged.load(Ordering::Relaxed) > 20).then_some(())
        })
        .await;
        let began = Instant::now();
        let status = cluster.node(id).stop().await.unwrap();
        stopped.store(true, Ordering::Relaxed);
        assert_eq!(status.code(), Some(0));
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    };
    // The streams of a node that stops end with a word why.
    let streamed = async {
        let mut text = Vec::new();
        while let Some(piece) = stream.chunk().await.expect("a proper end") {
            text.extend_from_slice(&piece);
        }
        let text = String::from_utf8(text).unwrap();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(
            last.starts_with(": the stream ends: this node is stopping"),
            "{last}"
        );
    };
    // One by one, so that there are always requests that have just been sent.
    let writers = async {
        let writer = || write_until_refused(http.clone(), url.clone(), &acknowledged);
        tokio::join!(writer(), writer(), writer(), writer());
    };
    let rest = async {
        // Nobody new is let in, and what has begun is still there to be taken.
        tokio::join!(streamed, writers);
        assert!(
            !stopped.load(Ordering::Relaxed),
            "the download was not waited for"
        );
        let refused = http.get(url.clone() + "/livez").send().await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
        while let Some(piece) = download.chunk().await.expect("the whole backup") {
            downloaded += piece.len();
        }
        assert!(downloaded > FARM_BYTES, "{downloaded} bytes");
    };
    tokio::join!(stop, rest);

    let log = std::fs::read_to_string(cluster.spec(id).log_path()).unwrap();
    assert!(log.contains("handed over the leadership"), "{log}");
    assert!(!log.contains("did not finish"), "{log}");
    let heir = cluster.leader().await;
    assert_eq!(heir.term, leader.term + 1, "not one election: {heir:?}");
    let printers = cluster.list(heir.node_id, PRINTERS, "linearizable").await;
    let named = printers.iter().filter(|p| p["company"] == "PPPPP").count();
    assert_eq!(named, acknowledged.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_waits_for_nobody_for_long_and_tells_what_it_does_not_know() {
    let args = ["--request-timeout-ms", "60000"];
    let mut cluster = TestCluster::start_with(&args).await;
    let id = cluster.leader().await.node_id;
    fill(&cluster, id).await;
    let (http, url) = (cluster.http().clone(), cluster.url(id));
    // Its client takes no more of it.
    let download = http.get(url.clone() + BACKUP).send().await.unwrap();
    for other in cluster.others(id) {
        cluster.kill9(other).await;
    }
    // Nobody can acknowledge it any more, and nobody says that he does not.
    let write = send(http.post(url.clone() + PRINTERS).json(&printer(5)));
    let write = tokio::spawn(write);
    wait_until("the write is under way", async || {
        let metrics = http.get(url.clone() + "/metrics").send().await.ok()?;
        let metrics = metrics.text().await.ok()?;
        let pending = "raft3d_raft_proposals_pending 1";
        metrics.lines().any(|line| line == pending).then_some(())
    })
    .await;
    let began = Instant::now();
    let status = cluster.node(id).stop().await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    let answer = write.await.unwrap().expect("an answer");
    answer.expect_problem(503, "outcome-unknown");
    let log = std::fs::read_to_string(cluster.spec(id).log_path()).unwrap();
    assert!(log.contains("did not finish and are dropped"), "{log}");
    drop(download);
}
