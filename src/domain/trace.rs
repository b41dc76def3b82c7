//! The trace that a command is part of: for those who watch, and nothing to the farm.

use serde::{Deserialize, Serialize};

/// Where in a distributed trace a command was submitted, in the terms of W3C's Trace Context.
///
/// It travels in the envelope of the command, beside what the state machine reads: no state, event
/// or answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The step of it that submitted the command.
    pub span_id: [u8; 8],
    /// The trace's flags; the lowest bit says that it is recorded.
    pub flags: u8,
}
