//! That a node is no member of its cluster any more.

use tokio::sync::watch;

/// Remembers the removal and tells whoever waits for it.
#[derive(Debug)]
pub struct Departure(watch::Sender<bool>);

impl Default for Departure {
    fn default() -> Departure {
        Departure(watch::Sender::new(false))
    }
}

impl Departure {
    /// The node was removed.
    pub fn announce(&self) {
        self.0.send_replace(true);
    }

    /// Resolves once the node was removed.
    pub async fn wait(&self) {
        if self
            .0
            .subscribe()
            .wait_for(|removed| *removed)
            .await
            .is_err()
        {
            // The sender is `self` and cannot be gone.
            std::future::pending().await
        }
    }
}
