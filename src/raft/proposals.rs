//! Who waits for the answers to proposals.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::consensus::ProposeError;

/// The answer to a proposal: the outcome's bytes.
pub type Answer = Result<Vec<u8>, ProposeError>;

/// The proposals of one node that have no answer yet. Clones are the same.
///
/// The core knows them by number, their tickets. A number costs no allocation on either side of the
/// bridge and can be held by a handler that the core copies, and an answer that comes twice finds
/// nobody.
#[derive(Clone, Default)]
pub struct Proposals(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    last_ticket: u64,
    senders: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Proposals {
    /// A new ticket, for whose answer `sender` waits.
    pub fn register(&self, sender: oneshot::Sender<Answer>) -> u64 {
        let mut waiting = self.lock();
        waiting.last_ticket += 1;
        let ticket = waiting.last_ticket;
        waiting.senders.insert(ticket, sender);
        ticket
    }

    /// Answers `ticket`, if nobody has.
    pub fn resolve(&self, ticket: u64, answer: Answer) {
        let sender = self.lock().senders.remove(&ticket);
        if let Some(sender) = sender {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(answer);
        }
    }

    /// Drops whoever still waits: there will be no answers.
    pub fn abandon(&self) {
        let senders = std::mem::take(&mut self.lock().senders);
        drop(senders);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_to_a_ticket_counts_and_no_other_gets_it() {
        let proposals = Proposals::default();
        let ((first, mut first_answer), (second, mut second_answer)) =
            (oneshot::channel(), oneshot::channel());
        let (first, second) = (proposals.register(first), proposals.register(second));
        proposals.resolve(first, Ok(vec![1]));
        proposals.resolve(first, Ok(vec![2]));
        assert_eq!(first_answer.try_recv(), Ok(Ok(vec![1])));
        assert!(second_answer.try_recv().is_err());
        proposals.resolve(second, Ok(vec![3]));
        assert_eq!(second_answer.try_recv(), Ok(Ok(vec![3])));
    }

    #[test]
    fn whoever_is_abandoned_hears_of_it() {
        let proposals = Proposals::default();
        let (sender, mut answer) = oneshot::channel();
        proposals.register(sender);
        proposals.abandon();
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
