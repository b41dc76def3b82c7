//! Commands and outcomes as bytes: what is written is read, and no bytes do harm.

use proptest::prelude::*;
use raft3d::domain::DecodeError;
use raft3d::domain::command::{Command, NEWEST_VERSION};
use raft3d::domain::outcome::Outcome;
use raft3d::domain::state::State;

use crate::golden;
use crate::support::objects;

#[test]
fn what_is_written_is_read() {
    for (name, command) in golden::commands() {
        assert_eq!(Command::decode(&command.encode()), Ok(command), "{name}");
    }
    for (name, outcome) in golden::outcomes() {
        assert_eq!(Outcome::decode(&outcome.encode()), Ok(outcome), "{name}");
    }
}

#[test]
fn a_cut_at_any_length_is_an_error() {
    for (name, command) in golden::commands() {
        let bytes = command.encode();
        for length in 0..bytes.len() {
            let cut = Command::decode(&bytes[..length]);
            assert!(cut.is_err(), "{name} cut to {length}: {cut:?}");
        }
    }
    for (name, outcome) in golden::outcomes() {
        let bytes = outcome.encode();
        for length in 0..bytes.len() {
            let cut = Outcome::decode(&bytes[..length]);
            assert!(cut.is_err(), "{name} cut to {length}: {cut:?}");
        }
    }
}

#[test]
fn other_versions_and_bytes_left_over_are_errors() {
    let (_, command) = golden::commands().remove(0);
    let mut bytes = command.encode();
    assert_eq!(Command::decode(&[]), Err(DecodeError::Empty));
    bytes.extend([0, 0]);
    assert_eq!(
        Command::decode(&bytes),
        Err(DecodeError::TrailingBytes { count: 2 })
    );
    for found in [0, NEWEST_VERSION + 1, 255] {
        bytes[0] = found;
        let unknown = |newest| DecodeError::UnknownVersion { found, newest };
        assert_eq!(Command::decode(&bytes), Err(unknown(NEWEST_VERSION)));
        assert_eq!(Outcome::decode(&bytes), Err(unknown(1)));
    }
}

#[test]
fn values_out_of_range_are_errors() {
    /// Mirrors a command that creates a printer, without the checks.
    fn forged(stamped_at: u64, id: Option<(u32, i64)>) -> Vec<u8> {
        let (actor, idempotency) = (None::<()>, None::<()>);
        let body = (stamped_at, actor, idempotency, 0u32, id, "company", "model");
        postcard::to_extend(&body, vec![1]).expect("bytes")
    }
    assert!(Command::decode(&forged(5, Some((0, 7)))).is_ok());
    assert!(Command::decode(&forged(u64::MAX, None)).is_err());
    assert!(Command::decode(&forged(5, Some((0, i64::MAX)))).is_err());
    assert!(Command::decode(&forged(5, Some((2, 7)))).is_err());
}

/// Bytes of a known command with some of them replaced: nearer to the truth than noise is.
fn near_commands() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<Vec<u8>> = golden::commands()
        .iter()
        .flat_map(|(_, command)| [command.encode(), command.encode_in(Some(golden::trace()))])
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    (prop::sample::select(known), edits).prop_map(|(mut bytes, edits)| {
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn noise_is_applied_or_refused_and_passed(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        known_version: bool,
    ) {
        if known_version && !bytes.is_empty() {
            bytes[0] = 1;
        }
        let _ = Outcome::decode(&bytes);
        apply_anything(&bytes)?;
    }

    #[test]
    fn damaged_commands_are_applied_or_refused_and_passed(bytes in near_commands()) {
        apply_anything(&bytes)?;
    }
}

/// Applies bytes twice on the golden farm: whatever they are, the answer is the same on both
/// replicas, the index is passed, an undecodable entry changes nothing, and the state still has
/// a valid snapshot.
fn apply_anything(bytes: &[u8]) -> Result<(), TestCaseError> {
    let farm = golden::farm();
    let (mut one, mut two) = (farm.clone(), farm.clone());
    let index = farm.applied_index() + 1;
    let outcome = one.apply_bytes(index, bytes);
    prop_assert_eq!(&two.apply_bytes(index, bytes), &outcome);
    prop_assert_eq!(one.applied_index(), index);
    if Command::decode(bytes).is_err() {
        prop_assert!(outcome.result.is_err());
        prop_assert_eq!(objects(&one), objects(&farm));
    }
    prop_assert_eq!(Outcome::decode(&outcome.encode()), Ok(outcome));
    let mut snapshot = Vec::new();
    one.write_snapshot(&mut snapshot)?;
    let back = State::read_snapshot(&mut snapshot.as_slice());
    prop_assert!(back.is_ok(), "{:?}", back.err());
    prop_assert_eq!(one.hash(), two.hash());
    Ok(())
}
