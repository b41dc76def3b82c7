//! Backups: the whole replicated state in one file that can tell whether it is intact.
//!
//! * [`mod@format`]: how a state becomes a backup and comes back, in bounded memory on the way out.
//! * [`restore`]: a new cluster from a backup.
//! * [`recover`]: a new cluster from what one node of a lost one still has.
//!
//! `docs/backup.md` is for whoever has to use them.

pub mod format;
pub mod recover;
pub mod restore;

pub use format::{BackupError, Manifest, Reader};
