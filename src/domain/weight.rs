//! Weights of filament.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// A weight in whole grams, 0 to [`Grams::MAX`].
///
/// Reading one refuses floats, strings, negative numbers and anything above the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Grams(u64);

impl Grams {
    /// No weight.
    pub const ZERO: Grams = Grams(0);
    /// The largest weight: 2^53 − 1, exact in every JSON reader.
    pub const MAX: Grams = Grams((1 << 53) - 1);

    /// A weight of `grams`, or `None` above [`Grams::MAX`].
    pub fn new(grams: u64) -> Option<Grams> {
        (grams <= Grams::MAX.0).then_some(Grams(grams))
    }

    /// The number of grams.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The sum, or `None` above [`Grams::MAX`].
    pub fn checked_add(self, other: Grams) -> Option<Grams> {
        Grams::new(self.0.checked_add(other.0)?)
    }

    /// The difference, and zero where it would be negative.
    pub fn saturating_sub(self, other: Grams) -> Grams {
        Grams(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Grams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} g", self.0)
    }
}

impl<'de> Deserialize<'de> for Grams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Grams, D::Error> {
        deserializer.deserialize_u64(GramsVisitor)
    }
}

struct GramsVisitor;

impl Visitor<'_> for GramsVisitor {
    type Value = Grams;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from 0 to {} (grams)", Grams::MAX.0)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Grams, E> {
        Grams::new(value).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Grams, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }
}
