//! The farm as openraft's state machine, without snapshots.

use std::io;

use futures_util::{Stream, StreamExt};
use openraft::alias::SnapshotOf;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};

use raft3d::domain::state::State;

use super::store::index_in_log;
use super::types::{LogId, Outcome, SnapshotMeta, StoredMembership, Types};

/// The farm, and how far it has come.
#[derive(Default)]
pub struct Machine {
    state: State,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let index = index_in_log(entry.log_id.index);
            let outcome = match entry.payload {
                EntryPayload::Normal(command) => {
                    Outcome(self.state.apply_bytes(index, &command.0).encode())
                }
                EntryPayload::Membership(membership) => {
                    self.state.advance(index);
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Outcome::default()
                }
                EntryPayload::Blank => {
                    self.state.advance(index);
                    Outcome::default()
                }
            };
            self.applied = Some(entry.log_id);
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta, _: ()) -> io::Result<()> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, ()>>> {
        Ok(None)
    }
}

/// Makes none: no run is long enough to need one.
pub struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, ()>> {
        Err(no_snapshots())
    }
}

fn no_snapshots() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "there are no snapshots in the benchmark",
    )
}
