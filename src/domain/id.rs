//! Identities of printers, filaments and print jobs.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The largest magnitude of an integer id: 2^53 − 1, exact in every JSON reader.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The longest string id, in bytes of UTF-8.
pub const TEXT_LEN_MAX: usize = 128;

/// An id: an integer or a string, kept as the JSON type it came with.
///
/// The text form ([`Id::key`]) is the identity: the number `7` and the string `"7"` are equal,
/// hash alike and order alike; only their JSON differs.
///
/// Ids are ordered integers first, by value, then all other strings by their bytes. Lists come
/// in this order. A string counts as an integer only when it is written as one would be printed:
/// `"7"` and `"-7"` do, `"007"`, `"+7"` and `"-0"` do not.
#[derive(Debug, Clone)]
pub struct Id(Form);

/// How an id is held. `Numeral` is a JSON string that reads as an integer.
///
/// A farm holds each id many times, and most are integers: the pointer to a text is a thin one, so
/// that no id takes more room than an integer and what tells it from a text.
#[derive(Debug, Clone)]
enum Form {
    Number(i64),
    Numeral(i64),
    Text(Arc<Box<str>>),
}

const _: () = assert!(size_of::<Id>() == 16);

/// The identity of an id, without its JSON type. The order of the variants is the order of lists.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Identity<'a> {
    Integer(i64),
    Text(&'a str),
}

/// Why a value is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The empty string.
    #[error("an id must not be empty")]
    Empty,
    /// A string above [`TEXT_LEN_MAX`].
    #[error("an id has at most {TEXT_LEN_MAX} bytes, this one has {length}")]
    TooLong {
        /// Bytes in the refused string.
        length: usize,
    },
    /// An integer beyond ±[`INTEGER_MAX`].
    #[error("an integer id lies between -{INTEGER_MAX} and {INTEGER_MAX}, not at {value}")]
    OutOfRange {
        /// The refused integer, in decimal.
        value: String,
    },
}

impl Id {
    /// An id that is a JSON number.
    pub fn from_integer(value: i64) -> Result<Id, IdError> {
        if value.unsigned_abs() > INTEGER_MAX.unsigned_abs() {
            return Err(IdError::OutOfRange {
                value: value.to_string(),
            });
        }
        Ok(Id(Form::Number(value)))
    }

    /// An id that is a JSON string of 1 to [`TEXT_LEN_MAX`] bytes, of any characters.
    pub fn from_text(text: &str) -> Result<Id, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > TEXT_LEN_MAX {
            return Err(IdError::TooLong { length: text.len() });
        }
        Ok(Id(match canonical_integer(text) {
            Some(value) => Form::Numeral(value),
            None => Form::Text(Arc::new(text.into())),
        }))
    }

    /// The id whose text form is `key`, as found in a (percent-decoded) path segment, a query or
    /// a page cursor. Equal to every id with that key, whatever its JSON type.
    pub fn from_key(key: &str) -> Result<Id, IdError> {
        Id::from_text(key)
    }

    /// The text form, which is the identity.
    pub fn key(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Number(value) | Form::Numeral(value) => Cow::Owned(value.to_string()),
            Form::Text(text) => Cow::Borrowed(text),
        }
    }

    /// Whether the id is a JSON number, as opposed to a string.
    pub fn is_number(&self) -> bool {
        matches!(self.0, Form::Number(_))
    }

    /// The integer that the id is, in either JSON type.
    pub fn as_integer(&self) -> Option<i64> {
        match &self.0 {
            Form::Number(value) | Form::Numeral(value) => Some(*value),
            Form::Text(_) => None,
        }
    }

    fn identity(&self) -> Identity<'_> {
        match &self.0 {
            Form::Number(value) | Form::Numeral(value) => Identity::Integer(*value),
            Form::Text(text) => Identity::Text(text),
        }
    }
}

/// The integer that `text` is the canonical decimal form of, if it is one an id may have.
fn canonical_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = match digits.as_bytes() {
        [b'0'] => text == "0",
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    let value = text.parse::<i64>().ok()?;
    (value.unsigned_abs() <= INTEGER_MAX.unsigned_abs()).then_some(value)
}

impl PartialEq for Id {
    fn eq(&self, other: &Id) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Id {}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Id) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Id) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// The binary form, for formats that do not describe themselves. Append variants only.
#[derive(Serialize, Deserialize)]
enum Binary<'a> {
    Number(i64),
    Text(&'a str),
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.0, serializer.is_human_readable()) {
            (Form::Number(value), true) => serializer.serialize_i64(*value),
            (Form::Number(value), false) => Binary::Number(*value).serialize(serializer),
            (_, true) => serializer.serialize_str(&self.key()),
            (_, false) => Binary::Text(&self.key()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(JsonVisitor);
        }
        match Binary::deserialize(deserializer)? {
            Binary::Number(value) => Id::from_integer(value),
            Binary::Text(text) => Id::from_text(text),
        }
        .map_err(de::Error::custom)
    }
}

struct JsonVisitor;

impl Visitor<'_> for JsonVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an integer or a string of 1 to {TEXT_LEN_MAX} bytes as id"
        )
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Id, E> {
        Id::from_integer(value).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Id, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::custom(IdError::OutOfRange {
                value: value.to_string(),
            })),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        Id::from_text(text).map_err(E::custom)
    }
}
