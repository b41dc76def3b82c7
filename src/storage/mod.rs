//! What a node keeps on disk.
//!
//! * [`data_dir`]: the directory, its lock and owner, term and vote, configuration.
//! * [`log`]: the log, over a [`medium`]; the one on disk uses the `raft-log` library.
//! * [`snapshot`]: snapshots of the state machine.
//!
//! Nothing here knows of the consensus core or of the farm: entries, term and vote, configuration
//! and snapshots are bytes. `docs/storage.md` has the reasons and the failure cases.

pub mod data_dir;
mod disk;
pub mod entry;
pub mod error;
pub mod log;
mod mark;
pub mod medium;
mod progress;
mod record;
pub mod snapshot;
pub mod standing;

pub use data_dir::DataDir;
pub use entry::Entry;
pub use error::StorageError;
pub use log::Log;
pub use snapshot::SnapshotStore;
pub use standing::{Stage, Standing};
