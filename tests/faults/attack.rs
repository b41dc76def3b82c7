//! Does faults to the nodes, drawn from the run's seed, and undoes them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::disk::Control;
use super::fault::{Draw, Fault, Tally};
use super::network::Network;
use super::nodes::{Endpoint, Nodes};
use super::rng::Rng;
use crate::cluster_support::{http_client, send, wait_until};

/// Requests after which the next fault follows, at least and at most.
const REQUESTS_BETWEEN: (u64, u64) = (10, 400);
/// And how long that may take at most: clients that get no answers are slow.
const TIME_BETWEEN_MS: (u64, u64) = (150, 2_500);

/// Draws faults, and does and undoes them.
pub struct Attack<'a> {
    pub network: &'a Network,
    pub nodes: &'a mut Nodes,
    pub rng: Rng,
    /// The faults to draw from, with weights.
    pub faults: &'a [(u64, Draw)],
    /// Nodes that are to be removed and to join again; that is done by [`Attack::heal`].
    pub leaving: BTreeSet<u8>,
    /// What was done, in words, for whoever has to understand a violation.
    pub log: Vec<String>,
    pub tally: Tally,
}

impl Drop for Attack<'_> {
    /// Says what was done, and what the nodes said, if that ended in a panic.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("What was done:\n{}", self.log.join("\n"));
            for id in self.nodes.ids() {
                eprintln!("--- log of node {id} ends:\n{}", self.nodes.log_tail(id));
            }
        }
    }
}

