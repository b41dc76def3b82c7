//! The replicated state machine: the farm's [`State`] as the consensus core drives it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::outcomes::Outcomes;
use crate::domain::roster::Roster;
use crate::domain::state::State;
use crate::storage::snapshot::{PieceReader, PieceWriter, Snapshot, SnapshotId};
use crate::storage::{SnapshotStore, StorageError};
use crate::telemetry;

/// A snapshot writes all objects of the state. So for each entry applied since the one before it may write
/// this many at most, on average, whatever the farm's size: its cost for each entry stays the same as the farm grows. In
/// return a node that starts replays entries of that share, which takes a fraction of the time that it takes to read the
/// objects from the snapshot.
const OBJECTS_PER_ENTRY: u64 = 8;
/// How much less often than others the thread that writes a snapshot gets a busy processor: commits wait
/// for it as little as possible, and it comes to its end all the same.
const WRITER_NICENESS: i32 = 10;

/// Applies committed entries to the state, and keeps its snapshots.
///
/// The core applies entries one at a time and in order; everything else may happen meanwhile, on
/// any thread.
pub struct Machine {
    /// Locked for the length of one apply or of an O(1) clone, never across I/O.
    state: Mutex<State>,
    applied: watch::Sender<u64>,
    outcomes: Outcomes,
    snapshots: Arc<SnapshotStore>,
    transfer: Mutex<Transfer>,
    writer: Mutex<Writer>,
    /// Index from which on the next snapshot is worth what it costs.
    next_snapshot: AtomicU64,
    node_id: i32,
    apply_seconds: Histogram,
    snapshot_seconds: Histogram,
}

/// The snapshot being received.
#[derive(Default)]
struct Transfer {
    incoming: Option<PieceWriter>,
    /// Received, checked and durable, but not yet the state.
    ready: Option<(SnapshotId, State)>,
}

/// The thread that writes a snapshot.
#[derive(Default)]
struct Writer {
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

/// Told once how the writing of a snapshot ended. May take the core's locks.
pub type SnapshotDone = Box<dyn FnOnce(bool) + Send>;

impl Machine {
    /// The machine of the node `node_id` that goes on from `state`, the one of the newest snapshot if
    /// there is one.
    pub fn new(node_id: i32, state: State, snapshots: SnapshotStore) -> Machine {
        Machine {
            applied: watch::Sender::new(state.applied_index()),
            outcomes: Outcomes::new(state.applied_index()),
            snapshots: Arc::new(snapshots),
            transfer: Mutex::default(),
            writer: Mutex::default(),
            next_snapshot: AtomicU64::new(next_snapshot(
                node_id,
                state.applied_index(),
                state.object_count(),
            )),
            node_id,
            state: Mutex::new(state),
            apply_seconds: telemetry::work(),
            snapshot_seconds: telemetry::waits(),
        }
    }

    /// Applies the command at `index` and returns the encoded outcome.
    pub fn commit(&self, index: u64, command: &[u8]) -> Vec<u8> {
        let began = Instant::now();
        let outcome = lock(&self.state).apply_bytes(index, command);
        self.apply_seconds.observe(began.elapsed().as_secs_f64());
        self.tell_applied(index);
        let outcome = outcome.encode();
        self.outcomes.note(index, Some(&outcome));
        outcome
    }

    /// Lets whoever waits know, and costs little while nobody does.
    fn tell_applied(&self, index: u64) {
        self.applied.send_if_modified(|applied| {
            *applied = index;
            // Who comes after this question finds the new index.
            self.applied.receiver_count() > 0
        });
    }

    /// Adds to `registry` how long applying and writing snapshots takes.
    pub fn register_metrics(&self, registry: &mut Registry) {
        registry.register(
            "apply_duration_seconds",
            "Applying one committed command to the state",
            self.apply_seconds.clone(),
        );
        registry.register(
            "snapshot_duration_seconds",
            "Writing a snapshot of the state, until it is durable; applying goes on meanwhile",
            self.snapshot_seconds.clone(),
        );
    }

    /// Notes that `index` holds nothing to apply.
    pub fn pass(&self, index: u64) {
        lock(&self.state).advance(index);
        self.tell_applied(index);
        self.outcomes.note(index, None);
    }

    /// The applied state, at O(1) cost.
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// The cluster's name and its nodes, as applied.
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(lock(&self.state).roster())
    }

    /// Follows the applied index.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// The outcomes of what is applied, for those who may ask for them later.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// What there is of snapshots.
    pub fn snapshots(&self) -> &Arc<SnapshotStore> {
        &self.snapshots
    }

