//! The driver "openraft": a Raft in Rust only, with the same state machine, the same log library and
//! the same conditions of transport.
//!
//! Where there was a choice, it was made for openraft:
//!
//! * It is a pre-release. The newest stable release, 0.9, waits for the disk after each entry and
//!   for a follower's answer before it sends the next entries; 0.10 does neither, and gathers the
//!   commands that wait into one write.
//! * Its servers share a runtime with a worker by processor, tokio's default and what its own
//!   benchmark does; each server of ours has threads of its own.
//! * The payload of a command is shared between the proposal, the log in memory, messages and the
//!   state machine, and copied nowhere.
//! * The state machine is used without the lock and the measurements that a node of ours has.
//! * The committed index is not saved, which openraft leaves to the program.
//! * What its own benchmark changes in the configuration is changed here too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::{BasicNode, Config, Raft, ServerState, SnapshotPolicy};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::run::{Meter, Run, propose_all};
use crate::setup::{Setup, payload};
use crate::support::nodes::{self, ELECTION_TIMEOUT_MS, HEARTBEAT_MS};

mod machine;
mod network;
mod store;
mod types;

use machine::Machine;
use network::Network;
use store::Store;
use types::{Command, Types};

/// One openraft server.
type Server = Raft<Types, Machine>;

const CONFIRMATION_POLL: Duration = Duration::from_millis(2);
const ELECTION_DEADLINE: Duration = Duration::from_secs(30);

/// One run in `dir`, which is empty.
pub fn run(setup: &Setup, dir: &Path) -> Run {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let servers = builder.enable_all().build().expect("a runtime");
    let cluster = servers.block_on(Cluster::start(setup, dir));
    let run = nodes::runtime().block_on(cluster.measure(setup));
    servers.block_on(cluster.shutdown());
    run
}

struct Cluster {
    /// The first one leads.
    servers: Vec<Server>,
    stores: Vec<Store>,
    /// Answers the servers' peers.
    listeners: JoinSet<()>,
}

impl Cluster {
    async fn start(setup: &Setup, dir: &Path) -> Cluster {
        let config = Arc::new(config());
        let mut cluster = Cluster {
            servers: Vec::new(),
            stores: Vec::new(),
            listeners: JoinSet::new(),
        };
        let mut members = BTreeMap::new();
        for id in setup.ids() {
            let store = Store::open(&dir.join(id.to_string()), id, setup.log);
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("a bound address");
            let (id, config, kept) = (u64::from(id), Arc::clone(&config), store.clone());
            let server = Server::new(id, config, Network, kept, Machine::default()).await;
            let server = server.expect("the server starts");
            let serve = network::serve(listener, server.clone());
            cluster.listeners.spawn(serve);
            members.insert(id, BasicNode::new(address));
            cluster.servers.push(server);
            cluster.stores.push(store);
        }
        let leader = &cluster.servers[0];
        leader.initialize(members).await.expect("a new cluster");
        let leads = leader.wait(Some(ELECTION_DEADLINE));
        let leads = leads.state(ServerState::Leader, "elected").await;
        leads.expect("the first server leads");
        // It takes commands only once the others have confirmed that it leads.
        while leader
            .client_write(Command(Bytes::from(payload())))
            .await
            .is_err()
        {
            tokio::time::sleep(CONFIRMATION_POLL).await;
        }
        cluster
    }

    async fn measure(&self, setup: &Setup) -> Run {
        let (leader, store) = (self.servers[0].clone(), &self.stores[0]);
        let command = Bytes::from(payload());
        let propose = move || {
            let (leader, command) = (leader.clone(), Command(command.clone()));
            async move {
                drop(
                    leader
                        .client_write(command)
                        .await
                        .expect("the leader commits"),
                )
            }
        };
        propose_all(&setup.warm_up(), propose.clone()).await;
        let (meter, syncs) = (Meter::start(), store.syncs());
        let latencies_ns = propose_all(setup, propose).await;
        meter.finish(latencies_ns, store.syncs() - syncs)
    }

    async fn shutdown(mut self) {
        for server in &self.servers {
            server.shutdown().await.expect("the server stops");
        }
        self.listeners.shutdown().await;
    }
}

/// The defaults, except for what the other drivers have too, what openraft's own benchmark sets, and
/// snapshots, which there are none of.
fn config() -> Config {
    let config = Config {
        election_timeout_min: ELECTION_TIMEOUT_MS.0.into(),
        election_timeout_max: ELECTION_TIMEOUT_MS.1.into(),
        heartbeat_interval: HEARTBEAT_MS.into(),
        max_payload_entries: 1024,
        purge_batch_size: 1024,
        snapshot_policy: SnapshotPolicy::Never,
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    };
    config.validate().expect("a valid configuration")
}
