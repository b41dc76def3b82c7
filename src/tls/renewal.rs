//! The credentials of a running node: read again when it is told to, and when the files change.
//!
//! Connections that exist go on with what they began with. What cannot be used is logged and
//! changes nothing.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::credentials::Credentials;
use super::files::Contents;
use super::{TlsError, TlsFiles};
use crate::ffi::RaftTls;

/// Pause between two looks at the files.
const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// How long before its end a certificate is warned about.
const WARNING_AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);
/// Pause between two such warnings.
const WARNING_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// One node's TLS, on both ports.
pub struct Tls {
    files: TlsFiles,
    node_id: i32,
    current: RwLock<Arc<Credentials>>,
    raft: RaftTls,
    /// What was read last, good or bad.
    seen: Mutex<Contents>,
    expiry: Family<Which, Gauge>,
}

/// Which certificate's end a gauge shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    certificate: &'static str,
}

impl Tls {
    /// Reads `files`, which must be node `node_id`'s. Waits for the disk.
    pub fn load(files: TlsFiles, node_id: i32) -> Result<Tls, TlsError> {
        let contents = files.read()?;
        let credentials = Credentials::check(&files, &contents, node_id)?;
        let raft = RaftTls::new(&contents.cert, &contents.key, &contents.ca)
            .map_err(TlsError::Mismatch)?;
        let tls = Tls {
            files,
            node_id,
            current: RwLock::new(Arc::new(credentials)),
            raft,
            seen: Mutex::new(contents),
            expiry: Family::default(),
        };
        tls.show_expiry();
        Ok(tls)
    }

    /// What new connections use.
    pub fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same for the Raft port.
    pub fn raft(&self) -> &RaftTls {
        &self.raft
    }

    /// Adds when the certificates end to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the certificate that is in use ends to count, since 1970 began",
            self.expiry.clone(),
        );
    }

    /// Follows the files, and reads them at once on SIGHUP. Never ends.
    pub async fn follow(self: Arc<Tls>) {
        // Without the signal, what was meant to renew a certificate would end the process.
        let mut hangups = signal(SignalKind::hangup())
            .inspect_err(|error| warn!(%error, "SIGHUP cannot be caught"))
            .ok();
        let mut looks = interval(LOOK_PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned = None;
        loop {
            let told = tokio::select! {
                _ = looks.tick() => false,
                Some(()) = hangup(&mut hangups) => true,
            };
            let tls = Arc::clone(&self);
            let span = tracing::Span::current();
            let look = move || span.in_scope(|| tls.look(told));
            if let Err(error) = tokio::task::spawn_blocking(look).await {
                warn!(%error, "the certificate's files were not looked at");
            }
            self.warn_ahead(&mut warned);
        }
    }

    /// Reads the files; uses them if they are new, or `told` to.
    fn look(&self, told: bool) {
        match self.renew(told) {
            Ok(false) => {}
            Ok(true) => {
                let now = self.current();
                let (subject, until) = (&now.certificate.subject, now.chain_valid_until);
                info!(subject, %until, "new connections use the certificate that was read");
            }
            Err(error) => warn!(%error, "the certificate in use stays: the files cannot be used"),
        }
    }

    fn renew(&self, told: bool) -> Result<bool, TlsError> {
        let contents = self.files.read()?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == contents && !told {
            return Ok(false);
        }
        seen.clone_from(&contents);
        let credentials = Credentials::check(&self.files, &contents, self.node_id)?;
        self.raft
            .replace(&contents.cert, &contents.key, &contents.ca)
            .map_err(TlsError::Mismatch)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(credentials);
        drop(current);
        self.show_expiry();
        Ok(true)
    }

    fn show_expiry(&self) {
        let now = self.current();
        for (certificate, until) in [("node", now.chain_valid_until), ("ca", now.ca_valid_until)] {
            let gauge = self.expiry.get_or_create(&Which { certificate });
            gauge.set(until.as_second());
        }
    }

    fn warn_ahead(&self, warned: &mut Option<Instant>) {
        let now = self.current();
        let until = now.chain_valid_until.min(now.ca_valid_until);
        let soon = ends_soon(until, Timestamp::now());
        if soon && warned.is_none_or(|at| at.elapsed() >= WARNING_PAUSE) {
            *warned = Some(Instant::now());
            warn!(%until, "the certificate or its CA ends to count soon: renew it");
        }
    }
}

fn ends_soon(until: Timestamp, now: Timestamp) -> bool {
    until.duration_since(now).as_secs() < WARNING_AHEAD.as_secs().cast_signed()
}

/// The next SIGHUP; never if it cannot be caught.
async fn hangup(signals: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}
