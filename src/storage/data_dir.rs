//! The data directory of one node: who may use it, and what must be in it.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::StorageError;
use super::record::{self, Kind};
use super::standing::{Stage, Standing};
use crate::identity::{self, ClusterId, DirectoryId};

const IDENTITY: &str = "identity";
const STANDING: &str = "standing";

/// One node's data directory, locked for this process as long as this value lives.
///
/// | name | content |
/// |---|---|
/// | `LOCK` | locked while a process uses the directory |
/// | `identity` | the id of the node it belongs to, and its own; written last at the first start |
/// | `standing` | whether the node joins, is a member or was removed, and of which cluster |
/// | `state` | term and vote |
/// | `config` | the last committed cluster configuration |
/// | `log/` | the log's files |
/// | `snapshots/` | one file per snapshot |
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    id: DirectoryId,
    /// What the file says. Locked while it is replaced.
    standing: Mutex<Standing>,
    _lock: File,
}

/// What the directory of a new cluster's member begins with.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// The cluster's configuration, in the core's encoding.
    pub config: &'a [u8],
    /// Term and vote, in the core's encoding; empty for those before the first.
    pub state: &'a [u8],
    /// The cluster's name, if it has one already.
    pub cluster: Option<ClusterId>,
}

impl DataDir {
    /// Makes the directory of node `node_id`, as used as after a first start, with whatever `fill`
    /// puts into the directory for snapshots that it is given. Only a path where nothing is, or an
    /// empty directory, is taken. After an error no node starts from what is there.
    pub fn create(
        path: &Path,
        node_id: i32,
        beginning: Beginning<'_>,
        fill: impl FnOnce(&Path) -> Result<(), StorageError>,
    ) -> Result<DataDir, StorageError> {
        DataDir::require_empty(path)?;
        fs::create_dir_all(path).map_err(StorageError::io("create", path))?;
        let dir = DataDir {
            id: DirectoryId::random().map_err(StorageError::io("name", path))?,
            standing: Mutex::new(Standing {
                stage: Stage::Member,
                cluster: beginning.cluster,
            }),
            _lock: lock(path)?,
            path: path.to_path_buf(),
        };
        dir.initialise(node_id, beginning, fill)?;
        dir.check_used()?;
        Ok(dir)
    }

