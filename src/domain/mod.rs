//! The farm: its objects, its rules, and the state machine that keeps them.
//!
//! Pure and deterministic: no clock, no randomness, no I/O, no hash order. The same commands at
//! the same log indices give every replica the same outcomes and the same bytes.
//!
//! * [`id`], [`weight`], [`time`], [`model`]: the values and objects.
//! * [`command`]: what is written to the log; [`outcome`]: what applying it gives back.
//! * [`state`]: the farm and its queries, over `table`, `jobs` and `id_set`, which keep the objects so
//!   that no question needs a scan; `apply` and `changes` hold the rules that change them.
//! * [`events`]: what each command has changed; [`farm`]: the objects that events rebuild.
//! * [`settings`]: what the cluster as a whole is told.
//! * [`roster`], [`tokens`]: the cluster's nodes, and who may ask for what.
//! * [`trace`]: what a command carries beside all that, for those who watch.
//! * [`idempotency`]: the replicated memory of answers already given.
//! * [`snapshot`]: the whole state as canonical bytes, in checked `frames`; `farm_hash`: a hash of the
//!   objects alone.
//!
//! # Versions
//!
//! Commands, outcomes and snapshots each carry a version. A node must understand every version in
//! its log, and stops at a command that is newer: such a command is proposed only once all nodes
//! can read it (`docs/upgrading.md`). Golden files in `tests/golden` hold what older versions wrote.

mod apply;
mod changes;
mod codec;
pub mod command;
pub mod events;
pub mod farm;
mod farm_hash;
mod frames;
pub mod id;
mod id_set;
pub mod idempotency;
mod jobs;
pub mod model;
pub mod outcome;
pub mod roster;
pub mod settings;
pub mod snapshot;
pub mod state;
mod table;
pub mod time;
pub mod tokens;
pub mod trace;
pub mod weight;

pub use codec::DecodeError;
