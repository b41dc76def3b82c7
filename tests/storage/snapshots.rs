//! Snapshots: which are kept, what damage is noticed, and how they travel.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use raft3d::storage::snapshot::{PIECE_LEN, PieceWriter, Snapshot, SnapshotId};
use raft3d::storage::{SnapshotStore, StorageError};

use crate::support::flip_last_byte;

fn id(index: u64, term: u64) -> SnapshotId {
    SnapshotId { index, term }
}

fn snapshot_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|item| item.unwrap().path())
        .collect();
    files.sort();
    files
}

fn write(store: &SnapshotStore, id: SnapshotId, body: &[u8]) {
    store
        .write(id, b"metadata", |out| out.write_all(body))
        .unwrap();
}

/// Loads the newest snapshot as it is.
fn load(store: &SnapshotStore, first: u64, next: u64) -> Result<Option<Snapshot>, StorageError> {
    let loaded = store.load(first, next, |snapshot| Ok(snapshot.clone()))?;
    Ok(loaded.map(|(_, snapshot)| snapshot))
}

fn install(store: &SnapshotStore, received: PieceWriter) -> Result<Snapshot, StorageError> {
    store.install(received, |snapshot| Ok(snapshot.clone()))
}

#[test]
fn a_snapshot_reads_back_and_only_the_newest_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    assert_eq!(load(&store, 1, 1).unwrap(), None);
    for index in [10, 20, 30] {
        write(&store, id(index, 2), format!("state at {index}").as_bytes());
    }
    assert_eq!(store.newest(), Some((id(30, 2), b"metadata".to_vec())));
    assert_eq!(snapshot_files(dir.path()).len(), 2);

    let store = SnapshotStore::open(dir.path()).unwrap();
    let loaded = load(&store, 21, 40).unwrap().unwrap();
    assert_eq!(
        (loaded.id, loaded.metadata.as_slice()),
        (id(30, 2), &b"metadata"[..])
    );
    assert_eq!(loaded.body, b"state at 30");
    assert_eq!(store.newest(), Some((id(30, 2), b"metadata".to_vec())));
}

#[test]
fn an_interrupted_write_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    write(&store, id(10, 1), b"good");
    let error = store
        .write(id(20, 1), b"metadata", |out| {
            out.write_all(b"half of it")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
    assert!(
        matches!(
            error,
            StorageError::Io {
                action: "write",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(store.newest().unwrap().0, id(10, 1));

    let store = SnapshotStore::open(dir.path()).unwrap();
    assert_eq!(load(&store, 1, 30).unwrap().unwrap().body, b"good");
    assert_eq!(
        snapshot_files(dir.path()).len(),
        1,
        "the temporary file is gone"
    );
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_snapshot_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    write(&store, id(10, 1), b"the state");
    let path = snapshot_files(dir.path()).remove(0);
    let good = fs::read(&path).unwrap();
    let reload = || load(&SnapshotStore::open(dir.path()).unwrap(), 11, 20);
    let expect_damage = |what: String| match reload() {
        Err(StorageError::Damaged { path: named, .. }) => assert_eq!(named, path, "{what}"),
        other => panic!("{what}: {other:?}"),
    };
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bad).unwrap();
        expect_damage(format!("bit {bit}"));
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).unwrap();
        expect_damage(format!("cut to {len}"));
    }
    fs::write(&path, [&good[..], b"x"].concat()).unwrap();
    expect_damage("one byte more".into());
    fs::write(&path, &good).unwrap();
    assert_eq!(reload().unwrap().unwrap().body, b"the state");
}

/// Snapshots at 10 and 20, the newer one damaged, and what a log `first..next` makes of it.
fn load_with_damage(first: u64, next: u64) -> Result<Option<u64>, StorageError> {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    write(&store, id(10, 1), b"older");
    write(&store, id(20, 1), b"newer");
    flip_last_byte(&snapshot_files(dir.path())[1]);
    let store = SnapshotStore::open(dir.path()).unwrap();
    load(&store, first, next).map(|loaded| loaded.map(|snapshot| snapshot.id.index))
}

#[test]
fn an_older_snapshot_serves_only_if_the_log_covers_the_gap() {
    assert_eq!(load_with_damage(11, 30).unwrap(), Some(10));
    assert_eq!(load_with_damage(5, 21).unwrap(), Some(10));
    let too_late = load_with_damage(12, 30).unwrap_err();
    assert!(
        too_late.to_string().contains("0020-"),
        "names the newer file: {too_late}"
    );
    let too_short = load_with_damage(11, 20).unwrap_err();
    assert!(
        matches!(too_short, StorageError::Damaged { .. }),
        "{too_short}"
    );
}

#[test]
fn the_log_keeps_what_is_behind_the_older_snapshot_unless_the_newest_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    assert_eq!(store.dispensable(5), 5);
    write(&store, id(10, 1), b"first");
    assert_eq!(store.dispensable(9), 9);
    write(&store, id(20, 1), b"second");
    assert_eq!([9, 15, 20].map(|upto| store.dispensable(upto)), [9, 10, 20]);
    write(&store, id(40, 1), b"third");
    assert_eq!(store.dispensable(35), 20);
}