    /// Refuses a directory that has anything in it.
    pub fn require_empty(path: &Path) -> Result<(), StorageError> {
        let mut items = match fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            items => items.map_err(StorageError::io("list", path))?,
        };
        match items.next() {
            None => Ok(()),
            Some(_) => Err(StorageError::NotEmpty {
                dir: path.to_path_buf(),
            }),
        }
    }

    /// The node that the directory at `path` belongs to; `None` if it is not used.
    pub fn owner(path: &Path) -> Result<Option<i32>, StorageError> {
        let identity = path.join(IDENTITY);
        let Some(body) = record::read(&identity, Kind::Identity)? else {
            return Ok(None);
        };
        let (node_id, _) = decode_identity(&body)
            .ok_or_else(|| StorageError::damaged(&identity, "it names no node"))?;
        Ok(Some(node_id))
    }

    /// Locks the directory for node `node_id`; at the first start creates it, with
    /// `first_config` as the cluster configuration.
    ///
    /// A directory that is in use, belongs to another node, or lacks a part that a used
    /// directory always has is refused.
    pub fn open(path: &Path, node_id: i32, first_config: &[u8]) -> Result<DataDir, StorageError> {
        let first = Standing {
            stage: Stage::Member,
            cluster: None,
        };
        DataDir::open_or_create(path, node_id, first_config, first)
    }

    /// The same for a node that, if this is its first start, is to join `cluster`.
    pub fn open_joining(
        path: &Path,
        node_id: i32,
        first_config: &[u8],
        cluster: ClusterId,
    ) -> Result<DataDir, StorageError> {
        let first = Standing {
            stage: Stage::Joining,
            cluster: Some(cluster),
        };
        DataDir::open_or_create(path, node_id, first_config, first)
    }

    /// Whether a node has used the directory at `path`: the next start is not its first.
    pub fn is_used(path: &Path) -> bool {
        path.join(IDENTITY).exists()
    }

    fn open_or_create(
        path: &Path,
        node_id: i32,
        first_config: &[u8],
        first: Standing,
    ) -> Result<DataDir, StorageError> {
        fs::create_dir_all(path).map_err(StorageError::io("create", path))?;
        let lock = lock(path)?;
        // An earlier run may have been killed after a rename and before it was durable: what is
        // read below must not be gone after the next power failure.
        record::sync_dir(path)?;
        let identity = record::read(&path.join(IDENTITY), Kind::Identity)?;
        let used = identity.is_some();
        let known = match identity {
            Some(body) => check_owner(path, &body, node_id)?,
            None => None,
        };
        let id = match known {
            Some(id) => id,
            None => DirectoryId::random().map_err(StorageError::io("name", path))?,
        };
        let dir = DataDir {
            path: path.to_path_buf(),
            id,
            standing: Mutex::new(first),
            _lock: lock,
        };
        match (used, known) {
            (false, _) => {
                let beginning = Beginning {
                    config: first_config,
                    state: &[],
                    cluster: first.cluster,
                };
                dir.initialise(node_id, beginning, |_| Ok(()))?
            }
            // Written before directories had names.
            (true, None) => dir.write_identity(node_id)?,
            (true, Some(_)) => {}
        }
        dir.check_used()?;
        Ok(dir)
    }

    /// The name of this directory.
    pub fn id(&self) -> DirectoryId {
        self.id
    }

    /// How the node stands to its cluster.
    pub fn standing(&self) -> Standing {
        *self.lock_standing()
    }

    /// Saves that the node has become a member or was removed; durable when it returns `Ok`.
    pub fn set_stage(&self, stage: Stage) -> Result<(), StorageError> {
        self.change_standing(|standing| standing.stage = stage)
    }

    /// Saves which cluster the node belongs to; durable when it returns `Ok`.
    pub fn set_cluster(&self, cluster: ClusterId) -> Result<(), StorageError> {
        self.change_standing(|standing| standing.cluster = Some(cluster))
    }

    fn change_standing(&self, change: impl FnOnce(&mut Standing)) -> Result<(), StorageError> {
        let mut standing = self.lock_standing();
        let mut changed = *standing;
        change(&mut changed);
        if changed != *standing {
            record::write(&self.standing_path(), Kind::Standing, &changed.encode())?;
            *standing = changed;
        }
        Ok(())
    }

    /// A panic elsewhere leaves it whole: it is replaced by one step.
    fn lock_standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn check_used(&self) -> Result<(), StorageError> {
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
        let path = self.standing_path();
        let lost = "the node cannot tell whether it was removed from its cluster";
        let saved = self.load(STANDING, Kind::Standing, lost)?;
        *self.lock_standing() = Standing::decode(&saved)
            .ok_or_else(|| StorageError::damaged(&path, "it says nothing that is known"))?;
        Ok(())
    }

    /// Creates all parts, the identity last: with it the directory counts as used. Before that
    /// no entry and no vote can have been stored, so an interrupted attempt is simply repeated.
    fn initialise(
        &self,
        node_id: i32,
        beginning: Beginning<'_>,
        fill: impl FnOnce(&Path) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
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
        fill(&self.snapshots_path())?;
        self.save_config(beginning.config)?;
        self.save_state(beginning.state)?;
        self.write_identity(node_id)?;
        match self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(parent) => record::sync_dir(parent),
            None => Ok(()),
        }
    }

    /// Writes what names the directory and its node, the identity last.
    fn write_identity(&self, node_id: i32) -> Result<(), StorageError> {
        let standing = self.standing().encode();
        record::write(&self.standing_path(), Kind::Standing, &standing)?;
        let mut identity = node_id.to_le_bytes().to_vec();
        identity.extend(DirectoryId::bytes_of(Some(self.id)));
        record::write(&self.identity_path(), Kind::Identity, &identity)
    }

    fn identity_path(&self) -> PathBuf {
        self.path.join(IDENTITY)
    }

    fn standing_path(&self) -> PathBuf {
        self.path.join(STANDING)
    }
}

/// The name of a used directory that has one, if it belongs to `node_id`.
fn check_owner(
    dir: &Path,
    identity: &[u8],
    node_id: i32,
) -> Result<Option<DirectoryId>, StorageError> {
    let (found, id) = decode_identity(identity).ok_or_else(|| {
        let reason = format!("it holds {} bytes that name no node", identity.len());
        StorageError::damaged(&dir.join(IDENTITY), reason)
    })?;
    if found != node_id {
        return Err(StorageError::OtherNode {
            dir: dir.to_path_buf(),
            found,
            wanted: node_id,
        });
    }
    Ok(id)
}

fn decode_identity(bytes: &[u8]) -> Option<(i32, Option<DirectoryId>)> {
    let (node_id, id) = bytes.split_at_checked(size_of::<i32>())?;
    let node_id = i32::from_le_bytes(node_id.try_into().ok()?);
    let id = match id {
        [] => None,
        id => Some(DirectoryId::from_bytes(
            <[u8; identity::LEN]>::try_from(id).ok()?,
        )?),
    };
    Some((node_id, id))
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