impl Attack<'_> {
    /// Waits for the nodes, then does `count` faults, each once the clients have gone on for a
    /// while. In between, and at the end, everything is made good again; the error is why a node
    /// did not come back.
    pub async fn run(
        &mut self,
        count: usize,
        mut done: watch::Receiver<u64>,
    ) -> Result<(), String> {
        self.wait_until_up().await?;
        for _ in 0..count {
            self.wait_for_requests(&mut done).await;
            let fault = self.draw();
            self.log
                .push(format!("after {} requests: {fault:?}", *done.borrow()));
            self.inflict(&fault).await;
            if self.rng.percent(60) {
                self.wait_for_requests(&mut done).await;
                self.heal().await?;
            }
        }
        self.wait_for_requests(&mut done).await;
        self.heal().await
    }

    async fn wait_for_requests(&mut self, done: &mut watch::Receiver<u64>) {
        let target = *done.borrow() + self.rng.between(REQUESTS_BETWEEN.0, REQUESTS_BETWEEN.1);
        let time = self.rng.between(TIME_BETWEEN_MS.0, TIME_BETWEEN_MS.1);
        // Either will do: the clients have had the occasion to notice the fault.
        let _ = timeout(
            Duration::from_millis(time),
            done.wait_for(|done| *done >= target),
        )
        .await;
    }

    fn draw(&mut self) -> Fault {
        let total = self.faults.iter().map(|(weight, _)| weight).sum::<u64>();
        let mut left = self.rng.between(0, total - 1);
        for (weight, draw) in self.faults {
            if left < *weight {
                return draw(&mut self.rng, &self.nodes.ids());
            }
            left -= weight;
        }
        unreachable!("what is left is below the sum of all weights")
    }

    async fn inflict(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill(id) => self.kill(*id).await,
            Fault::KillAll => {
                for id in self.nodes.ids() {
                    self.kill(id).await;
                }
            }
            Fault::PowerLoss(id) => self.lose_power(*id).await,
            Fault::PowerLossEverywhere => {
                for id in self.nodes.ids() {
                    self.nodes.kill(id).await;
                }
                for id in self.nodes.ids() {
                    self.lose_power(id).await;
                }
            }
            Fault::Pause(id) => {
                self.nodes.pause(*id);
                self.tally.add("pauses", 1);
            }
            Fault::Snapshot(id) => self.ask_for_snapshot(*id).await,
            Fault::Replace(id) => {
                self.leaving.insert(*id);
                // Removed now or later: whichever, in the middle of other faults.
                let _ = timeout(Duration::from_secs(1), self.remove(*id)).await;
                self.tally.add("replacements", 1);
            }
            Fault::FailingWrites(..)
            | Fault::FailingSyncs(_)
            | Fault::SlowDisk(..)
            | Fault::Clock(..) => self.spoil_machine(fault),
            _ => self.spoil_network(fault).await,
        }
    }

    fn spoil_machine(&mut self, fault: &Fault) {
        match fault {
            Fault::FailingWrites(id, errno) => {
                self.nodes.disk(*id).set(Control::WriteErrno, *errno);
                self.tally.add("failing writes", 1);
            }
            Fault::FailingSyncs(id) => {
                self.nodes.disk(*id).set(Control::SyncErrno, libc::EIO);
                self.tally.add("failing syncs", 1);
            }
            Fault::SlowDisk(id, ms) => {
                self.nodes.disk(*id).set(Control::SyncDelayMs, *ms);
                self.tally.add("slow disks", 1);
            }
            Fault::Clock(id, ms) => {
                self.nodes.disk(*id).step_clock(*ms);
                self.tally.add("clock steps", 1);
            }
            other => unreachable!("{other:?} is not of the machine"),
        }
    }

    async fn spoil_network(&mut self, fault: &Fault) {
        self.tally.add(
            match fault {
                Fault::BadNetwork(_) => "bad networks",
                _ => "partitions",
            },
            1,
        );
        match fault {
            Fault::Split(group) => {
                let inside = |id| group.contains(&id);
                self.network.cut_where(|a, b| inside(a) != inside(b));
            }
            Fault::LeaderAlone => {
                let leader = self.leader().await;
                self.network.cut_where(|a, b| a == leader || b == leader);
            }
            Fault::Bridge(group, bridge) => {
                let inside = |id| group.contains(&id);
                let apart = |a, b| a != *bridge && b != *bridge && inside(a) != inside(b);
                self.network.cut_where(apart);
            }
            Fault::OneWay(from, to) => self.network.cut_where(|a, b| a == *from && b == *to),
            Fault::Deaf(id) => self.network.cut_where(|_, b| b == *id),
            Fault::Mute(id) => self.network.cut_where(|a, _| a == *id),
            Fault::BadNetwork(link) => self.network.set_all(*link),
            other => unreachable!("{other:?} is not of the network"),
        }
    }

    async fn kill(&mut self, id: u8) {
        self.nodes.kill(id).await;
        self.tally.add("kills", 1);
    }

    async fn lose_power(&mut self, id: u8) {
        let loss = self.nodes.lose_power(id, &mut self.rng).await;
        self.tally.add("power losses", 1);
        self.tally
            .add("unsynced changes at power loss", loss.unsynced as u64);
        self.tally
            .add("unsynced changes lost or torn", loss.lost as u64);
    }

    async fn ask_for_snapshot(&mut self, id: u8) {
        let url = &self.nodes.endpoints()[usize::from(id) - 1].url;
        let request = http_client().post(format!("{url}/api/v1/cluster/snapshots"));
        // Refused or not: one that is not needed is no fault.
        let _ = timeout(Duration::from_secs(1), send(request)).await;
        self.tally.add("snapshots asked for", 1);
    }

    /// Asks the other nodes, one after the other, to remove node `id`; whether it is no member.
    async fn remove(&self, id: u8) -> bool {
        let http = http_client();
        for endpoint in self.nodes.endpoints() {
            if endpoint.id == id {
                continue;
            }
            let url = format!("{}/api/v1/cluster/members/{id}", endpoint.url);
            let reply = timeout(Duration::from_secs(4), send(http.delete(url))).await;
            if let Ok(Ok(reply)) = reply
                && matches!(reply.status, 200 | 404)
            {
                return true;
            }
        }
        false
    }

    /// Completes what replaces nodes, one after the other, as an operator would.
    async fn replace_leaving(&mut self) -> Result<(), String> {
        while let Some(id) = self.leaving.first().copied() {
            wait_until("a node is removed", async || {
                self.remove(id).await.then_some(())
            })
            .await;
            self.nodes.replace(id).await;
            self.leaving.remove(&id);
            self.nodes.start(id).await;
            self.log.push(format!("  replaced {id}"));
            self.wait_until_up().await?;
        }
        Ok(())
    }

    /// The leader as any node knows it, or else just a node.
    async fn leader(&mut self) -> u8 {
        for endpoint in self.nodes.endpoints() {
            let request = http_client().get(format!("{}/api/v1/cluster", endpoint.url));
            if let Ok(Ok(reply)) = timeout(Duration::from_millis(300), send(request)).await
                && let Some(leader) = reply.body["leader"].as_u64()
            {
                return leader as u8;
            }
        }
        *self.rng.pick(&self.nodes.ids())
    }

    /// Ends all faults and starts every node that has ended. A node may have ended by itself only
    /// because of its disk; that it comes back is left to [`Attack::wait_until_up`].
    async fn heal(&mut self) -> Result<(), String> {
        self.network.heal();
        for id in self.nodes.ids() {
            let failures = self.nodes.disk(id).failures();
            self.nodes.disk(id).repair();
            self.nodes.resume(id);
            if !self.nodes.is_running(id) {
                self.nodes.start(id).await;
                self.tally.add("restarts", 1);
            }
            self.log.push(format!(
                "  healed {id}, whose disk failed {failures} times so far"
            ));
        }
        self.wait_until_up().await?;
        self.replace_leaving().await
    }

    /// Waits until every node answers, except those that leave; the error is the log of one that ended in place of that.
    async fn wait_until_up(&mut self) -> Result<(), String> {
        let http = http_client();
        for endpoint in self.nodes.endpoints() {
            if self.leaving.contains(&endpoint.id) {
                continue;
            }
            let url = format!("{}/healthz", endpoint.url);
            wait_until("a started node answers", async || {
                let up = timeout(Duration::from_secs(1), send(http.get(&url))).await;
                if !self.nodes.is_running(endpoint.id) {
                    let tail = self.nodes.log_tail(endpoint.id);
                    // What failed before the disk was repaired may end a node only now.
                    if !tail.contains("cannot go on") {
                        let id = endpoint.id;
                        return Some(Err(format!("node {id} does not start again:\n{tail}")));
                    }
                    self.nodes.start(endpoint.id).await;
                }
                if self.has_failed(&endpoint, &http).await {
                    // It waits to be started again, as whoever watches over it would do.
                    self.nodes.kill(endpoint.id).await;
                    self.nodes.start(endpoint.id).await;
                    self.tally.add("restarts", 1);
                    return None;
                }
                matches!(up, Ok(Ok(reply)) if reply.status == 200).then_some(Ok(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Whether a running node says that its disk failed and it has left the cluster.
    async fn has_failed(&self, endpoint: &Endpoint, http: &reqwest::Client) -> bool {
        let ready = send(http.get(format!("{}/readyz", endpoint.url)));
        matches!(
            timeout(Duration::from_secs(1), ready).await,
            Ok(Ok(reply)) if reply.body["type"] == "/problems/node-failed"
        )
    }
}
