//! The data directory: whose it is, what may be missing, and what a restart finds.

use std::fs;

use raft3d::identity::ClusterId;
use raft3d::storage::{DataDir, Stage, Standing, StorageError};

use crate::support::flip_last_byte;

#[test]
fn the_first_start_makes_a_directory_that_later_starts_accept() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data/node1");
    let dir = DataDir::open(&path, 1, b"three members").unwrap();
    assert_eq!(dir.load_state().unwrap(), b"");
    assert_eq!(dir.load_config().unwrap(), b"three members");
    dir.save_state(b"term 4").unwrap();
    dir.save_config(b"four members").unwrap();
    drop(dir);

    let dir = DataDir::open(&path, 1, b"other members").unwrap();
    assert_eq!(dir.load_state().unwrap(), b"term 4");
    assert_eq!(
        dir.load_config().unwrap(),
        b"four members",
        "what was saved wins"
    );
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let first = DataDir::open(root.path(), 1, b"").unwrap();
    let error = DataDir::open(root.path(), 1, b"").unwrap_err().to_string();
    assert!(error.contains(root.path().to_str().unwrap()), "{error}");
    assert!(error.contains("in use by another process"), "{error}");
    drop(first);
    DataDir::open(root.path(), 1, b"").unwrap();
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(DataDir::open(root.path(), 1, b"").unwrap());
    let error = DataDir::open(root.path(), 2, b"").unwrap_err().to_string();
    assert!(
        error.contains("belongs to node 1, not to node 2"),
        "{error}"
    );
}

#[test]
fn nothing_a_used_directory_has_may_be_missing() {
    for name in ["state", "config", "standing", "log", "snapshots"] {
        let root = tempfile::tempdir().unwrap();
        drop(DataDir::open(root.path(), 1, b"").unwrap());
        let path = root.path().join(name);
        if path.is_dir() {
            fs::remove_dir(&path)
        } else {
            fs::remove_file(&path)
        }
        .unwrap();
        match DataDir::open(root.path(), 1, b"") {
            Err(StorageError::Missing { path: missing, .. }) => assert_eq!(missing, path),
            other => panic!("without {name}: {other:?}"),
        }
    }
    let root = tempfile::tempdir().unwrap();
    drop(DataDir::open(root.path(), 1, b"").unwrap());
    fs::write(root.path().join("log/r-1.wal"), b"entries").unwrap();
    fs::remove_file(root.path().join("identity")).unwrap();
    assert!(matches!(
        DataDir::open(root.path(), 1, b""),
        Err(StorageError::Missing { .. })
    ));
}

#[test]
fn an_interrupted_first_start_is_repeated() {
    let root = tempfile::tempdir().unwrap();
    drop(DataDir::open(root.path(), 1, b"old flags").unwrap());
    fs::remove_file(root.path().join("identity")).unwrap();
    let dir = DataDir::open(root.path(), 2, b"new flags").unwrap();
    assert_eq!(dir.load_config().unwrap(), b"new flags");
}

#[test]
fn a_directory_keeps_its_name_and_a_new_one_has_another() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    let name = DataDir::open(&path, 1, b"").unwrap().id();
    assert_eq!(DataDir::open(&path, 1, b"").unwrap().id(), name);
    let other = DataDir::open(&root.path().join("b"), 1, b"").unwrap().id();
    assert_ne!(other, name);
}

#[test]
fn the_standing_is_remembered() {
    let cluster = ClusterId::random().unwrap();
    let root = tempfile::tempdir().unwrap();
    let (founder, joiner) = (root.path().join("a"), root.path().join("b"));

    let dir = DataDir::open(&founder, 1, b"").unwrap();
    let first = Standing {
        stage: Stage::Member,
        cluster: None,
    };
    assert_eq!(dir.standing(), first);
    dir.set_cluster(cluster).unwrap();
    drop(dir);
    let named = Some(cluster);
    let dir = DataDir::open(&founder, 1, b"").unwrap();
    assert_eq!(dir.standing().cluster, named);

    let dir = DataDir::open_joining(&joiner, 2, b"", cluster).unwrap();
    let stages = [Stage::Joining, Stage::Member, Stage::Removed];
    assert_eq!(dir.standing().stage, Stage::Joining);
    drop(dir);
    for stage in stages {
        let dir = DataDir::open(&joiner, 2, b"").unwrap();
        dir.set_stage(stage).unwrap();
        drop(dir);
        let other = ClusterId::random().unwrap();
        let dir = DataDir::open_joining(&joiner, 2, b"", other).unwrap();
        let cluster = named;
        assert_eq!(dir.standing(), Standing { stage, cluster });
    }
}

#[test]
fn a_directory_from_before_directories_had_names_gets_one() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path(), 7, b"three members").unwrap();
    dir.save_state(b"term 4").unwrap();
    drop(dir);
    fs::remove_file(root.path().join("standing")).unwrap();
    // As `record.rs` describes it: magic, version, length of the body, CRC-32, node id.
    let mut bytes = b"R3DI\x01\0\0\0\x04\0\0\0".to_vec();
    let node_id = 7_i32.to_le_bytes();
    let checksum = crc32fast::hash(&[&bytes[..], &node_id].concat());
    bytes.extend(checksum.to_le_bytes());
    bytes.extend(node_id);
    fs::write(root.path().join("identity"), bytes).unwrap();

    let dir = DataDir::open(root.path(), 7, b"").unwrap();
    assert_eq!(dir.load_state().unwrap(), b"term 4");
    assert_eq!(dir.standing().stage, Stage::Member);
    let name = dir.id();
    drop(dir);
    assert_eq!(DataDir::open(root.path(), 7, b"").unwrap().id(), name);
}

#[test]
fn damaged_term_and_vote_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path(), 1, b"").unwrap();
    dir.save_state(b"term 4").unwrap();
    drop(dir);
    flip_last_byte(&root.path().join("state"));
    let error = DataDir::open(root.path(), 1, b"").unwrap_err().to_string();
    assert!(error.contains("state is damaged"), "{error}");
    assert!(
        error.contains("move the whole data directory away"),
        "says what to do: {error}"
    );
}
