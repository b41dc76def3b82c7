//! Clients that use the farm and write down what they see.
//!
//! All clients share what they know of the farm and draw what to do next each from a sequence of
//! their own. An answer that does not come, or that says so, is an unknown outcome and never a
//! failure; an answer that says that nothing was written is taken at its word.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raft3d::client::api::new_idempotency_key;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::farm::{CreateAnswer, Job, JobName, MoveAnswer, Operation, Status};
use super::history::{Answer, History, Shows, Source};
use super::linearizability::Call;
use super::nodes::Endpoint;
use super::rng::Rng;
use crate::cluster_support::{FILAMENTS, JOBS, PRINTERS, Reply, http_client, send};

/// How long a client waits; longer than the nodes' own request timeout.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Rolls in use at a time.
const ROLLS: usize = 3;
/// What a roll holds when new, in grams.
const ROLL_GRAMS: u64 = 120;
/// Jobs of a roll after which it is taken out of use: more would only cost the checker time.
const ROLL_JOBS_MAX: usize = 24;
/// How often a request with a key is repeated after an unknown outcome.
const REPETITIONS: usize = 3;
/// Time between two requests of one client at most: the load is there to find faults with.
const PACE: Duration = Duration::from_millis(8);

/// What all clients share.
pub struct Shared {
    endpoints: Vec<Endpoint>,
    started: Instant,
    farm: Mutex<Farm>,
    done: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
    /// Eventual reads pass for linearizable ones: to see whether the checker notices.
    stale_reads: bool,
}

#[derive(Default)]
struct Farm {
    history: History,
    printer: Value,
    rolls: Vec<Roll>,
    jobs: Vec<KnownJob>,
    jobs_named: JobName,
}

/// A roll in use.
#[derive(Clone)]
struct Roll {
    id: Value,
    jobs: usize,
}

#[derive(Clone)]
struct KnownJob {
    name: JobName,
    id: Value,
    roll: String,
}

/// How a request ended.
enum End {
    Answered(Reply),
    /// Nothing was written.
    NotDone,
    Unknown,
}

impl Shared {
    /// Clients of the nodes at `endpoints`.
    pub fn new(endpoints: Vec<Endpoint>, stale_reads: bool) -> Arc<Shared> {
        Arc::new(Shared {
            endpoints,
            started: Instant::now(),
            farm: Mutex::default(),
            done: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
            stale_reads,
        })
    }

    /// Counts the requests that have ended, however they did.
    pub fn done(&self) -> watch::Receiver<u64> {
        self.done.subscribe()
    }

    /// Lets every client end after what it is doing.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Takes the history out, when the clients have ended.
    pub fn take_history(&self) -> History {
        std::mem::take(&mut self.farm().history)
    }

    /// Ids of all rolls ever made.
    pub fn rolls(&self) -> Vec<String> {
        self.farm().history.rolls.keys().cloned().collect()
    }

    fn farm(&self) -> MutexGuard<'_, Farm> {
        self.farm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

/// One client, or the final look at everything.
pub struct Client {
    shared: Arc<Shared>,
    number: usize,
    rng: Rng,
    /// One for each node, with one connection kept.
    http: Vec<reqwest::Client>,
}

impl Client {
    /// Client `number`, which draws from `rng`.
    pub fn new(shared: &Arc<Shared>, number: usize, rng: Rng) -> Client {
        Client {
            shared: Arc::clone(shared),
            number,
            rng,
            http: shared.endpoints.iter().map(|_| http_client()).collect(),
        }
    }

    /// Uses the farm until told to stop.
    pub async fn run(mut self) {
        let mut stopped = self.shared.stopped.subscribe();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !*stopped.borrow_and_update() {
            self.act().await;
            self.shared.done.send_modify(|done| *done += 1);
            pace.tick().await;
        }
    }

    async fn act(&mut self) {
        let roll = match self.choose_roll() {
            Some(roll) => roll,
            None => return self.make_roll().await,
        };
        let job = self.choose_job();
        match (self.rng.between(0, 99), job) {
            (0..25, _) => self.create_job(&roll).await,
            (25..50, Some(job)) => self.move_job(&job).await,
            (50..62, Some(job)) => self.read_job(&job).await,
            (62..75, _) => self.read_roll(&roll).await,
            (75..85, _) => self.list(&roll).await,
            _ => self.read_eventually(&roll).await,
        }
    }

    /// A roll with room for more jobs, unless it is time for a new one.
    fn choose_roll(&mut self) -> Option<Value> {
        let mut farm = self.shared.farm();
        farm.rolls.retain(|roll| roll.jobs < ROLL_JOBS_MAX);
        (farm.rolls.len() >= ROLLS).then(|| self.rng.pick(&farm.rolls).id.clone())
    }

