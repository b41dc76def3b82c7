//! What becomes of a command in the log, as steps of the trace that it is part of.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::Span;

use super::Leaders;
use crate::domain::command::Command;
use crate::storage::Log;
use crate::traces::{self, NODE_ID};

/// Records how commands are committed and applied, on the node that does it.
pub struct Steps {
    node_id: i32,
    log: Arc<Log>,
    leaders: Arc<Leaders>,
    /// Entries before this one were in the log when the node started: others have recorded them, or
    /// this node has, before.
    first: u64,
}

impl Steps {
    /// Of node `node_id`, which starts with `log`.
    pub fn new(node_id: i32, log: Arc<Log>, leaders: Arc<Leaders>) -> Steps {
        Steps {
            node_id,
            first: log.next_index(),
            log,
            leaders,
        }
    }

    /// The applying of the command at `index`, until what is returned is dropped; and on the leader
    /// that took the command also the committing, which is over. Nothing if the command is not traced.
    pub fn apply(&self, index: u64, command: &[u8]) -> Option<impl Span + use<>> {
        if !traces::on() || index < self.first {
            return None;
        }
        let trace = Command::trace_of(command)?;
        let entry = self.log.read(index, index + 1, u64::MAX)?.pop()?;
        let led = self.leaders.led(entry.term);
        let facts = || {
            [
                KeyValue::new(NODE_ID, i64::from(self.node_id)),
                KeyValue::new("raft3d.raft.index", number(index)),
                KeyValue::new("raft3d.raft.term", number(entry.term)),
                KeyValue::new("raft3d.raft.role", if led { "leader" } else { "follower" }),
            ]
        };
        if led {
            let taken = SystemTime::UNIX_EPOCH + Duration::from_micros(entry.timestamp_us);
            drop(traces::follow(trace, "commit", taken, facts()));
        }
        traces::follow(trace, "apply", SystemTime::now(), facts())
    }
}

/// As attributes have it: they know no unsigned numbers.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
