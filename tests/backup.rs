//! Backups as files: whole or refused; and what `restore` makes of them.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use raft3d::backup::format::{self, BackupError, MAGIC, VERSION};
use raft3d::backup::restore::{self, RestoreArgs, RestoreError, Restored};
use raft3d::domain::command::{Command, NewPrinter, Op};
use raft3d::domain::state::State;
use raft3d::domain::time::Timestamp;
use raft3d::identity::ClusterId;
use raft3d::raft::machine;
use raft3d::storage::{DataDir, SnapshotStore, Stage};
use sha2::{Digest, Sha256};

const MEMBERS: &str = "1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083";

/// A cluster with a name and this many printers.
fn state(printers: usize) -> State {
    let mut state = State::new();
    let name = Op::FoundCluster(ClusterId::from_bytes([7; 16]).unwrap());
    let printer = Op::CreatePrinter(NewPrinter {
        id: None,
        company: "Prusa".into(),
        model: "MK4".into(),
    });
    for op in std::iter::once(name).chain(std::iter::repeat_n(printer, printers)) {
        let command = Command {
            stamped_at: Timestamp::from_millis(1_000),
            actor: None,
            idempotency: None,
            op,
        };
        let outcome = state.apply(state.applied_index() + 1, &command);
        assert!(outcome.result.is_ok());
    }
    state
}

fn backup(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    format::write(state, Timestamp::from_millis(2_000), &mut bytes).unwrap();
    bytes
}

/// The backup with its digest made to fit again: only its author can do that.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

#[test]
fn a_backup_reads_back() {
    for printers in [0, 1, 20_000] {
        let state = state(printers);
        let bytes = backup(&state);
        let (back, manifest, digest) = format::load(&bytes[..]).unwrap();
        assert_eq!(back.hash(), state.hash());
        assert_eq!(manifest.index, state.applied_index());
        assert_eq!(manifest.cluster, state.roster().cluster());
        assert_eq!(manifest.taken_at, Timestamp::from_millis(2_000));
        assert_eq!(manifest.farm_hash, state.farm_hash());
        assert_eq!(manifest.printers, printers as u64);
        assert_eq!(digest, bytes[bytes.len() - 32..]);
        let whole = &bytes[..bytes.len() - 32];
        assert_eq!(digest, *Sha256::digest(whole));
        assert_eq!(format::check(&bytes[..]).unwrap(), (manifest, digest));
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let good = backup(&state(2));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(format::check(&bad[..]).is_err(), "bit {bit}");
        assert!(format::load(&bad[..]).is_err(), "bit {bit}");
    }
    for length in 0..good.len() {
        let cut = &good[..length];
        let error = format::check(cut).unwrap_err();
        assert!(matches!(error, BackupError::Truncated), "{length}: {error}");
        assert!(format::load(cut).is_err(), "{length}");
    }
    let mut longer = good;
    longer.push(0);
    assert!(format::check(&longer[..]).is_err());
    assert!(format::load(&longer[..]).is_err());
}

#[test]
fn what_is_no_backup_or_of_another_version_is_named() {
    let mut newer = backup(&state(1));
    newer[MAGIC.len()] = VERSION as u8 + 1;
    let error = format::load(&sealed(newer)[..]).unwrap_err().to_string();
    assert!(
        error.contains("version is 2") && error.contains("newer raft3d"),
        "{error}"
    );
    let error = format::load(&b"#!/bin/sh"[..]).unwrap_err().to_string();
    assert!(error.contains("no backup"), "{error}");
}

#[test]
fn a_manifest_that_does_not_fit_its_state_is_refused() {
    let (one, two) = (backup(&state(1)), backup(&state(2)));
    let end_of_state = |bytes: &[u8]| {
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        16 + length
    };
    let mut mixed = one[..end_of_state(&one)].to_vec();
    mixed.extend(&two[end_of_state(&two)..]);
    let mixed = sealed(mixed);
    assert!(format::check(&mixed[..]).is_ok(), "the bytes are whole");
    let error = format::load(&mixed[..]).unwrap_err();
    assert!(
        matches!(error, BackupError::Contradiction("index")),
        "{error}"
    );
}

