//! The data directory of one node: who may use it, and what must be in it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::error::StorageError;
use super::record::{self, Kind};

/// One node's data directory, locked for this process as long as this value lives.
///
/// | name | content |
/// |---|---|
/// | `LOCK` | locked while a process uses the directory |
/// | `identity` | the id of the node it belongs to; written last at the first start |
/// | `state` | term and vote |
/// | `config` | the last committed cluster configuration |
/// | `log/` | the log's files |
/// | `snapshots/` | one file per snapshot |
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the directory for node `node_id`; at the first start creates it, with
    /// `first_config` as the cluster configuration.
    ///
    /// A directory that is in use, belongs to another node, or lacks a part that a used
    /// directory always has is refused.
    pub fn open(path: &Path, node_id: i32, first_config: &[u8]) -> Result<DataDir, StorageError> {
        fs::create_dir_all(path).map_err(StorageError::io("create", path))?;
        let lock = lock(path)?;
        let dir = DataDir {
            path: path.to_path_buf(),
            _lock: lock,
        };
        // An earlier run may have been killed after a rename and before it was durable: what is
        // read below must not be gone after the next power failure.
        record::sync_dir(path)?;
        match record::read(&dir.identity_path(), Kind::Identity)? {
            Some(body) => dir.check_used(&body, node_id)?,
            None => dir.initialise(node_id, first_config)?,
        }
        Ok(dir)
    }

    /// Where the log's files are.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the snapshots are.
    pub fn snapshots_path(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The saved term and vote, in the core's encoding; empty if none was ever saved.
    pub fn load_state(&self) -> Result<Vec<u8>, StorageError> {
        let lost = "the node no longer knows its term and how it voted, and could vote twice";
        self.load("state", Kind::State, lost)
    }

    /// Saves term and vote; durable when it returns `Ok`.
    pub fn save_state(&self, state: &[u8]) -> Result<(), StorageError> {
        record::write(&self.path.join("state"), Kind::State, state)
    }

    /// The file of the cluster configuration.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config")
    }

    /// The saved cluster configuration, in the core's encoding.
    pub fn load_config(&self) -> Result<Vec<u8>, StorageError> {
        let lost = "the node no longer knows the members of its cluster";
        self.load("config", Kind::Config, lost)
    }

    /// Saves the cluster configuration; durable when it returns `Ok`.
    pub fn save_config(&self, config: &[u8]) -> Result<(), StorageError> {
        record::write(&self.config_path(), Kind::Config, config)
    }

    fn load(&self, name: &str, kind: Kind, lost: &'static str) -> Result<Vec<u8>, StorageError> {
        let path = self.path.join(name);
        record::read(&path, kind)?.ok_or(StorageError::Missing { path, lost })
    }

    fn check_used(&self, identity: &[u8], node_id: i32) -> Result<(), StorageError> {
        let Ok(found) = identity.try_into().map(i32::from_le_bytes) else {
            let reason = format!("it holds {} bytes in place of a node id", identity.len());
            return Err(StorageError::damaged(&self.identity_path(), reason));
        };
        if found != node_id {
            return Err(StorageError::OtherNode {
                dir: self.path.clone(),
                found,
                wanted: node_id,
            });
        }
        for (path, lost) in [
            (self.log_path(), "acknowledged entries are gone"),
            (
                self.snapshots_path(),
                "the state that the log continues from is gone",
            ),
        ] {
            if !path.is_dir() {
                return Err(StorageError::Missing { path, lost });
            }
        }
        self.load_state()?;
        self.load_config()?;
        Ok(())
    }

    /// Creates all parts, the identity last: with it the directory counts as used. Before that
    /// no entry and no vote can have been stored, so an interrupted attempt is simply repeated.
    fn initialise(&self, node_id: i32, first_config: &[u8]) -> Result<(), StorageError> {
        for dir in [self.log_path(), self.snapshots_path()] {
            let used = fs::read_dir(&dir).is_ok_and(|mut items| items.next().is_some());
            if used {
                return Err(StorageError::Missing {
                    path: self.identity_path(),
                    lost: "the node cannot tell whose data this is",
                });
            }
            fs::create_dir_all(&dir).map_err(StorageError::io("create", &dir))?;
        }
        self.save_config(first_config)?;
        self.save_state(&[])?;
        record::write(
            &self.identity_path(),
            Kind::Identity,
            &node_id.to_le_bytes(),
        )?;
        match self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(parent) => record::sync_dir(parent),
            None => Ok(()),
        }
    }

    fn identity_path(&self) -> PathBuf {
        self.path.join("identity")
    }
}

fn lock(dir: &Path) -> Result<File, StorageError> {
    let path = dir.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StorageError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::Locked {
            dir: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(e)) => Err(StorageError::io("lock", &path)(e)),
    }
}
