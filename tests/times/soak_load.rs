//! Clients that keep a cluster busy and leave it as it is.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::cluster_support::{JOBS, Reply, http_client, send, wait_until};
use crate::faults::rng::Rng;

/// Clients at a time.
const CLIENTS: u64 = 4;
/// Time between two requests of one client, at least.
const PACE: Duration = Duration::from_millis(10);
/// Jobs that there are.
const JOBS_COUNT: u64 = 200;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_500);

/// A running load.
pub struct SoakLoad {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

struct Shared {
    urls: Vec<String>,
    job: Value,
    ids: Vec<Value>,
    done: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
}

impl SoakLoad {
    /// Creates the jobs, like `job`, and sets the clients to work on the nodes at `urls`.
    pub async fn start(urls: Vec<String>, job: &Value, seed: u64) -> SoakLoad {
        let mut shared = Shared {
            urls,
            job: job.clone(),
            ids: Vec::new(),
            done: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
        };
        let http = http_client();
        for number in 0..JOBS_COUNT {
            let created = wait_until("a job is created", async || {
                let reply = send(shared.creation(&http, 0, number)).await.ok()?;
                (reply.status == 201).then(|| reply.body["id"].clone())
            });
            let id = created.await;
            shared.ids.push(id);
        }
        let shared = Arc::new(shared);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(Arc::clone(&shared).run(Rng::part(seed, 1 + number)));
        }
        SoakLoad { shared, clients }
    }

    /// Counts the requests that were answered for the cluster.
    pub fn done(&self) -> watch::Receiver<u64> {
        self.shared.done.subscribe()
    }

    /// Lets the clients end after what they are doing.
    pub async fn stop(self) {
        self.shared.stopped.send_replace(true);
        self.clients.join_all().await;
    }
}

impl Shared {
    async fn run(self: Arc<Shared>, mut rng: Rng) {
        // One for each client, so that each has connections of its own.
        let http = http_client();
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*self.stopped.borrow() {
            pace.tick().await;
            self.act(&http, &mut rng).await;
        }
    }

    async fn act(&self, http: &reqwest::Client, rng: &mut Rng) {
        let node = rng.between(0, self.urls.len() as u64 - 1) as usize;
        let number = rng.between(0, JOBS_COUNT - 1);
        let id = &self.ids[number as usize];
        let url = format!("{}{JOBS}/{id}", self.urls[node]);
        let (request, expected) = match rng.between(0, 9) {
            0..5 => (self.creation(http, node, number), 201),
            // Straight from queued to done, which is not allowed.
            5..8 => (http.post(format!("{url}/status?status=done")), 409),
            _ => (http.get(url), 200),
        };
        let Ok(Ok(reply)) = timeout(ANSWER_TIMEOUT, send(request)).await else {
            return;
        };
        if reply.status == 503 {
            return;
        }
        self.check(&reply, expected, id);
        self.done.send_modify(|done| *done += 1);
    }

    /// The job is what it was when it was created.
    fn check(&self, reply: &Reply, expected: u16, id: &Value) {
        assert_eq!(reply.status, expected, "{reply:#?}");
        if expected != 409 {
            assert_eq!(reply.body["id"], *id, "{reply:#?}");
            assert_eq!(reply.body["status"], json!("Queued"), "{reply:#?}");
        }
    }

    /// The request that creates job `number`, and once it is there only shows it.
    fn creation(
        &self,
        http: &reqwest::Client,
        node: usize,
        number: u64,
    ) -> reqwest::RequestBuilder {
        http.post(format!("{}{JOBS}", self.urls[node]))
            .json(&self.job)
            .header("Idempotency-Key", format!("soak-{number}"))
    }
}
