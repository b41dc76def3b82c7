//! What the cluster as a whole is told: the same on every node, changed through the log.

use serde::{Deserialize, Serialize};

use super::command::FieldProblem;

/// Events kept unless told otherwise.
pub const EVENT_RETENTION_DEFAULT: u64 = 10_000;

/// Most events that can be kept.
pub const EVENT_RETENTION_MAX: u64 = 1_000_000;

/// The settings. Every replica has the same; a snapshot carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How many events are kept, 1 to [`EVENT_RETENTION_MAX`].
    pub event_retention: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            event_retention: EVENT_RETENTION_DEFAULT,
        }
    }
}

impl Settings {
    /// Every field that breaks a rule.
    pub fn problems(&self) -> Vec<FieldProblem> {
        if (1..=EVENT_RETENTION_MAX).contains(&self.event_retention) {
            return Vec::new();
        }
        let problem = format!(
            "must be from 1 to {EVENT_RETENTION_MAX}, not {}",
            self.event_retention
        );
        vec![FieldProblem {
            pointer: "/event_retention".to_owned(),
            problem,
        }]
    }
}
