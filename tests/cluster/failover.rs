//! What the cluster promises when nodes die: nothing acknowledged is lost, nothing happens twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster_support::load::Load;
use crate::cluster_support::{
    FILAMENTS, JOBS, PATIENCE, PRINTERS, TestCluster, http_client, send, wait_until,
};

/// Writers at work while the leader dies; every second one names its writes with a key.
const WRITERS: usize = 8;
/// Writes to be acknowledged before the leader dies, and again afterwards.
const WRITES_EACH_SIDE: usize = 150;

/// What became of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Acknowledged: there exactly once.
    Acknowledged,
    /// Refused with nothing written: not there.
    NotWritten,
    /// No answer, or one that says so: there at most once.
    Unknown,
}

/// A client that creates jobs one after the other, each with a file path of its own.
struct Writer {
    number: usize,
    http: reqwest::Client,
    urls: Vec<String>,
    job: Value,
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    async fn run(self) -> HashMap<String, Fate> {
        let mut fates = HashMap::new();
        let mut turn = self.number;
        while !self.stop.load(Ordering::Relaxed) {
            let name = format!("writer{}/part{}.gcode", self.number, fates.len());
            let fate = match self.number % 2 {
                0 => self.write_until_acknowledged(&name, &mut turn).await,
                _ => self.write_once(&name, None, &mut turn).await,
            };
            if fate == Fate::Acknowledged {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            fates.insert(name, fate);
        }
        fates
    }

    /// With a key a write can be repeated, on any node, until it is acknowledged.
    async fn write_until_acknowledged(&self, name: &str, turn: &mut usize) -> Fate {
        let deadline = Instant::now() + PATIENCE;
        while self.write_once(name, Some(name), turn).await != Fate::Acknowledged {
            assert!(
                Instant::now() < deadline,
                "{name} is not accepted within {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Fate::Acknowledged
    }

    async fn write_once(&self, name: &str, key: Option<&str>, turn: &mut usize) -> Fate {
        let mut job = self.job.clone();
        job["filepath"] = name.into();
        *turn += 1;
        let url = &self.urls[*turn % self.urls.len()];
        let mut request = self.http.post(format!("{url}{JOBS}")).json(&job);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        match send(request).await {
            Ok(reply) if reply.status == 201 => Fate::Acknowledged,
            Ok(reply) => {
                assert_eq!(reply.status, 503, "{reply:#?}");
                match reply.body["type"].as_str() {
                    Some("/problems/outcome-unknown") => Fate::Unknown,
                    _ => Fate::NotWritten,
                }
            }
            Err(error) if error.is_connect() => Fate::NotWritten,
            Err(_) => Fate::Unknown,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_under_load_takes_no_acknowledged_write_along() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000_000).await;

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let writer = Writer {
            number,
            http: http_client(),
            urls: (1..=3).map(|id| cluster.url(id)).collect(),
            job: job.clone(),
            acknowledged: acknowledged.clone(),
            stop: stop.clone(),
        };
        writers.spawn(writer.run());
    }

    let more = async |count: usize| {
        let wanted = acknowledged.load(Ordering::Relaxed) + count;
        let what = format!("{count} more writes are acknowledged");
        wait_until(&what, async || {
            (acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    };
    more(WRITES_EACH_SIDE).await;
    cluster.kill9(leader).await;
    more(WRITES_EACH_SIDE).await;
    assert_ne!(cluster.leader().await.node_id, leader);
    cluster.bring_back(leader).await;
    more(WRITES_EACH_SIDE).await;
    stop.store(true, Ordering::Relaxed);
    let fates: HashMap<String, Fate> = writers.join_all().await.into_iter().flatten().collect();

    let jobs = cluster.same_everywhere().await;
    let mut times_there: HashMap<&str, usize> = HashMap::new();
    for job in &jobs {
        *times_there
            .entry(job["filepath"].as_str().unwrap())
            .or_default() += 1;
    }
    for (name, fate) in &fates {
        let count = times_there.remove(name.as_str()).unwrap_or(0);
        let right = match fate {
            Fate::Acknowledged => count == 1,
            Fate::NotWritten => count == 0,
            Fate::Unknown => count <= 1,
        };
        assert!(right, "{name} was {fate:?} and is there {count} times");
    }
    assert!(
        times_there.is_empty(),
        "nobody wrote these: {times_there:?}"
    );
}

#[tokio::test]
async fn all_nodes_killed_at_once_have_everything_when_they_come_back() {
    let mut cluster = TestCluster::start().await;
    let mut job = cluster.job_template(1, 1_000).await;
    let mut acknowledged = Vec::new();
    for number in 0..60 {
        job["filepath"] = format!("part{number}.gcode").into();
        acknowledged.push(cluster.create(number % 3 + 1, JOBS, &job).await);
    }
    let running = format!("{JOBS}/{}/status?status=running", acknowledged[0]["id"]);
    acknowledged[0] = cluster.post_bytes(2, &running, "").await.expect(200).body;
    for round in 1..=3 {
        let printers = cluster.list(1, PRINTERS, "linearizable").await;
        let filaments = cluster.list(1, FILAMENTS, "linearizable").await;
        for id in 1..=3 {
            cluster.kill9(id).await;
        }
        for id in 1..=3 {
            cluster.bring_back(id).await;
        }
        cluster.leader().await;
        for id in 1..=3 {
            assert_eq!(
                cluster.list(id, PRINTERS, "linearizable").await,
                printers,
                "round {round}"
            );
            assert_eq!(
                cluster.list(id, FILAMENTS, "linearizable").await,
                filaments,
                "round {round}"
            );
            assert_eq!(
                cluster.list(id, JOBS, "linearizable").await,
                acknowledged,
                "round {round}"
            );
        }
        acknowledged.push(cluster.create(round, JOBS, &job).await);
    }
}

#[tokio::test]
async fn without_a_majority_writes_answer_503_and_eventual_reads_go_on() {
    let timeout = Duration::from_millis(1_500);
    let mut cluster = TestCluster::start_with(&["--request-timeout-ms", "1500"]).await;
    let leader = cluster.leader().await.node_id;
    let mut job = cluster.job_template(leader, 1_000).await;
    let first = cluster.create(leader, JOBS, &job).await;
    let dead = cluster.others(leader);
    for id in &dead {
        cluster.kill9(*id).await;
    }

    // The first write meets a leader that does not know yet, the last a node without one.
    let mut fates = Vec::new();
    for attempt in 0..3 {
        job["filepath"] = format!("attempt{attempt}.gcode").into();
        let begun = Instant::now();
        let build = |http: &reqwest::Client, url: String| http.post(url + JOBS).json(&job);
        let reply = cluster.send_once(leader, build).await.expect(503);
        let took = begun.elapsed();
        assert!(
            took < timeout + Duration::from_secs(1),
            "the 503 took {took:?}"
        );
        assert_ne!(reply.header("retry-after"), "", "{reply:#?}");
        fates.push(reply.body["type"].as_str().unwrap().to_owned());
    }
    for kind in &fates {
        let known = ["/problems/outcome-unknown", "/problems/no-quorum"].contains(&kind.as_str());
        assert!(known, "{kind}");
    }
    let eventual = cluster.list(leader, JOBS, "eventual").await;
    assert!(eventual.contains(&first), "{eventual:?}");
    cluster
        .get(leader, JOBS)
        .await
        .expect_problem(503, "no-quorum");
    cluster.get(leader, "/healthz").await.expect(200);
    wait_until("the lone node says that it is not ready", async || {
        let reply = cluster
            .send_once(leader, |http, url| http.get(url + "/readyz"))
            .await;
        (reply.status == 503).then_some(())
    })
    .await;

    cluster.bring_back(dead[0]).await;
    cluster.leader().await;
    job["filepath"] = "after.gcode".into();
    let last = cluster.create(dead[0], JOBS, &job).await;
    wait_until("the survivor is ready again", async || {
        let reply = cluster
            .send_once(leader, |http, url| http.get(url + "/readyz"))
            .await;
        (reply.status == 200).then_some(())
    })
    .await;
    let jobs = cluster.list(leader, JOBS, "linearizable").await;
    assert!(jobs.contains(&first) && jobs.contains(&last), "{jobs:#?}");
    for (attempt, kind) in fates.iter().enumerate() {
        let name = json!(format!("attempt{attempt}.gcode"));
        let count = jobs.iter().filter(|job| job["filepath"] == name).count();
        let allowed = if kind == "/problems/no-quorum" { 0 } else { 1 };
        assert!(
            count <= allowed,
            "a write answered with {kind} is there {count} times"
        );
    }
    cluster.bring_back(dead[1]).await;
    cluster.same_everywhere().await;
}

#[tokio::test]
async fn sigterm_hands_the_leadership_over_without_an_election_timeout() {
    let election_timeout = Duration::from_secs(4);
    let args = [
        "--election-timeout-ms",
        "4000..8000",
        "--request-timeout-ms",
        "10000",
    ];
    let mut cluster = TestCluster::start_with(&args).await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    cluster.equal_indexes().await;

    let begun = Instant::now();
    terminate(&mut cluster, leader);
    let ended = cluster.node(leader).wait().await.unwrap();
    assert!(ended.success(), "the node ended with {ended}");
    let survivor = cluster.running()[0];
    cluster.create(survivor, JOBS, &job).await;
    let took = begun.elapsed();
    assert!(
        took < election_timeout,
        "the next write was accepted only after {took:?}"
    );
    assert_ne!(cluster.leader().await.node_id, leader);
    cluster.bring_back(leader).await;
    assert_eq!(cluster.same_everywhere().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_stop_of_the_leader_fails_no_request() {
    /// Well below what an election would take, even on a busy machine.
    const GAP_MAX: Duration = Duration::from_secs(4);
    // Clients without keys: nobody may repeat what they ask for.
    let args = ["--election-timeout-ms", "5000..10000"];
    let mut cluster = TestCluster::start_with(&args).await;
    let first = cluster.leader().await.node_id;
    let job = cluster.job_template(first, 1_000_000).await;
    for round in 1..=3 {
        let leader = cluster.leader().await.node_id;
        cluster.equal_indexes().await;
        let urls = (1..=3).map(|id| cluster.url(id)).collect();
        let load = Load::start(urls, job.clone(), Duration::from_millis(10), None);
        load.more(50).await;
        let begun = Instant::now();
        terminate(&mut cluster, leader);
        let ended = cluster.node(leader).wait().await.unwrap();
        assert!(ended.success(), "the node ended with {ended}");
        load.more(50).await;
        let gap = load.longest_gap(begun);
        let writes = load.stop().await;
        let failed: Vec<_> = writes.iter().filter(|w| w.outcome.is_err()).collect();
        assert!(failed.is_empty(), "round {round}: {failed:#?}");
        assert!(gap < GAP_MAX, "round {round}: no write for {gap:?}");
        cluster.bring_back(leader).await;
    }
}

/// Asks node `id`, which runs, to stop in good order.
fn terminate(cluster: &mut TestCluster, id: i32) {
    let pid = cluster.node(id).pid().unwrap().to_string();
    let sent = std::process::Command::new("sh")
        .args(["-c", "kill -TERM $0", &pid])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn an_idempotency_key_is_remembered_beyond_its_leader() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    let first = cluster
        .post_with_key(leader, JOBS, &job, "order-4711")
        .await
        .expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");

    cluster.kill9(leader).await;
    for id in cluster.running() {
        let again = cluster
            .post_with_key(id, JOBS, &job, "order-4711")
            .await
            .expect(201);
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("location"), first.header("location"));
        let mut other = job.clone();
        other["print_weight_in_grams"] = json!(2);
        cluster
            .post_with_key(id, JOBS, &other, "order-4711")
            .await
            .expect_problem(422, "idempotency-key-reused");
    }
    cluster.bring_back(leader).await;
    assert_eq!(cluster.same_everywhere().await, [first.body]);
}
