//! The answers to who asks whether a read may be.

use tokio::sync::oneshot;

use super::bridge;
use crate::consensus::ReadIndexError;

/// At which index a read may be answered.
pub type ReadAnswer = Result<u64, ReadIndexError>;

pub(super) struct ReadCompletion(pub(super) oneshot::Sender<ReadAnswer>);

#[expect(clippy::boxed_local, reason = "ownership crosses the bridge in a box")]
pub(super) fn complete_read(
    completion: Box<ReadCompletion>,
    verdict: bridge::ReadVerdict,
    index: u64,
    reason: &[u8],
) {
    let answer = match verdict {
        bridge::ReadVerdict::At => Ok(index),
        bridge::ReadVerdict::Unsupported => Err(ReadIndexError::Unsupported),
        _ => Err(ReadIndexError::Unconfirmed(
            String::from_utf8_lossy(reason).into_owned(),
        )),
    };
    // Whoever asked may have stopped waiting.
    let _ = completion.0.send(answer);
}