    /// The newest durable snapshot and the core's description of it.
    pub fn newest_snapshot(&self) -> Option<(SnapshotId, Vec<u8>)> {
        self.snapshots.newest()
    }

    /// Whether enough was applied since the newest snapshot for another one.
    pub fn snapshot_due(&self) -> bool {
        *self.applied.borrow() >= self.next_snapshot.load(Ordering::Relaxed)
    }

    /// Notes that there is a snapshot of `state`.
    fn plan_after(&self, state: &State) {
        let next = next_snapshot(self.node_id, state.applied_index(), state.object_count());
        self.next_snapshot.store(next, Ordering::Relaxed);
    }

    /// Takes the present state for snapshot `id` and lets a thread write it. `done` is told when
    /// it is durable, or that it could not be written; in the latter case perhaps at once.
    pub fn start_snapshot(self: &Arc<Self>, id: SnapshotId, metadata: Vec<u8>, done: SnapshotDone) {
        let state = self.state();
        let mut writer = lock(&self.writer);
        if writer.stopped || state.applied_index() != id.index {
            drop(writer);
            tracing::warn!(
                index = id.index,
                applied = state.applied_index(),
                "no snapshot taken"
            );
            return done(false);
        }
        let machine = Arc::clone(self);
        let span = tracing::Span::current();
        let run = move || span.in_scope(|| done(machine.write_snapshot(id, &metadata, &state)));
        match thread::Builder::new()
            .name("raft3d-snapshot".into())
            .spawn(run)
        {
            // The one before has ended: the core asks for one snapshot at a time.
            Ok(thread) => writer.thread = Some(thread),
            Err(error) => tracing::error!(%error, "no thread to write a snapshot"),
        }
    }

    fn write_snapshot(&self, id: SnapshotId, metadata: &[u8], state: &State) -> bool {
        let began = Instant::now();
        // It is this thread's alone. Where it may not be changed, commits wait a little longer.
        let _ = rustix::process::nice(WRITER_NICENESS);
        let body = |mut sink: &mut dyn Write| state.write_snapshot(&mut sink);
        match self.snapshots.write(id, metadata, body) {
            Ok(()) => {
                self.snapshot_seconds.observe(began.elapsed().as_secs_f64());
                self.plan_after(state);
                tracing::info!(index = id.index, term = id.term, "snapshot written");
                true
            }
            Err(error) => {
                tracing::error!(%error, index = id.index, "cannot write a snapshot");
                false
            }
        }
    }

    /// Lets no new snapshot begin and waits for the one under way.
    pub fn stop_snapshots(&self) {
        let thread = {
            let mut writer = lock(&self.writer);
            writer.stopped = true;
            writer.thread.take()
        };
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes a snapshot panicked");
        }
    }

    /// Opens a snapshot for sending.
    pub fn open_snapshot(&self, id: SnapshotId) -> Result<PieceReader, StorageError> {
        self.snapshots.open_pieces(id)
    }

    /// Stores one piece of the snapshot `id` and returns the number of the piece wanted next: 0
    /// to begin again. The `last` piece makes the snapshot durable if it is intact.
    pub fn save_piece(
        &self,
        id: SnapshotId,
        piece: u64,
        bytes: &[u8],
        last: bool,
    ) -> Result<u64, StorageError> {
        let mut transfer = lock(&self.transfer);
        if piece == 0 {
            transfer.incoming = Some(self.snapshots.receive(id)?);
        }
        let Some(incoming) = transfer.incoming.as_mut().filter(|i| i.id() == id) else {
            return if last { Err(incomplete(id)) } else { Ok(0) };
        };
        if piece == incoming.next_piece() {
            incoming.write(bytes)?;
        }
        let next = incoming.next_piece();
        if last {
            if next != piece + 1 {
                return Err(incomplete(id));
            }
            if let Some(incoming) = transfer.incoming.take() {
                transfer.ready = Some((id, self.snapshots.install(incoming, decode)?));
            }
        }
        Ok(next)
    }

    /// Makes the received snapshot `id` the state. `false` if it was not received.
    pub fn apply_snapshot(&self, id: SnapshotId) -> bool {
        let ready = lock(&self.transfer).ready.take();
        match ready {
            Some((received, state)) if received == id => {
                self.plan_after(&state);
                *lock(&self.state) = state;
                self.tell_applied(id.index);
                self.outcomes.jump(id.index);
                true
            }
            _ => {
                tracing::error!(
                    index = id.index,
                    "asked to apply a snapshot that did not arrive"
                );
                false
            }
        }
    }
}