#[test]
fn a_source_or_sink_that_fails_is_reported() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no such luck"))
        }
    }
    let good = backup(&state(1));
    let error = format::check((&good[..40]).chain(Failing)).unwrap_err();
    assert!(error.to_string().contains("no such luck"), "{error}");
    let mut small = [0; 40];
    assert!(format::write(&state(1), Timestamp::EPOCH, &mut small[..]).is_err());
}

fn restore(file: &Path, dir: &Path, node_id: i32, token: &str) -> Result<Restored, RestoreError> {
    restore::run(&RestoreArgs {
        file: file.to_owned(),
        data_dir: dir.to_owned(),
        node_id,
        initial_cluster: MEMBERS.parse().unwrap(),
        cluster_token: token.to_owned(),
    })
}

#[test]
fn nodes_restored_alike_are_of_one_new_cluster_with_the_same_farm() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("farm.backup");
    let state = state(100);
    fs::write(&file, backup(&state)).unwrap();
    let mut seen = Vec::new();
    for node in 1..=3 {
        let path = root.path().join(format!("node{node}"));
        let restored = restore(&file, &path, node, "monday").unwrap();
        let dir = DataDir::open(&path, node, b"").unwrap();
        assert_eq!(dir.standing().stage, Stage::Member);
        assert_eq!(dir.standing().cluster, Some(restored.cluster));
        assert_eq!(dir.id(), restored.directory);
        let snapshots = SnapshotStore::open(&dir.snapshots_path()).unwrap();
        let (id, back) = snapshots.load(1, 1, machine::decode).unwrap().unwrap();
        assert_eq!(id.index, state.applied_index());
        assert_eq!(back.farm_hash(), state.farm_hash());
        assert_eq!(back.roster().cluster(), Some(restored.cluster));
        assert_ne!(Some(restored.cluster), state.roster().cluster());
        seen.push((restored.cluster, restored.directory, back.hash()));
    }
    assert!(
        seen.iter()
            .all(|(cluster, _, hash)| (*cluster, *hash) == (seen[0].0, seen[0].2))
    );
    assert!(seen[0].1 != seen[1].1 && seen[1].1 != seen[2].1);
    let other = restore(&file, &root.path().join("other"), 1, "tuesday").unwrap();
    assert_ne!(other.cluster, seen[0].0);
}

#[test]
fn what_cannot_be_restored_writes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (file, dir) = (root.path().join("farm.backup"), root.path().join("node1"));
    let good = backup(&state(1));
    let refused = |token: &str, node: i32, told: &str| {
        let error = restore(&file, &dir, node, token).unwrap_err().to_string();
        assert!(error.contains(told), "`{told}` is not in `{error}`");
        assert!(!dir.exists(), "{told}");
    };
    refused("monday", 1, "cannot open the backup");
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 0x10;
        fs::write(&file, bad).unwrap();
        refused("monday", 1, "cannot be used");
    }
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    refused("monday", 1, "cut off");
    fs::write(&file, backup(&State::new())).unwrap();
    refused("monday", 1, "before the first entry");
    fs::write(&file, &good).unwrap();
    refused("", 1, "--cluster-token");
    refused("monday", 4, "--node-id 4");
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (file, dir) = (root.path().join("farm.backup"), root.path().join("node1"));
    fs::write(&file, backup(&state(1))).unwrap();
    fs::create_dir(&dir).unwrap();
    restore(&file, &dir, 1, "monday").unwrap();
    let identity = fs::read(dir.join("identity")).unwrap();
    let error = restore(&file, &dir, 1, "monday").unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    assert_eq!(fs::read(dir.join("identity")).unwrap(), identity);
}
