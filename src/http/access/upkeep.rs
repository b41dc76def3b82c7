//! What a node does about tokens beside its requests: it tells the cluster which were used, and its
//! operator if nobody can get in.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, warn};

use super::Access;
use crate::consensus::Consensus;
use crate::domain::command::Op;
use crate::service::{Consistency, FarmService, Provenance};

/// Pause between two commands that note uses.
const NOTE_PERIOD: Duration = Duration::from_secs(60);
/// Pause between two tries to look at the tokens.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Warns of a lockout, then notes uses, for ever.
pub async fn run<C: Consensus>(service: FarmService<C>, access: Access) {
    if access.0.demands_tokens && access.0.admin.is_none() {
        warn_if_locked_out(&service).await;
    }
    loop {
        sleep(NOTE_PERIOD).await;
        note_uses(&service, &access).await;
    }
}

/// Submits which tokens were used since the last time; what cannot be submitted is kept.
pub async fn note_uses<C: Consensus>(service: &FarmService<C>, access: &Access) {
    let uses = std::mem::take(&mut *access.uses());
    if uses.is_empty() {
        return;
    }
    let op = Op::NoteTokenUses(uses.clone().into_iter().collect());
    if let Err(error) = service.submit(op, Provenance::default()).await {
        debug!(%error, "which tokens were used could not be noted yet");
        let mut newer = access.uses();
        for (id, used_at) in uses {
            newer.entry(id).or_insert(used_at);
        }
    }
}

async fn warn_if_locked_out<C: Consensus>(service: &FarmService<C>) {
    let state = loop {
        match service.read(Consistency::Linearizable).await {
            Ok(state) => break state,
            Err(_) => sleep(LOOK_PAUSE).await,
        }
    };
    if state.tokens().is_empty() {
        warn!(
            "this node demands tokens, and there are none: write one with `raft3d tokens generate` \
             to a file that only this node's user may read, start the node with \
             --admin-token-file, and create the others with it"
        );
    }
}
