//! Events of a real cluster whose nodes are killed: a client that hops from node to node misses none
//! and sees none twice, and a file of them rebuilds the farm.
//!
//! The long version is `make events`; see `docs/events.md`.

mod cluster_support;
// Not all of it is used here.
#[allow(dead_code)]
#[path = "faults/rng.rs"]
mod rng;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cluster_support::{
    FILAMENTS, JOBS, PATIENCE, PRINTERS, TestCluster, http_client, program, send, wait_until,
};
use raft3d::client::api::Api;
use raft3d::client::follow::{Follower, Progress};
use raft3d::client::http::HttpClient;
use rng::Rng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

const EVENTS: &str = "/api/v1/events";
const HASH: &str = "/api/v1/cluster/hash";
const SETTINGS: &str = "/api/v1/cluster/settings";
/// Writers at work at the same time.
const WRITERS: u64 = 10;
/// Longest time without any progress.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Numbers of the run: operations, kills, the seed.
struct Plan {
    operations: u64,
    kills: u64,
    seed: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_survive_kills_without_gap_or_repeat() {
    run(Plan {
        operations: 2_000,
        kills: 4,
        seed: number("RAFT3D_FAULTS_SEED").unwrap_or(1),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn events_of_many_operations() {
    let operations = number("RAFT3D_OPERATIONS").unwrap_or(100_000);
    run(Plan {
        operations,
        kills: (operations / 4_000).max(3),
        seed: number("RAFT3D_FAULTS_SEED").unwrap_or(1),
    })
    .await;
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

async fn run(plan: Plan) {
    println!(
        "{} operations, {} kills; RAFT3D_FAULTS_SEED={}",
        plan.operations, plan.kills, plan.seed
    );
    let mut cluster = TestCluster::start_with(&["--snapshot-distance", "500"]).await;
    set_retention(&cluster).await;
    let urls: Vec<String> = [1, 2, 3].map(|id| cluster.url(id)).into();
    let followers: Vec<_> = (0..2).map(|first| follow(&urls, first)).collect();

    let began = Instant::now();
    let done = watch::Sender::new(0);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let writer = Writer::new(&plan, number, &urls, done.clone());
        writers.spawn(writer.run(plan.operations / WRITERS));
    }
    kill_and_bring_back(&mut cluster, &plan, &done).await;
    writers.join_all().await;
    println!("written in {:.1} s", began.elapsed().as_secs_f64());

    cluster.equal_indexes().await;
    let whole = all_events(&cluster).await;
    let last = whole.last_key_value().expect("there are events");
    for mut follower in followers {
        let seen = follower.finish(*last.0).await;
        assert_eq!(seen.len(), whole.len(), "events seen by a follower");
        assert!(seen == whole, "a follower has seen other events");
    }
    rebuild(&mut cluster, whole.len()).await;
}

/// Keeps all events of the run.
async fn set_retention(cluster: &TestCluster) {
    let set = cluster.send_once(1, |http, url| {
        http.put(url + SETTINGS)
            .json(&json!({"event_retention": 1_000_000}))
    });
    set.await.expect(200);
}

/// A client that follows the events, and what it has seen: each index once, in order.
struct Following {
    seen: watch::Receiver<u64>,
    task: JoinHandle<BTreeMap<u64, Value>>,
    enough: watch::Sender<u64>,
}

/// Follows from the beginning, on the node number `first` to begin with.
fn follow(urls: &[String], first: usize) -> Following {
    let mut urls = urls.to_vec();
    urls.rotate_left(first);
    let api = Api::new(&urls, PATIENCE, HttpClient::new(None).unwrap()).unwrap();
    let mut follower = Follower::new(api, Vec::new(), Some(0), PATIENCE);
    let (reached, seen) = watch::channel(0);
    let (enough, mut stop_at) = watch::channel(u64::MAX);
    let task = tokio::spawn(async move {
        let mut events = BTreeMap::new();
        loop {
            let progress = tokio::select! {
                progress = follower.next() => progress.expect("some node goes on"),
                _ = stop_at.changed() => Progress::Position(*reached.borrow()),
            };
            if let Progress::Event(message) = progress {
                let last = *reached.borrow();
                assert!(message.index > last, "{} behind {last}", message.index);
                reached.send_replace(message.index);
                events.insert(message.index, serde_json::from_str(&message.data).unwrap());
            }
            if *reached.borrow() >= *stop_at.borrow() {
                return events;
            }
        }
    });
    Following { seen, task, enough }
}

impl Following {
    /// All that was seen up to `last`, which must come.
    async fn finish(&mut self, last: u64) -> BTreeMap<u64, Value> {
        self.enough.send_replace(last);
        let finished = timeout(STALL_MAX, &mut self.task).await;
        let seen = *self.seen.borrow();
        finished
            .unwrap_or_else(|_| panic!("the follower is at {seen} and not at {last}"))
            .expect("the follower does not panic")
    }
}

/// Kills nodes one after the other while operations go on, and starts each again.
async fn kill_and_bring_back(cluster: &mut TestCluster, plan: &Plan, done: &watch::Sender<u64>) {
    let part = plan.operations / WRITERS * WRITERS / (2 * plan.kills + 1);
    let mut progress = done.subscribe();
    let mut rng = Rng::part(plan.seed, 0);
    let mut turn = rng.shuffled(&[1, 2, 3]);
    for kill in 0..plan.kills {
        reach(&mut progress, (2 * kill + 1) * part).await;
        let victim = turn[kill as usize % 3];
        cluster.kill9(victim).await;
        reach(&mut progress, (2 * kill + 2) * part).await;
        cluster.bring_back(victim).await;
        if kill % 3 == 2 {
            turn = rng.shuffled(&turn);
        }
    }
}

/// Waits until `count` operations are done.
async fn reach(progress: &mut watch::Receiver<u64>, count: u64) {
    loop {
        let now = *progress.borrow_and_update();
        if now >= count {
            return;
        }
        let moved = timeout(STALL_MAX, progress.changed()).await;
        let moved = moved.unwrap_or_else(|_| panic!("no progress behind {now} operations"));
        moved.expect("the writers are at work");
    }
}

/// A client that creates objects and takes its own jobs through their lives, each operation once,
/// on any node that answers.
struct Writer {
    http: reqwest::Client,
    urls: Vec<String>,
    rng: Rng,
    number: u64,
    count: u64,
    printers: Vec<Value>,
    filaments: Vec<Value>,
    /// Jobs that are not at their end, and what comes next for each.
    jobs: Vec<(Value, &'static str)>,
    done: Arc<watch::Sender<u64>>,
}

impl Writer {
    fn new(plan: &Plan, number: u64, urls: &[String], done: watch::Sender<u64>) -> Writer {
        Writer {
            http: http_client(),
            urls: urls.to_vec(),
            rng: Rng::part(plan.seed, number + 1),
            number,
            count: 0,
            printers: Vec::new(),
            filaments: Vec::new(),
            jobs: Vec::new(),
            done: Arc::new(done),
        }
    }

    async fn run(mut self, operations: u64) {
        for _ in 0..operations {
            self.operate().await;
            self.done.send_modify(|done| *done += 1);
        }
    }

    async fn operate(&mut self) {
        let chance = self.rng.between(0, 99);
        match chance {
            _ if self.printers.is_empty() => self.add_printer().await,
            _ if self.filaments.is_empty() => self.add_filament().await,
            0..4 => self.add_printer().await,
            4..8 => self.add_filament().await,
            8..50 if self.jobs.len() < 20 => self.add_job().await,
            _ if self.jobs.is_empty() => self.add_job().await,
            _ => self.move_job().await,
        }
    }

    async fn add_printer(&mut self) {
        let mut body = json!({"company": "Prusa", "model": format!("MK{}", self.count)});
        if self.rng.percent(30) {
            body["id"] = format!("w{}/{}", self.number, self.count).into();
        }
        let (_, printer) = self.post(PRINTERS.into(), &body, &[201]).await;
        self.printers.push(printer["id"].clone());
    }

    async fn add_filament(&mut self) {
        let grams = self.rng.between(10, 100_000);
        let body = json!({"type": "PLA", "color": "red", "total_weight_in_grams": grams});
        let (_, filament) = self.post(FILAMENTS.into(), &body, &[201]).await;
        self.filaments.push(filament["id"].clone());
    }

    /// May be refused for want of filament.
    async fn add_job(&mut self) {
        let body = json!({
            "printer_id": self.rng.pick(&self.printers).clone(),
            "filament_id": self.rng.pick(&self.filaments).clone(),
            "filepath": format!("part{}.gcode", self.count),
            "print_weight_in_grams": self.rng.between(1, 50),
        });
        let (status, job) = self.post(JOBS.into(), &body, &[201, 422]).await;
        if status == 201 {
            self.jobs.push((job["id"].clone(), "running"));
        }
    }

    /// Starts, ends or cancels a job, or tries what is not allowed.
    async fn move_job(&mut self) {
        let place = self.rng.between(0, self.jobs.len() as u64 - 1) as usize;
        let (id, next) = self.jobs[place].clone();
        let status = match self.rng.between(0, 9) {
            0 => "queued",
            1 => "canceled",
            _ => next,
        };
        let path = format!("{JOBS}/{id}/status");
        let body = json!({ "status": status });
        let expected = if status == "queued" { 409 } else { 200 };
        self.post(path, &body, &[expected]).await;
        match status {
            "running" => self.jobs[place].1 = "done",
            "done" | "canceled" => drop(self.jobs.swap_remove(place)),
            _ => {}
        }
    }

    /// Posts until some node knows the outcome, which is one of those `expected`.
    async fn post(&mut self, path: String, body: &Value, expected: &[u16]) -> (u16, Value) {
        self.count += 1;
        let key = format!("writer-{}-{}", self.number, self.count);
        let deadline = Instant::now() + STALL_MAX;
        let mut turn = self.rng.between(0, 2) as usize;
        loop {
            let url = format!("{}{path}", self.urls[turn % 3]);
            let request = self.http.post(url).json(body);
            let reply = send(request.header("Idempotency-Key", &key)).await;
            match reply {
                Ok(reply) if reply.status != 503 => {
                    assert!(expected.contains(&reply.status), "{path} {body}: {reply:?}");
                    return (reply.status, reply.body);
                }
                other => assert!(Instant::now() < deadline, "{path} {body}: {other:?}"),
            }
            turn += 1;
            // The next node may be the one that is dead: it is not asked without a pause.
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// All events by pages, by their index.
async fn all_events(cluster: &TestCluster) -> BTreeMap<u64, Value> {
    let mut events = BTreeMap::new();
    let mut next = Some(format!("{EVENTS}?after=0&limit=1000"));
    while let Some(path) = next {
        let page = cluster.get(1, &path).await.expect(200);
        for event in page.body.as_array().expect("a page") {
            let index = event["index"].as_u64().expect("an index");
            let before = events.insert(index, event.clone());
            assert_eq!(before, None, "two events of one index");
        }
        let link = page.header("link");
        let path = link.strip_prefix('<').and_then(|link| link.split_once('>'));
        next = path.map(|(path, _)| path.to_owned());
    }
    events
}

/// Exports and replays by the program, and compares with what every node has.
async fn rebuild(cluster: &mut TestCluster, count: usize) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.jsonl");
    let endpoints: Vec<String> = [1, 2, 3].map(|id| cluster.url(id)).into();
    let exported = raft3d(&endpoints, &["export", "--out"], &file);
    let replayed = raft3d(&endpoints, &["replay", "--verify"], &file);
    println!("export: {exported}\nreplay: {replayed}");
    assert_eq!(replayed["events"], count, "all events are in the file");
    assert_eq!(replayed["base_index"], 0);
    for id in [1, 2, 3] {
        let same = wait_until("every node has the farm of the file", async || {
            let live = cluster
                .look(id, &format!("{HASH}?consistency=eventual"))
                .await;
            (live.body["farm_hash"] == replayed["farm_hash"]).then_some(live.body)
        });
        println!("node {id}: {}", same.await);
    }
    // Without one of its lines the file is another or none.
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let missing = lines.len() / 2;
    let short = [&lines[..missing], &lines[missing + 1..]].concat();
    std::fs::write(&file, short.join("\n")).unwrap();
    let refused = command(&endpoints, &["replay"], &file).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

fn raft3d(endpoints: &[String], verb: &[&str], file: &Path) -> Value {
    let output = command(endpoints, verb, file).output().unwrap();
    assert!(output.status.success(), "{verb:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn command(endpoints: &[String], verb: &[&str], file: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("events").args(verb).arg(file);
    command.args(["-o", "json", "--endpoint", &endpoints.join(",")]);
    command
}