    /// Mostly one of the newest: those are not final yet.
    fn choose_job(&mut self) -> Option<KnownJob> {
        let farm = self.shared.farm();
        let newest = farm.jobs.len().saturating_sub(12);
        let jobs = if self.rng.percent(85) {
            &farm.jobs[newest..]
        } else {
            &farm.jobs[..]
        };
        (!jobs.is_empty()).then(|| self.rng.pick(jobs).clone())
    }

    async fn make_roll(&mut self) {
        let printer = self.shared.farm().printer.clone();
        if printer.is_null() {
            let body = json!({"company": "Prusa", "model": "MK4"});
            if let End::Answered(reply) = self.post(PRINTERS, &body, true).await.0 {
                self.shared.farm().printer = reply.body["id"].clone();
            }
            return;
        }
        let body = json!({"type": "PLA", "color": "red", "total_weight_in_grams": ROLL_GRAMS});
        let (end, ..) = self.post(FILAMENTS, &body, true).await;
        if let End::Answered(reply) = end {
            let id = reply.body["id"].clone();
            let mut farm = self.shared.farm();
            if reply.status != 201 || farm.history.rolls.contains_key(&id.to_string()) {
                farm.history
                    .oddities
                    .push(format!("no new filament: {reply:?}"));
                return;
            }
            farm.history.rolls.insert(id.to_string(), ROLL_GRAMS);
            farm.history.calls.insert(id.to_string(), Vec::new());
            farm.rolls.push(Roll { id, jobs: 0 });
        }
    }

    async fn create_job(&mut self, roll: &Value) {
        let (job, printer) = {
            let mut farm = self.shared.farm();
            farm.jobs_named += 1;
            if let Some(used) = farm.rolls.iter_mut().find(|known| known.id == *roll) {
                used.jobs += 1;
            }
            (farm.jobs_named, farm.printer.clone())
        };
        let grams = self.rng.between(5, 45);
        let body = json!({
            "printer_id": printer,
            "filament_id": roll,
            "filepath": path_of(job),
            "print_weight_in_grams": grams,
        });
        let with_key = self.rng.percent(50);
        let (end, invoked) = self.post(JOBS, &body, with_key).await;
        let answer = match &end {
            End::NotDone => return,
            End::Unknown => None,
            End::Answered(reply) => match reply.status {
                201 => Some(CreateAnswer::Created),
                422 => number_after(reply, " of which ")
                    .map(|available| CreateAnswer::NotEnough { available }),
                _ => None,
            },
        };
        let operation = Operation::Create { job, grams, answer };
        self.record(roll, invoked, answer.is_some(), operation);
        if let End::Answered(reply) = &end {
            self.note_write(invoked, reply, answer.is_some());
            if answer == Some(CreateAnswer::Created) {
                self.know(job, &reply.body["id"], roll);
            }
        }
    }

    async fn move_job(&mut self, job: &KnownJob) {
        let to = match self.rng.between(0, 9) {
            0..5 => Status::Running,
            5..8 => Status::Done,
            _ => Status::Canceled,
        };
        let path = format!("{JOBS}/{}/status?status={}", job.id, to.name());
        let with_key = self.rng.percent(50);
        let (end, invoked) = self.post(&path, &Value::Null, with_key).await;
        let answer = match &end {
            End::NotDone => return,
            End::Unknown => None,
            End::Answered(reply) => match reply.status {
                200 => Some(MoveAnswer::Moved),
                404 => Some(MoveAnswer::NoSuchJob),
                409 => status_after(reply, " is ").map(|from| MoveAnswer::Forbidden { from }),
                _ => None,
            },
        };
        let name = job.name;
        let operation = Operation::Move {
            job: name,
            to,
            answer,
        };
        self.record(&roll_id(&job.roll), invoked, answer.is_some(), operation);
        if let End::Answered(reply) = &end {
            self.note_write(invoked, reply, answer.is_some());
        }
    }

    async fn read_job(&mut self, job: &KnownJob) {
        let node = self.choose_node();
        let path = format!("{JOBS}/{}", job.id);
        let Some((reply, invoked)) = self.read(node, &path, self.freshness()).await else {
            return;
        };
        let status = reply.body["status"].as_str().and_then(Status::parse);
        let operation = Operation::ReadJob {
            job: job.name,
            status,
        };
        self.record(&roll_id(&job.roll), invoked, true, operation);
        let shows = status.map_or(Shows::Index, |status| Shows::Job {
            job: job.name,
            status,
        });
        self.note(invoked, &reply, Source::Cluster, shows);
    }

