//! Linearizable reads: from which log index on a state is fresh enough.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Limits, Proposal, Provenance, ReadError, SubmitError, Time, command_now, propose};
use crate::consensus::{Consensus, RETRY_PAUSE, ReadIndexError};
use crate::domain::command::Op;

/// A log index that shows all that was acknowledged before the read came, or why there is none.
pub type ReadPoint = Result<u64, ReadError>;

/// Asks for one read point after the other, each for all reads that came before it was asked for.
///
/// A read that comes while one is being asked for waits for the next: that one may have been fixed
/// already, before a write that was acknowledged since.
pub async fn find_read_points<C: Consensus>(
    consensus: Arc<C>,
    limits: Limits,
    mut reads: mpsc::Receiver<oneshot::Sender<ReadPoint>>,
) {
    let mut sharers = Vec::new();
    while reads.recv_many(&mut sharers, limits.in_flight_max).await > 0 {
        let point =
            find_read_point(consensus.as_ref(), Time::from_now(limits.request_timeout)).await;
        for read in sharers.drain(..) {
            // A read that is gone, because its client or its time is, needs no answer.
            let _ = read.send(point.clone());
        }
    }
}

async fn find_read_point<C: Consensus>(consensus: &C, time: Time) -> ReadPoint {
    loop {
        let reason = match timeout_at(time.deadline, consensus.read_index()).await {
            Ok(Ok(index)) => return Ok(index),
            Ok(Err(ReadIndexError::Unsupported)) => return pass_barrier(consensus, time).await,
            Ok(Err(ReadIndexError::Unconfirmed(reason))) => reason,
            Ok(Err(ReadIndexError::ShuttingDown)) => return Err(ReadError::ShuttingDown),
            Ok(Err(ReadIndexError::NodeFailed(reason))) => {
                return Err(ReadError::NodeFailed(reason));
            }
            Err(_) => return Err(ReadError::NoQuorum("no answer from the leader".into())),
        };
        if Instant::now() + RETRY_PAUSE > time.last_try {
            return Err(ReadError::NoQuorum(reason));
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Commits an entry that changes nothing: whoever has applied it has applied all before it.
async fn pass_barrier<C: Consensus>(consensus: &C, time: Time) -> ReadPoint {
    // Many requests share it: it is a step of none.
    let barrier = Proposal::of(&command_now(Op::Barrier, Provenance::default()), None);
    match propose(consensus, barrier, time).await {
        Ok(outcome) => Ok(outcome.index),
        Err(
            SubmitError::NoQuorum(reason)
            | SubmitError::OutcomeUnknown(reason)
            | SubmitError::UpgradeNotFinished(reason),
        ) => Err(ReadError::NoQuorum(reason)),
        Err(SubmitError::Overloaded) => Err(ReadError::Overloaded),
        Err(SubmitError::ShuttingDown) => Err(ReadError::ShuttingDown),
        Err(SubmitError::NodeFailed(reason)) => Err(ReadError::NodeFailed(reason)),
    }
}
