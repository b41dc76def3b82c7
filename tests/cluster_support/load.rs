//! A client that begins writes at a steady rate, whatever becomes of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft3d::secret::Secret;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{JOBS, http_client, send};

/// How one write went.
#[derive(Debug, Clone)]
pub struct Write {
    /// When it was first sent.
    pub begun: Instant,
    /// When its outcome was known.
    pub ended: Instant,
    /// Acknowledged, or why not.
    pub outcome: Result<(), String>,
}

/// Jobs of one gram, created through all nodes in turn. A node that takes no connection is passed
/// over for the next, as any client would: nothing was sent to it.
pub struct Load {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    http: reqwest::Client,
    token: Option<Secret>,
    urls: Vec<String>,
    job: Value,
    keys: Option<String>,
    writes: Mutex<Vec<Write>>,
    acknowledged: watch::Sender<usize>,
}

impl Load {
    /// Begins a write every `pace` on the nodes at `urls`. With `keys` each has an
    /// `Idempotency-Key` that starts with it, and may be repeated by the node that takes it.
    pub fn start(urls: Vec<String>, job: Value, pace: Duration, keys: Option<String>) -> Load {
        Load::of(http_client(), None, urls, job, pace, keys)
    }

    /// The same, through a client that believes the nodes and with a token that they demand.
    pub fn of(
        http: reqwest::Client,
        token: Option<Secret>,
        urls: Vec<String>,
        job: Value,
        pace: Duration,
        keys: Option<String>,
    ) -> Load {
        let shared = Arc::new(Shared {
            http,
            token,
            urls,
            job,
            keys,
            writes: Mutex::default(),
            acknowledged: watch::Sender::new(0),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Arc::clone(&shared).run(pace, stopped));
        Load { shared, stop, task }
    }

    /// Waits until `count` more writes are acknowledged.
    pub async fn more(&self, count: usize) {
        let mut acknowledged = self.shared.acknowledged.subscribe();
        let wanted = *acknowledged.borrow() + count;
        let enough = acknowledged.wait_for(|now| *now >= wanted);
        let enough = tokio::time::timeout(super::PATIENCE, enough).await;
        let failed = self.failed();
        assert!(
            enough.is_ok(),
            "not within {:?}: {count} more writes; the last that failed: {:?}",
            super::PATIENCE,
            failed.last()
        );
    }

    /// What has ended so far, by the time of its end.
    pub fn writes(&self) -> Vec<Write> {
        self.shared.writes().clone()
    }

    /// Those that were not acknowledged.
    pub fn failed(&self) -> Vec<Write> {
        let mut writes = self.writes();
        writes.retain(|write| write.outcome.is_err());
        writes
    }

    /// When the first write was acknowledged that had begun at `since` or later.
    pub fn first_acknowledged(&self, since: Instant) -> Option<Instant> {
        let writes = self.shared.writes();
        let mut new = writes.iter().filter(|write| write.begun >= since);
        Some(new.find(|write| write.outcome.is_ok())?.ended)
    }

    /// The longest time without an acknowledgement since `since`.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        let writes = self.shared.writes();
        let good = writes.iter().filter(|write| write.outcome.is_ok());
        let times: Vec<Instant> = good.map(|write| write.ended).collect();
        let gaps = times.windows(2).filter(|pair| pair[1] >= since);
        let gaps = gaps.map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }

    /// Begins no more writes, waits for the end of those under way, and gives all of them.
    pub async fn stop(self) -> Vec<Write> {
        self.stop.send_replace(true);
        self.task.await.expect("the load does not panic");
        std::mem::take(&mut self.shared.writes())
    }
}

impl Shared {
    async fn run(self: Arc<Shared>, pace: Duration, mut stopped: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        let mut pace = interval(pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in 0.. {
            tokio::select! {
                _ = pace.tick() => {}
                // An error means that nobody is there to look at the result.
                _ = stopped.changed() => break,
            }
            under_way.spawn(Arc::clone(&self).write(number));
            while under_way.try_join_next().is_some() {}
        }
        under_way.join_all().await;
    }

    async fn write(self: Arc<Shared>, number: usize) {
        let begun = Instant::now();
        let mut outcome = Err("no node takes a connection".to_owned());
        for turn in 0..self.urls.len() {
            let url = &self.urls[(number + turn) % self.urls.len()];
            let mut request = self.http.post(format!("{url}{JOBS}")).json(&self.job);
            if let Some(token) = &self.token {
                request = request.bearer_auth(token.reveal());
            }
            if let Some(start) = &self.keys {
                request = request.header("Idempotency-Key", format!("{start}-{number}"));
            }
            outcome = match send(request).await {
                Ok(reply) if reply.status == 201 => Ok(()),
                Ok(reply) => Err(format!("{url}: {reply:?}")),
                Err(error) if error.is_connect() => continue,
                Err(error) => Err(format!("{url}: {error:?}")),
            };
            break;
        }
        let acknowledged = outcome.is_ok();
        {
            let mut writes = self.writes();
            let ended = Instant::now();
            writes.push(Write {
                begun,
                ended,
                outcome,
            });
        }
        if acknowledged {
            self.acknowledged.send_modify(|count| *count += 1);
        }
    }

    fn writes(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
