//! Tells the service manager that started this process, if one did, how the node is: by systemd's
//! notification protocol, which others speak too.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

use crate::consensus::{Consensus, Role, Status};

/// Longest pause between two looks at what is to be told.
const PAUSE: Duration = Duration::from_secs(1);

/// Says that `node` serves, then what its part in the cluster is whenever that changes, and for as
/// long as it is asked to, that the process lives. Runs until it is dropped; ends at once if no
/// service manager listens.
pub async fn report<C: Consensus>(node: Arc<C>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    // Twice as often as it has to be.
    let pause = watchdog.map_or(PAUSE, |limit| PAUSE.min(limit / 2));
    let mut told = String::new();
    tell(&[NotifyState::Ready]);
    loop {
        let text = describe(&node.status());
        if text != told {
            tell(&[NotifyState::Status(&text)]);
            told = text;
        }
        if watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Says that the node is about to stop.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager cannot be told how this node is");
    }
}

/// The node's part in the cluster, in one line.
fn describe(status: &Status) -> String {
    let term = status.term;
    match (&status.failure, status.role, status.leader) {
        (Some(reason), ..) => format!("has failed: {}", reason.replace('\n', " ")),
        (None, Role::Leader, _) => {
            format!("leads a cluster of {} in term {term}", status.members.len())
        }
        (None, _, Some(leader)) => format!("follows node {leader} in term {term}"),
        (None, _, None) => format!("knows no leader in term {term}"),
    }
}