#[test]
fn a_snapshot_that_cannot_be_decoded_counts_as_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    write(&store, id(10, 1), b"older");
    write(&store, id(20, 1), b"from the future");
    let decode = |snapshot: &Snapshot| match snapshot.body.as_slice() {
        b"older" => Ok("older"),
        _ => Err("unknown version".to_owned()),
    };
    let store = SnapshotStore::open(dir.path()).unwrap();
    assert_eq!(
        store.load(11, 30, decode).unwrap(),
        Some((id(10, 1), "older"))
    );
    let store = SnapshotStore::open(dir.path()).unwrap();
    let error = store.load(21, 30, decode).unwrap_err().to_string();
    assert!(error.contains("unknown version"), "{error}");
}

#[test]
fn a_log_that_begins_late_needs_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    assert!(matches!(
        load(&store, 5, 9),
        Err(StorageError::Missing { .. })
    ));
    write(&store, id(3, 1), b"too old");
    let store = SnapshotStore::open(dir.path()).unwrap();
    assert!(matches!(
        load(&store, 5, 9),
        Err(StorageError::Missing { .. })
    ));
}

#[test]
fn a_whole_log_outlives_its_damaged_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    write(&store, id(10, 1), b"state");
    flip_last_byte(&snapshot_files(dir.path())[0]);
    assert_eq!(
        load(&SnapshotStore::open(dir.path()).unwrap(), 1, 11).unwrap(),
        None
    );
    assert!(load(&SnapshotStore::open(dir.path()).unwrap(), 1, 10).is_err());
}

#[test]
fn a_snapshot_travels_in_pieces() {
    let from = tempfile::tempdir().unwrap();
    let sender = SnapshotStore::open(from.path()).unwrap();
    let body: Vec<u8> = (0..2 * PIECE_LEN + 1000).map(|i| (i % 251) as u8).collect();
    write(&sender, id(70, 3), &body);
    let reader = sender.open_pieces(id(70, 3)).unwrap();
    write(&sender, id(80, 3), b"");
    write(&sender, id(90, 3), b"");
    assert!(
        sender.open_pieces(id(70, 3)).is_err(),
        "removed, but still being sent"
    );

    let to = tempfile::tempdir().unwrap();
    let receiver = SnapshotStore::open(to.path()).unwrap();
    let mut incoming = receiver.receive(id(70, 3)).unwrap();
    loop {
        let piece = incoming.next_piece();
        let (bytes, last) = reader.read(piece).unwrap();
        incoming.write(&bytes).unwrap();
        if last {
            break;
        }
    }
    assert_eq!(incoming.next_piece(), 3);
    assert!(reader.read(3).is_err());
    assert_eq!(
        receiver.newest(),
        None,
        "nothing counts before it is complete"
    );
    assert_eq!(install(&receiver, incoming).unwrap().body, body);
    let reopened = SnapshotStore::open(to.path()).unwrap();
    assert_eq!(load(&reopened, 1, 1).unwrap().unwrap().body, body);
}

#[test]
fn a_damaged_transfer_is_not_installed() {
    let from = tempfile::tempdir().unwrap();
    let sender = SnapshotStore::open(from.path()).unwrap();
    write(&sender, id(7, 1), b"state");
    let (mut bytes, last) = sender.open_pieces(id(7, 1)).unwrap().read(0).unwrap();
    assert!(last);
    bytes[50] ^= 1;
    let to = tempfile::tempdir().unwrap();
    let receiver = SnapshotStore::open(to.path()).unwrap();
    let mut incoming = receiver.receive(id(7, 1)).unwrap();
    incoming.write(&bytes).unwrap();
    assert!(matches!(
        install(&receiver, incoming),
        Err(StorageError::Damaged { .. })
    ));
    assert_eq!(receiver.newest(), None);

    let other_name = to.path().join("x");
    fs::File::create(&other_name)
        .unwrap()
        .write_all(b"ignored")
        .unwrap();
    assert_eq!(
        load(&SnapshotStore::open(to.path()).unwrap(), 1, 1).unwrap(),
        None
    );
}
