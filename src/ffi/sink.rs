//! The lines that the core logs.

use crate::telemetry::Crowd;

/// Where the core's log lines go, under the span of their node.
pub(super) struct LogSink {
    span: tracing::Span,
    crowd: Crowd,
}

impl LogSink {
    /// Under the span that is entered now.
    pub(super) fn new() -> LogSink {
        LogSink {
            span: tracing::Span::current(),
            crowd: Crowd::default(),
        }
    }

    pub(super) fn level(&self) -> i32 {
        use tracing::level_filters::LevelFilter;
        match LevelFilter::current() {
            LevelFilter::TRACE => 6,
            LevelFilter::DEBUG => 5,
            LevelFilter::INFO => 4,
            LevelFilter::WARN => 3,
            LevelFilter::ERROR => 2,
            _ => 0,
        }
    }

    pub(super) fn put(&self, level: i32, file: &[u8], line: usize, text: &[u8]) {
        let file = String::from_utf8_lossy(file);
        let file = file.rsplit('/').next().unwrap_or_default();
        // Who debugs wants all of it.
        let admitted = if level > 4 {
            Some(0)
        } else {
            self.crowd.admit(file, line)
        };
        let Some(more) = admitted else { return };
        let mut text = String::from_utf8_lossy(text);
        if more > 0 {
            text.to_mut()
                .push_str(&format!(" (and {more} more like it)"));
        }
        self.span.in_scope(|| match level {
            6.. => tracing::trace!(target: "raft3d::core", file, line, "{text}"),
            5 => tracing::debug!(target: "raft3d::core", file, line, "{text}"),
            4 => tracing::info!(target: "raft3d::core", file, line, "{text}"),
            3 => tracing::warn!(target: "raft3d::core", file, line, "{text}"),
            _ => tracing::error!(target: "raft3d::core", file, line, "{text}"),
        });
    }
}
