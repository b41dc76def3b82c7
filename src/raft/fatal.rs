//! The one reason for which a node cannot go on.

use tokio::sync::watch;

/// Remembers the first fatal condition and tells whoever waits for one.
#[derive(Debug)]
pub struct Fatal(watch::Sender<Option<String>>);

impl Fatal {
    /// Nothing has happened yet.
    pub fn new() -> Fatal {
        Fatal(watch::Sender::new(None))
    }

    /// Records `reason` unless there is one already.
    pub fn report(&self, reason: String) {
        self.0.send_if_modified(|first| {
            let new = first.is_none();
            if new {
                tracing::error!(
                    reason,
                    "this node cannot go on; the others go on without it"
                );
                *first = Some(reason);
            }
            new
        });
    }

    /// The reason, if there is one.
    pub fn reported(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Resolves to the reason once there is one.
    pub async fn reason(&self) -> String {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The sender is `self` and cannot be gone.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Default for Fatal {
    fn default() -> Self {
        Self::new()
    }
}
