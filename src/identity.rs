//! Who is who: names of clusters and of data directories, 128 random bits each.
//!
//! They are drawn where a program starts and handed on as arguments; nothing deterministic draws
//! one. Their text form is 32 hexadecimal digits.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity is 32 hexadecimal digits, not all of them 0")]
pub struct NotAnIdentity;

/// Length of an identity in bytes.
pub const LEN: usize = 16;

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; LEN]);

        impl $name {
            /// The identity with these bytes; all zeros are none.
            pub fn from_bytes(bytes: [u8; LEN]) -> Option<$name> {
                (bytes != [0; LEN]).then_some($name(bytes))
            }

            /// The bytes of `identity`, all zeros for none.
            pub fn bytes_of(identity: Option<$name>) -> [u8; LEN] {
                identity.map_or([0; LEN], |$name(bytes)| bytes)
            }

            /// A new one, from the system's source of randomness.
            pub fn random() -> io::Result<$name> {
                Ok($name(random_bytes()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = NotAnIdentity;

            fn from_str(text: &str) -> Result<$name, NotAnIdentity> {
                bytes_of_text(text).and_then($name::from_bytes).ok_or(NotAnIdentity)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match serializer.is_human_readable() {
                    true => serializer.collect_str(self),
                    false => self.0.serialize(serializer),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                use serde::de::Error;
                if deserializer.is_human_readable() {
                    return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
                }
                let bytes = <[u8; LEN]>::deserialize(deserializer)?;
                $name::from_bytes(bytes).ok_or(D::Error::custom(NotAnIdentity))
            }
        }
    };
}

identity!(
    /// Names one cluster, from its first start to its end. Agreed upon through the log.
    ClusterId
);
identity!(
    /// Names one data directory: a node that comes back without it is known not to be the same.
    DirectoryId
);

/// `N` bytes from the system's source of randomness.
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn bytes_of_text(text: &str) -> Option<[u8; LEN]> {
    if text.len() != 2 * LEN || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; LEN];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = ClusterId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, ClusterId::random().unwrap());
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<ClusterId>(&json).unwrap(), id);
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in [
            "",
            "0",
            &"0".repeat(32),
            &"g".repeat(32),
            &"a".repeat(31),
            &"é".repeat(16),
        ] {
            assert_eq!(text.parse::<ClusterId>(), Err(NotAnIdentity), "`{text}`");
        }
        assert_eq!(DirectoryId::from_bytes([0; LEN]), None);
        assert_eq!(DirectoryId::bytes_of(None), [0; LEN]);
    }
}
