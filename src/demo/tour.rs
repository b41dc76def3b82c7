//! `raft3d demo --tour`: a cluster loses its leader, and nothing else.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::{Cluster, POLL_PAUSE};
use super::nodes::free_addresses;
use super::{DemoArgs, DemoError, ELECTION_PATIENCE, checked_layout};
use crate::client::api::{Answer, ClientError, Request, failure, new_idempotency_key};
use crate::client::output::{Column, FILAMENTS, Format, JOBS, NODES, render};
use crate::consensus::Status;
use crate::serve::stop_signal;

const PRINTERS_PATH: &str = "/api/v1/printers";
const FILAMENTS_PATH: &str = "/api/v1/filaments";
const JOBS_PATH: &str = "/api/v1/print_jobs";
const SNAPSHOTS_PATH: &str = "/api/v1/cluster/snapshots";

/// Nodes of a tour on system-chosen ports.
const NODES_BY_DEFAULT: usize = 3;
/// Starts on system-chosen ports before giving up: each may lose a port to somebody else.
const START_ATTEMPTS: usize = 5;
/// Longest wait for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(6);
/// Longest wait for anything that the cluster does by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the tour; an error if anything that it shows does not hold.
pub async fn run(exe: PathBuf, args: DemoArgs) -> Result<(), DemoError> {
    let own_dir = args.dir.is_none();
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("raft3d-tour-{}", std::process::id())),
    };
    let result = tokio::select! {
        result = run_in(exe, &args, &dir) => result,
        () = stop_signal() => Err(DemoError::CheckFailed("the tour runs to its end".into())),
    };
    if own_dir {
        // Nothing of it is needed any more; what cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&dir);
    }
    result
}

async fn run_in(exe: PathBuf, args: &DemoArgs, dir: &Path) -> Result<(), DemoError> {
    let mut tour = Tour::start(exe, args, dir).await?;
    tour.fill_the_farm().await?;
    tour.refuse_an_over_promise().await?;
    let dead = tour.kill_the_leader().await?;
    tour.show_that_nothing_is_lost().await?;
    tour.bring_back(dead).await?;
    tour.take_a_snapshot().await?;
    tour.finish().await
}

/// A tour under way.
struct Tour {
    cluster: Cluster,
    begun: Instant,
    steps: u32,
    printer: Value,
    filament: Value,
    /// Every job that was acknowledged, as it must be found from then on.
    jobs: Vec<Value>,
}

