//! That a node has no part in its cluster, or none any more.

use tokio::sync::watch;

/// Why a node has no part in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parting {
    /// It was removed.
    Removed,
    /// The cluster knows it with another data directory, or its program is too old for the log; the
    /// text says so, and what to do.
    Stranger(String),
}

/// Remembers the first parting and tells whoever waits for it.
#[derive(Debug)]
pub struct Departure(watch::Sender<Option<Parting>>);

impl Default for Departure {
    fn default() -> Departure {
        Departure(watch::Sender::new(None))
    }
}

impl Departure {
    /// Records `parting` unless there is one already.
    pub fn announce(&self, parting: Parting) {
        self.0.send_if_modified(|first| {
            let new = first.is_none();
            if new {
                *first = Some(parting);
            }
            new
        });
    }

    /// Whether there is none yet.
    pub fn is_none(&self) -> bool {
        self.0.borrow().is_none()
    }

    /// Resolves to the parting once there is one.
    pub async fn wait(&self) -> Parting {
        let mut receiver = self.0.subscribe();
        let parting = receiver.wait_for(Option::is_some).await;
        match parting.ok().and_then(|parting| parting.clone()) {
            Some(parting) => parting,
            // The sender is `self` and cannot be gone.
            None => std::future::pending().await,
        }
    }
}