    async fn read_roll(&mut self, roll: &Value) {
        let node = self.choose_node();
        let path = format!("{FILAMENTS}/{roll}");
        let Some((reply, invoked)) = self.read(node, &path, self.freshness()).await else {
            return;
        };
        let shows = shown_roll(roll, &reply);
        match &shows {
            Shows::Roll {
                remaining,
                available,
                ..
            } => {
                let operation = Operation::ReadRoll {
                    remaining: *remaining,
                    available: *available,
                };
                self.record(roll, invoked, true, operation);
            }
            _ if self.shared.stale_reads => {}
            _ => self.odd("a filament that exists is not read", &reply),
        }
        self.note(invoked, &reply, Source::Cluster, shows);
    }

    async fn list(&mut self, roll: &Value) {
        let node = self.choose_node();
        let path = format!("{JOBS}?filament_id={roll}");
        let Some((reply, invoked)) = self.read(node, &path, self.freshness()).await else {
            return;
        };
        let jobs = self.learn(roll, &reply);
        self.record(roll, invoked, true, Operation::List(jobs.clone()));
        let roll = roll.to_string();
        self.note(invoked, &reply, Source::Cluster, Shows::Jobs { roll, jobs });
    }

    /// A roll and its jobs as one node has them.
    async fn read_eventually(&mut self, roll: &Value) {
        let node = self.choose_node();
        let starts = self.shared.endpoints[node].starts();
        let id = self.shared.endpoints[node].id;
        for path in [
            format!("{FILAMENTS}/{roll}"),
            format!("{JOBS}?filament_id={roll}"),
        ] {
            let Some((reply, invoked)) = self.read(node, &path, "eventual").await else {
                return;
            };
            if self.shared.endpoints[node].starts() != starts {
                return;
            }
            let shows = match reply.body.is_array() {
                true => Shows::Jobs {
                    roll: roll.to_string(),
                    jobs: self.learn(roll, &reply),
                },
                // A node that is behind may not know the roll yet.
                false => shown_roll(roll, &reply),
            };
            let source = Source::Connection(self.number, id, starts);
            self.note(invoked, &reply, source, shows);
        }
    }

    /// The last look: every roll and its jobs, read through every node in turn.
    pub async fn read_everything(&mut self) {
        for roll in self.shared.rolls() {
            self.list(&roll_id(&roll)).await;
            self.read_roll(&roll_id(&roll)).await;
        }
    }

    fn freshness(&self) -> &'static str {
        if self.shared.stale_reads {
            "eventual"
        } else {
            "linearizable"
        }
    }

    fn choose_node(&mut self) -> usize {
        self.rng.between(0, self.http.len() as u64 - 1) as usize
    }

    /// The jobs listed, by name; their ids are remembered.
    fn learn(&self, roll: &Value, reply: &Reply) -> BTreeMap<JobName, Job> {
        let mut jobs = BTreeMap::new();
        for item in reply.body.as_array().into_iter().flatten() {
            let Some((name, job)) = listed_job(item) else {
                self.odd("a job that cannot be", reply);
                continue;
            };
            if jobs.insert(name, job).is_some() {
                self.odd("a job is there twice", reply);
            }
            self.know(name, &item["id"], roll);
        }
        jobs
    }

    fn know(&self, name: JobName, id: &Value, roll: &Value) {
        let mut farm = self.shared.farm();
        if farm.history.ids.insert((name, id.to_string())) {
            farm.jobs.push(KnownJob {
                name,
                id: id.clone(),
                roll: roll.to_string(),
            });
        }
    }