/// Index from which on the node `node_id` may take a snapshot again, after one of `objects` at `index`.
///
/// Nodes take turns, so that commits seldom wait for more than one that is busy with it: within a period, which
/// they agree on while their states are about as large, each has its own place. Ids in use are mostly next to
/// each other, and multiples of the golden ratio lie far apart for those.
fn next_snapshot(node_id: i32, index: u64, objects: u64) -> u64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let period = (objects / OBJECTS_PER_ENTRY).next_power_of_two();
    let place = (u128::from(GOLDEN.wrapping_mul(node_id as u64)) * u128::from(period)) >> 64;
    let earliest = index + period / 2;
    earliest + (place as u64).wrapping_sub(earliest) % period
}

/// Reads the state back from a snapshot.
pub fn decode(snapshot: &Snapshot) -> Result<State, String> {
    let state = State::read_snapshot(&mut snapshot.body.as_slice()).map_err(|e| e.to_string())?;
    if state.applied_index() != snapshot.id.index {
        return Err(format!(
            "it is named for index {} but holds the state at {}",
            snapshot.id.index,
            state.applied_index()
        ));
    }
    Ok(state)
}

fn incomplete(id: SnapshotId) -> StorageError {
    StorageError::Io {
        action: "complete",
        path: format!("snapshot {}-{}", id.index, id.term).into(),
        source: io::Error::other("its last piece came before the others"),
    }
}

/// A panic elsewhere leaves the data of these mutexes whole: each is replaced or advanced by one
/// step under the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Command, NewPrinter, Op};

    #[test]
    fn a_snapshot_writes_few_objects_for_each_entry_however_many_there_are() {
        for objects in [0, 1, 7, 80_000, 1_000_000, 5_000_000] {
            let mut index = 3;
            for _ in 0..100 {
                let next = next_snapshot(2, index, objects);
                assert!(next - index >= objects / OBJECTS_PER_ENTRY / 2, "{objects}");
                assert!(next - index <= objects / OBJECTS_PER_ENTRY * 3, "{objects}");
                index = next;
            }
            let average = (index - 3) / 100;
            assert!(average >= objects / OBJECTS_PER_ENTRY * 9 / 10, "{objects}");
        }
    }

    #[test]
    fn nodes_take_turns_in_taking_snapshots_wherever_they_begin() {
        let (objects, period) = (1_000_000, 131_072);
        let places = |nodes: i32| {
            let begun = (1..=nodes).zip((0..).step_by(12_345));
            let mut places: Vec<_> = begun
                .map(|(id, index)| next_snapshot(id, index, objects) % period)
                .collect();
            places.sort_unstable();
            places
        };
        for nodes in [2, 3, 5, 7] {
            let places = places(nodes);
            let first_again = places[0] + period;
            let around = places.iter().skip(1).chain([&first_again]);
            let nearest = around.zip(&places).map(|(next, place)| next - place).min();
            assert!(nearest >= Some(period / 16), "{nodes} nodes at {places:?}");
        }
    }

    /// `count` printers are in its state, at as many indexes.
    fn machine_with(count: u64, dir: &std::path::Path) -> Arc<Machine> {
        let snapshots = SnapshotStore::open(dir).unwrap();
        let machine = Machine::new(1, State::new(), snapshots);
        for index in 1..=count {
            let op = Op::CreatePrinter(NewPrinter {
                id: None,
                company: "any".into(),
                model: "any".into(),
            });
            let command = Command {
                stamped_at: std::time::SystemTime::UNIX_EPOCH.into(),
                actor: None,
                idempotency: None,
                op,
            };
            machine.commit(index, &command.encode());
        }
        Arc::new(machine)
    }

    #[test]
    fn a_snapshot_received_counts_as_one_taken() {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [sender, receiver] =
            [(64, &dirs[0]), (0, &dirs[1])].map(|(count, dir)| machine_with(count, dir.path()));
        let id = SnapshotId { index: 64, term: 1 };
        assert!(sender.snapshot_due());
        let (done, written) = std::sync::mpsc::channel();
        sender.start_snapshot(id, vec![1], Box::new(move |ok| done.send(ok).unwrap()));
        assert_eq!(written.recv(), Ok(true));
        assert!(!sender.snapshot_due());

        let (piece, last) = sender.open_snapshot(id).unwrap().read(0).unwrap();
        receiver.save_piece(id, 0, &piece, last).unwrap();
        assert!(receiver.apply_snapshot(id));
        assert!(!receiver.snapshot_due());
        sender.stop_snapshots();
    }
}