impl Tour {
    /// Starts the nodes and waits for their first leader.
    async fn start(exe: PathBuf, args: &DemoArgs, dir: &Path) -> Result<Tour, DemoError> {
        let begun = Instant::now();
        let addresses_given = args.http.is_some() && args.raft.is_some();
        let mut attempt = 1;
        let (cluster, leader) = loop {
            match start_cluster(&exe, args, dir).await {
                Ok(started) => break started,
                Err(DemoError::NodeEnded { .. } | DemoError::AddressesTaken(_))
                    if !addresses_given && args.dir.is_none() && attempt < START_ATTEMPTS =>
                {
                    // Somebody took a port between its choice and its use; other ports need
                    // another directory.
                    std::fs::remove_dir_all(dir).map_err(|error| DemoError::io(dir, error))?;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        let elapsed = begun.elapsed();
        let mut tour = Tour {
            cluster,
            begun,
            steps: 0,
            printer: Value::Null,
            filament: Value::Null,
            jobs: Vec::new(),
        };
        tour.step(format_args!("Three nodes start, in {}", dir.display()));
        for id in tour.cluster.running() {
            let spec = tour.cluster.spec(id);
            let line = format!(
                "node {id}: http://{}, Raft on {}",
                spec.http_addr, spec.raft_addr
            );
            tour.say(line);
        }
        tour.say(format_args!(
            "node {} was elected leader of term {}, {} ms after the start",
            leader.node_id,
            leader.term,
            elapsed.as_millis()
        ));
        Ok(tour)
    }

    /// Creates objects, each through another node.
    async fn fill_the_farm(&mut self) -> Result<(), DemoError> {
        self.step("A printer, a filament and three jobs, through every node in turn");
        let ids = self.cluster.running();
        let printer = json!({"company": "Prusa", "model": "MK4"});
        self.printer = self.create_through(ids[0], PRINTERS_PATH, &printer).await?;
        let filament = json!({"type": "PLA", "color": "red", "total_weight_in_grams": 1000});
        self.filament = self
            .create_through(ids[1], FILAMENTS_PATH, &filament)
            .await?;
        for (position, name) in ["vase", "gear", "cube"].into_iter().enumerate() {
            let id = ids[(position + 2) % ids.len()];
            let job = self.new_job(&format!("{name}.gcode"), 200);
            let job = self.create_through(id, JOBS_PATH, &job).await?;
            self.jobs.push(job);
        }
        self.advance_job(0, ids[1], "running").await?;
        self.advance_job(0, ids[2], "done").await?;
        self.check_everywhere("every node lists all of it").await?;
        let filament = self.filament_now().await?;
        self.check(
            filament["remaining_weight_in_grams"] == json!(800),
            "the finished job took its 200 g off the filament's 1000 g",
        )
    }

    /// Asks for more filament than is not promised yet.
    async fn refuse_an_over_promise(&mut self) -> Result<(), DemoError> {
        self.step("A job for 500 g, of 800 g on the roll of which 400 g are promised");
        let job = self.new_job("castle.gcode", 500);
        let answer = self
            .send_to(self.cluster.running()[0], JOBS_PATH, &job)
            .await?;
        self.say(answer.problem().replace('\n', "\n            "));
        self.check(
            answer.status == 422,
            "it is refused, and says what is available",
        )
    }

    /// Kills the leader with SIGKILL; gives its id.
    async fn kill_the_leader(&mut self) -> Result<i32, DemoError> {
        let old = self.cluster.wait_for_leader(PATIENCE).await?;
        let dead = old.node_id;
        self.step(format_args!("SIGKILL for the leader, node {dead}"));
        let dir = self.cluster.spec(dead).dir.clone();
        let job = self.new_job("lid.gcode", 100);
        // From before the kill, so that the time is not flattered.
        let killed = Instant::now();
        let node = self.cluster.node(dead);
        node.kill()
            .await
            .map_err(|error| DemoError::io(&dir, error))?;
        let (through, job) = self.first_accepted(&job).await?;
        let outage = killed.elapsed();
        self.jobs.push(job);
        self.say(format_args!(
            "the first write was accepted again {} ms after the kill, through node {through}",
            outage.as_millis()
        ));
        let new = self.cluster.wait_for_leader(PATIENCE).await?;
        self.say(format_args!(
            "node {} leads term {}; it was node {dead} in term {}",
            new.node_id, new.term, old.term
        ));
        self.check(
            new.node_id != dead && new.term > old.term,
            "another node leads, in a later term",
        )?;
        Ok(dead)
    }

    async fn show_that_nothing_is_lost(&mut self) -> Result<(), DemoError> {
        self.step("The survivors are asked for everything that was ever acknowledged");
        self.check_everywhere("nothing is lost, nothing is there twice")
            .await?;
        self.show(JOBS, &self.jobs.clone().into());
        Ok(())
    }

    /// Starts the dead node again and waits until it has all that the leader has.
    async fn bring_back(&mut self, dead: i32) -> Result<(), DemoError> {
        self.step(format_args!("Node {dead} starts again on its old data"));
        let restarted = Instant::now();
        self.cluster.restart(dead)?;
        let leader = self.cluster.wait_for_leader(PATIENCE).await?;
        let applied = self
            .wait_for_view(dead, |view| view.applied_index >= leader.applied_index)
            .await?;
        self.say(format_args!(
            "{} ms later it follows node {} and has applied index {}, the leader had applied {}",
            restarted.elapsed().as_millis(),
            leader.node_id,
            applied.applied_index,
            leader.applied_index
        ));
        self.check_everywhere("all nodes list the same again").await
    }

    async fn take_a_snapshot(&mut self) -> Result<(), DemoError> {
        self.step("A snapshot of the state, after which the log before it can go");
        let leader = self.cluster.wait_for_leader(PATIENCE).await?.node_id;
        let answer = self.send_to(leader, SNAPSHOTS_PATH, &Value::Null).await?;
        self.check(
            answer.status.is_success(),
            format_args!("node {leader} takes it"),
        )?;
        let view = self
            .wait_for_view(leader, |view| view.snapshot_index > 0)
            .await?;
        self.say(format_args!(
            "node {leader} has a snapshot up to index {}",
            view.snapshot_index
        ));
        Ok(())
    }

    /// Shows the end state and stops the nodes.
    async fn finish(mut self) -> Result<(), DemoError> {
        self.step("How it ends");
        let mut nodes = Vec::new();
        for view in self.cluster.views().await {
            let mut row = serde_json::to_value(&view).unwrap_or_default();
            row["endpoint"] = self.cluster.spec(view.node_id).http_addr.as_str().into();
            nodes.push(row);
        }
        self.show(NODES, &nodes.into());
        let filament = self.filament_now().await?;
        self.show(FILAMENTS, &filament);
        self.cluster.stop().await?;
        let seconds = self.begun.elapsed().as_secs_f64();
        println!("\nEverything held. All nodes are stopped; the tour took {seconds:.1} s.");
        Ok(())
    }

    fn new_job(&self, filepath: &str, grams: u64) -> Value {
        json!({
            "printer_id": self.printer["id"],
            "filament_id": self.filament["id"],
            "filepath": filepath,
            "print_weight_in_grams": grams,
        })
    }

    /// Moves the job at `position` on, through node `id`.
    async fn advance_job(
        &mut self,
        position: usize,
        id: i32,
        status: &str,
    ) -> Result<(), DemoError> {
        let job_id = id_text(&self.jobs[position]["id"]);
        let path = format!("{JOBS_PATH}/{job_id}/status");
        let job = self
            .send_to(id, &path, &json!({"status": status}))
            .await?
            .into_result()?;
        self.say(format_args!(
            "node {id}: job {job_id} is {}",
            id_text(&job["status"])
        ));
        self.jobs[position] = job;
        Ok(())
    }

    async fn create_through(&self, id: i32, path: &str, body: &Value) -> Result<Value, DemoError> {
        let begun = Instant::now();
        let object = self.send_to(id, path, body).await?.into_result()?;
        let kind = path
            .trim_start_matches("/api/v1/")
            .trim_end_matches('s')
            .replace('_', " ");
        self.say(format_args!(
            "node {id}: {kind} {} created in {:.1} ms",
            id_text(&object["id"]),
            begun.elapsed().as_secs_f64() * 1_000.0
        ));
        Ok(object)
    }

    /// Writes through one particular node, once.
    async fn send_to(&self, id: i32, path: &str, body: &Value) -> Result<Answer, DemoError> {
        let key = new_idempotency_key()?;
        let body = (!body.is_null()).then_some(body);
        self.send(id, &Request::post(path, body, &key)).await
    }

    async fn send(&self, id: i32, request: &Request<'_>) -> Result<Answer, DemoError> {
        let endpoint = self.cluster.origin(id);
        let answer = self
            .cluster
            .api()
            .send(&endpoint, request, ANSWER_PATIENCE)
            .await;
        answer.map_err(|error| ClientError::Other(format!("node {id}: {}", failure(&error))).into())
    }

    /// Repeats one write with one key, through the running nodes in turn, until one accepts it.
    async fn first_accepted(&self, job: &Value) -> Result<(i32, Value), DemoError> {
        let key = new_idempotency_key()?;
        let request = Request::post(JOBS_PATH, Some(job), &key);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for id in self.cluster.running() {
                match self.send(id, &request).await?.into_result() {
                    Ok(job) => return Ok((id, job)),
                    Err(ClientError::Refused(answer)) if answer.status == 503 => {}
                    Err(error) => return Err(error.into()),
                }
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
        Err(DemoError::CheckFailed(format!(
            "a write is accepted within {PATIENCE:?}"
        )))
    }

    /// Compares what every running node lists with what was acknowledged.
    async fn check_everywhere(&self, promise: &str) -> Result<(), DemoError> {
        for id in self.cluster.running() {
            let printers = self.list(id, PRINTERS_PATH).await?;
            let filaments = self.list(id, FILAMENTS_PATH).await?;
            let jobs = self.list(id, JOBS_PATH).await?;
            let complete =
                printers == [self.printer.clone()] && filaments.len() == 1 && jobs == self.jobs;
            if !complete {
                let jobs = Value::from(jobs);
                return Err(DemoError::CheckFailed(format!(
                    "{promise}; node {id} lists {jobs:#}"
                )));
            }
        }
        self.check(true, promise)
    }

    async fn list(&self, id: i32, path: &str) -> Result<Vec<Value>, DemoError> {
        match self
            .send(id, &Request::get(path, &[]))
            .await?
            .into_result()?
        {
            Value::Array(items) => Ok(items),
            other => Err(DemoError::CheckFailed(format!(
                "{path} is a list, not {other}"
            ))),
        }
    }

    async fn filament_now(&self) -> Result<Value, DemoError> {
        let path = format!("{FILAMENTS_PATH}/{}", id_text(&self.filament["id"]));
        Ok(self.cluster.api().call(&Request::get(&path, &[])).await?)
    }

    /// Waits until node `id`'s own view is as `wanted`.
    async fn wait_for_view(
        &self,
        id: i32,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status, DemoError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = self.cluster.view(id).await;
            match view {
                Some(view) if wanted(&view) => return Ok(view),
                view if Instant::now() >= deadline => {
                    let promise =
                        format!("node {id} gets there within {PATIENCE:?}; it is at {view:#?}");
                    return Err(DemoError::CheckFailed(promise));
                }
                _ => tokio::time::sleep(POLL_PAUSE).await,
            }
        }
    }

    fn step(&mut self, title: impl Display) {
        self.steps += 1;
        println!("\n{}. {title}", self.steps);
    }

    fn say(&self, line: impl Display) {
        println!("{:>9.3} s  {line}", self.begun.elapsed().as_secs_f64());
    }

    fn check(&self, held: bool, promise: impl Display) -> Result<(), DemoError> {
        if !held {
            return Err(DemoError::CheckFailed(promise.to_string()));
        }
        self.say(format_args!("ok: {promise}"));
        Ok(())
    }

    fn show(&self, columns: &[Column], value: &Value) {
        for line in render(Format::Table, columns, value).lines() {
            println!("             {line}");
        }
    }
}

/// Starts the nodes on the addresses given, or else on free ones, and waits for a leader.
async fn start_cluster(
    exe: &Path,
    args: &DemoArgs,
    dir: &Path,
) -> Result<(Cluster, Status), DemoError> {
    let count = args
        .http
        .as_ref()
        .or(args.raft.as_ref())
        .map_or(NODES_BY_DEFAULT, Vec::len);
    let free = free_addresses(2 * count).map_err(|error| DemoError::io(dir, error))?;
    let (free_http, free_raft) = free.split_at(count);
    let http = args.http.as_deref().unwrap_or(free_http);
    let raft = args.raft.as_deref().unwrap_or(free_raft);
    let mut cluster = Cluster::start(checked_layout(exe.to_owned(), dir, http, raft)?)?;
    let leader = cluster.wait_for_leader(ELECTION_PATIENCE).await?;
    Ok((cluster, leader))
}

/// An id, or any string, without JSON's quotes.
fn id_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
