//! Moments, as stamped on commands by the node that accepted them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// A moment in milliseconds since the Unix epoch, 0 to [`Timestamp::MAX`].
///
/// Printed, and written as JSON, as RFC 3339 in UTC with three decimals:
/// `2026-01-31T08:15:00.250Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// The last moment that has an RFC 3339 form in every reader: 9999-12-30T22:00:00.000Z.
    pub const MAX: Timestamp = Timestamp(253_402_207_200_000);

    /// The moment `millis` milliseconds after the epoch; later than [`Timestamp::MAX`] becomes
    /// [`Timestamp::MAX`].
    pub fn from_millis(millis: u64) -> Timestamp {
        Timestamp(millis.min(Timestamp::MAX.0))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is not earlier.
    pub fn millis_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before 1970 becomes 1970.
    fn from(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).map(jiff::Timestamp::from_millisecond) {
            Ok(Ok(moment)) => write!(f, "{moment:.3}"),
            // Out of reach: the constructor and the readers keep to MAX.
            _ => write!(f, "{} ms after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let millis = if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let moment: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
            u64::try_from(moment.as_millisecond())
                .map_err(|_| de::Error::custom(format!("{text} is before 1970")))?
        } else {
            u64::deserialize(deserializer)?
        };
        if millis > Timestamp::MAX.0 {
            return Err(de::Error::custom(format!(
                "{millis} ms is after {}",
                Timestamp::MAX
            )));
        }
        Ok(Timestamp(millis))
    }
}
