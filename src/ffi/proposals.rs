//! Proposals on their way to the core, and its answers.

use super::bridge;
use crate::consensus::ProposeError;
use crate::raft::proposals::Proposals;

impl Proposals {
    pub(super) fn propose_to(&self, proposer: &bridge::proposer) {
        self.propose_gathered(|commands, ticket| proposer.propose(commands, ticket));
    }

    pub(super) fn answer(
        &self,
        proposer: &bridge::proposer,
        ticket: u64,
        verdict: bridge::Verdict,
        bytes: &[u8],
    ) {
        let reason = || String::from_utf8_lossy(bytes).into_owned();
        let answer = match verdict {
            bridge::Verdict::Applied => Ok(bytes.to_vec()),
            bridge::Verdict::NotAccepted => Err(ProposeError::NotAccepted(reason())),
            _ => Err(ProposeError::Unknown(reason())),
        };
        self.resolve(ticket, answer);
        self.propose_to(proposer);
    }
}
