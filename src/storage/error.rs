//! What can go wrong with a node's data directory.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What to do with a data directory that cannot be used any more. A copy of an earlier day would be
/// as dangerous as an empty directory: both have forgotten votes and acknowledged entries.
const ADVICE: &str = "Once all other nodes are up and caught up, remove this node from the \
                      cluster (raft3d cluster remove), move the whole data directory away and let \
                      the node join again (raft3d serve --join): it gets everything from them. \
                      Not otherwise: without its data the node no longer knows what it \
                      acknowledged and how it voted, and acknowledged writes could be lost";

/// Why a data directory could not be opened, read or written.
#[derive(Debug, Error)]
pub enum StorageError {
    /// An operation of the file system failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: "create", "sync".
        action: &'static str,
        /// The file or directory it was attempted on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the directory's lock.
    #[error(
        "data directory {} is in use by another process, which holds its LOCK file: stop that \
         process, or give this node a directory of its own",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The directory was written by a node with another id.
    #[error(
        "data directory {} belongs to node {found}, not to node {wanted}: start node {found} \
         with it, or give node {wanted} another directory",
        dir.display()
    )]
    OtherNode {
        /// The data directory.
        dir: PathBuf,
        /// The id recorded in it.
        found: i32,
        /// The id of the node that was to use it.
        wanted: i32,
    },
    /// A directory that is to be filled has something in it.
    #[error(
        "{} is not empty: give a directory that is, or a path where there is none. Nothing was \
         changed",
        dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// A file's bytes are not what this program wrote.
    #[error(
        "{} is damaged: {reason}. Nothing was changed. {ADVICE}",
        path.display()
    )]
    Damaged {
        /// The damaged file or directory.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The log ends before what was durable in it. What is left of a torn last record is cut off.
    #[error("{} is damaged: it has lost its end: {reason}. {ADVICE}", path.display())]
    LostEnd {
        /// The directory of the log.
        path: PathBuf,
        /// Where it ends and where it ended.
        reason: String,
    },
    /// A file that a used data directory always has is not there.
    #[error(
        "{} is missing from a data directory that is in use; without it {lost}. Nothing was changed. {ADVICE}",
        path.display()
    )]
    Missing {
        /// The missing file.
        path: PathBuf,
        /// What the node no longer knows.
        lost: &'static str,
    },
}

impl StorageError {
    /// An [`StorageError::Io`] builder for `map_err`.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> StorageError + 'a {
        move |source| StorageError::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// A [`StorageError::Damaged`] about `path`.
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> StorageError {
        StorageError::Damaged {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}