    /// Reads from a node; nothing unless it answers that the object is there or that it is not.
    async fn read(&mut self, node: usize, path: &str, freshness: &str) -> Option<(Reply, u64)> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = &self.shared.endpoints[node].url;
        let url = format!("{url}{path}{separator}consistency={freshness}");
        let invoked = self.shared.now();
        match self.send(self.http[node].get(url)).await {
            End::Answered(reply) if matches!(reply.status, 200 | 404) => Some((reply, invoked)),
            End::Answered(reply) => {
                self.odd("a read is refused", &reply);
                None
            }
            End::NotDone | End::Unknown => None,
        }
    }

    /// Writes through a node; with a key also through others, while the outcome is unknown. Gives
    /// the end and when it was first sent.
    async fn post(&mut self, path: &str, body: &Value, with_key: bool) -> (End, u64) {
        let key = with_key.then(|| new_idempotency_key().expect("randomness for a key"));
        let invoked = self.shared.now();
        let mut taken_perhaps = false;
        for _ in 0..if with_key { REPETITIONS } else { 1 } {
            let node = self.choose_node();
            let url = format!("{}{path}", self.shared.endpoints[node].url);
            let mut request = self.http[node].post(url);
            if !body.is_null() {
                request = request.json(body);
            }
            if let Some(key) = &key {
                request = request.header("Idempotency-Key", key);
            }
            match self.send(request).await {
                End::Answered(reply) => return (End::Answered(reply), invoked),
                End::NotDone => {}
                End::Unknown => taken_perhaps = true,
            }
        }
        let end = if taken_perhaps {
            End::Unknown
        } else {
            End::NotDone
        };
        (end, invoked)
    }

    async fn send(&self, request: RequestBuilder) -> End {
        match timeout(ANSWER_TIMEOUT, send(request)).await {
            Err(_) => End::Unknown,
            Ok(Err(error)) if error.is_connect() => End::NotDone,
            Ok(Err(_)) => End::Unknown,
            Ok(Ok(reply)) if reply.status == 503 => match reply.body["type"].as_str() {
                Some("/problems/outcome-unknown") => End::Unknown,
                Some(_) => End::NotDone,
                None => {
                    self.odd("a 503 without a type", &reply);
                    End::Unknown
                }
            },
            Ok(Ok(reply)) => End::Answered(reply),
        }
    }

    fn record(&self, roll: &Value, invoked: u64, known: bool, operation: Operation) {
        let call = Call {
            invoked,
            returned: known.then(|| self.shared.now()),
            operation,
        };
        let mut farm = self.shared.farm();
        let calls = farm.history.calls.entry(roll.to_string()).or_default();
        calls.push(call);
    }

    /// Notes the index of a write, and the job that it shows.
    fn note_write(&self, invoked: u64, reply: &Reply, expected: bool) {
        if !expected {
            self.odd("an answer that no rule gives", reply);
        }
        let source = match reply.header("idempotency-replayed") {
            "true" => Source::Repeated,
            _ => Source::Cluster,
        };
        let shows = listed_job(&reply.body).map_or(Shows::Index, |(job, shown)| Shows::Job {
            job,
            status: shown.status,
        });
        self.note(invoked, reply, source, shows);
    }

    fn note(&self, invoked: u64, reply: &Reply, source: Source, shows: Shows) {
        let Ok(index) = reply.header("x-raft3d-index").parse() else {
            return self.odd("no log index", reply);
        };
        let source = match source {
            // What is stale on purpose is left to the search for an order.
            Source::Cluster if self.shared.stale_reads => Source::Repeated,
            source => source,
        };
        let returned = self.shared.now();
        self.shared.farm().history.answers.push(Answer {
            invoked,
            returned,
            index,
            source,
            shows,
        });
    }

    fn odd(&self, what: &str, reply: &Reply) {
        let oddity = format!("{what}: {reply:?}");
        self.shared.farm().history.oddities.push(oddity);
    }
}

fn path_of(job: JobName) -> String {
    format!("job-{job}.gcode")
}

/// Name and state of a job as the API shows it.
fn listed_job(item: &Value) -> Option<(JobName, Job)> {
    let path = item["filepath"].as_str()?;
    let name = path.strip_prefix("job-")?.strip_suffix(".gcode")?;
    let job = Job {
        grams: item["print_weight_in_grams"].as_u64()?,
        status: Status::parse(item["status"].as_str()?)?,
    };
    Some((name.parse().ok()?, job))
}

fn shown_roll(roll: &Value, reply: &Reply) -> Shows {
    let grams = |field: &str| reply.body[field].as_u64();
    match (
        grams("remaining_weight_in_grams"),
        grams("available_weight_in_grams"),
        grams("total_weight_in_grams"),
    ) {
        (Some(remaining), Some(available), Some(total)) => Shows::Roll {
            roll: roll.to_string(),
            remaining,
            available,
            total,
        },
        _ => Shows::Index,
    }
}

/// The id of a roll from its text: all of them are numbers.
fn roll_id(text: &str) -> Value {
    serde_json::from_str(text).expect("an id as JSON showed it")
}

/// The number behind `words` in a problem's detail.
fn number_after(reply: &Reply, words: &str) -> Option<u64> {
    word_after(reply, words)?.parse().ok()
}

/// The status behind `words` in a problem's detail.
fn status_after(reply: &Reply, words: &str) -> Option<Status> {
    Status::parse(&word_after(reply, words)?)
}

fn word_after(reply: &Reply, words: &str) -> Option<String> {
    let detail = reply.body["detail"].as_str()?;
    let (_, behind) = detail.split_once(words)?;
    Some(behind.split_whitespace().next()?.to_owned())
}
