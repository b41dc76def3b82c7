//! Snapshots by time, beside those that the core takes by the length of the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use crate::consensus::Consensus;

/// Asks for a snapshot every `period`, above zero, on any node, whether it leads or not, if something was
/// applied since the newest. Never ends.
pub async fn take_regularly<C: Consensus>(consensus: Arc<C>, period: Duration) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let status = consensus.status();
        if status.applied_index > status.snapshot_index {
            let index = consensus.create_snapshot();
            info!(index, "it is time for a snapshot");
        }
    }
}
