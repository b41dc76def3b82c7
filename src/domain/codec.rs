//! The envelope of commands and outcomes: one byte of version, then postcard.

use serde::{Deserialize, Serialize};

/// The version of everything but commands, which have each their own.
const FORMAT_VERSION: u8 = 1;

/// Room for most commands and outcomes, so that theirs need not grow.
const USUAL_LEN: usize = 128;

/// Why bytes are not a command or an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("no bytes, not even a format version")]
    Empty,
    /// A version this build does not know.
    #[error("version {found}; this build reads versions 1 to {newest}")]
    UnknownVersion {
        /// The version byte.
        found: u8,
        /// The newest that is read.
        newest: u8,
    },
    /// The bytes end early, or hold a value that is not allowed.
    #[error("not a valid value: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
    /// A whole value, and more behind it.
    #[error("{count} bytes left over after the value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

/// `value` in its envelope.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_as(FORMAT_VERSION, value)
}

/// `value` in an envelope of this version.
pub(super) fn encode_as<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_LEN);
    bytes.push(version);
    // Plain values in memory always encode. Should one not, the result is empty, which every
    // reader refuses by name: the caller is told, and nothing panics under the C++ core.
    postcard::to_io(value, bytes).unwrap_or_default()
}

/// The value that `bytes` begin with, if they do.
pub(super) fn decode_front<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<T> {
    let (value, _) = postcard::take_from_bytes(bytes).ok()?;
    Some(value)
}

/// The value that the one in the envelope `bytes` begins with.
pub(super) fn decode_start<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<T> {
    let (_, body) = bytes.split_first().filter(|(v, _)| **v == FORMAT_VERSION)?;
    decode_front(body)
}

/// The value in the envelope `bytes`. Allocates no more than the bytes can hold.
pub(super) fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    decode_up_to(FORMAT_VERSION, bytes).map(|(_, value)| value)
}

/// The version, from 1 to `newest`, of the envelope `bytes`, and the value in it.
pub(super) fn decode_up_to<'de, T: Deserialize<'de>>(
    newest: u8,
    bytes: &'de [u8],
) -> Result<(u8, T), DecodeError> {
    let (&found, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if !(1..=newest).contains(&found) {
        return Err(DecodeError::UnknownVersion { found, newest });
    }
    let (value, rest) =
        postcard::take_from_bytes(body).map_err(|error| DecodeError::Malformed {
            reason: error.to_string(),
        })?;
    if !rest.is_empty() {
        return Err(DecodeError::TrailingBytes { count: rest.len() });
    }
    Ok((found, value))
}
