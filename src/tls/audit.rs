//! Tells the log whose certificates the Raft port refuses.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The same refusal is logged again after this: a peer that is refused tries again many times a
/// second.
const PAUSE: Duration = Duration::from_secs(60);
/// Different refusals that are remembered; strangers can make up any number of them.
const REMEMBERED_MAX: usize = 64;

/// Logs refusals under the span of its node.
pub struct TlsAudit {
    span: tracing::Span,
    logged: Mutex<BTreeMap<(bool, String, String), Instant>>,
}

impl TlsAudit {
    /// Logs under the present span.
    pub fn new() -> TlsAudit {
        TlsAudit {
            span: tracing::Span::current(),
            logged: Mutex::default(),
        }
    }

    /// A peer's certificate was refused, on a connection that it (`incoming`) or this node opened.
    pub fn refused(&self, incoming: bool, subject: &[u8], reason: &[u8]) {
        let subject = String::from_utf8_lossy(subject).into_owned();
        let reason = String::from_utf8_lossy(reason).into_owned();
        if !self.is_news((incoming, subject.clone(), reason.clone())) {
            return;
        }
        self.span.in_scope(|| {
            tracing::warn!(
                incoming,
                subject,
                reason,
                "a certificate is refused on a Raft connection"
            );
        });
    }

    fn is_news(&self, refusal: (bool, String, String)) -> bool {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, at| now.duration_since(*at) < PAUSE);
        if logged.len() >= REMEMBERED_MAX || logged.contains_key(&refusal) {
            return false;
        }
        logged.insert(refusal, now);
        true
    }
}

impl Default for TlsAudit {
    fn default() -> TlsAudit {
        TlsAudit::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once_and_strangers_cannot_fill_the_log() {
        let audit = TlsAudit::new();
        let of = |number: usize| (true, format!("/CN={number}"), "expired".to_owned());
        assert!(audit.is_news(of(0)));
        assert!(!audit.is_news(of(0)));
        let news = (0..1_000).filter(|number| audit.is_news(of(*number)));
        assert_eq!(news.count(), REMEMBERED_MAX - 1);
    }
}
