//! Gathers the commands of this node into proposals, and who waits for their answers.
//!
//! The first commands go out at once, each by itself. Those that come while `UNANSWERED_MAX`
//! proposals have no answer wait for the next one, and go out together: one call of the core, one
//! append to the log, one message to the leader and one answer for all of them. So what a command
//! costs falls as more of them come, and one that comes alone waits for nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::outcomes::{Outcomes, Wanted};
use crate::consensus::{Held, ProposeError};
use crate::domain::command::{Command, Op};
use crate::domain::outcome::Outcome;

/// How many proposals without an answer let others wait.
const UNANSWERED_MAX: usize = 2;
/// Most commands in one proposal: as many as the core sends to a follower at a time.
const COMMANDS_MAX: usize = 500;
/// Most bytes of commands in one proposal, unless it has only one: as much as the largest request
/// may bring, which then shares its proposal with nobody.
const BYTES_MAX: usize = 1 << 20;
/// How long a proposal without an answer lets others wait. A leader that is gone owes them for longer
/// than it takes to have another.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// What a proposal has of each of its commands. One by itself needs no memory of its own for that.
type Each<T> = SmallVec<[T; 1]>;

/// The answer to a command: the outcome's bytes.
pub type Answer = Result<Vec<u8>, ProposeError>;

/// The commands of one node that have no answer yet. Clones are the same.
///
/// The core knows proposals by number, their tickets. A number costs no allocation on either side of
/// the bridge and can be held by a handler that the core copies, and an answer that comes twice finds
/// nobody.
#[derive(Clone)]
pub struct Proposals(Arc<Shared>);

struct Shared {
    /// What this node applies.
    outcomes: Outcomes,
    desk: Mutex<Desk>,
}

/// A command as the core takes it.
pub struct Encoded(Vec<u8>);

impl Encoded {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Who waits for the answer to a command.
pub struct Waiter {
    sender: oneshot::Sender<Answer>,
    _held: Held,
}

impl Waiter {
    /// One who gets the answer through `sender`, and keeps `held` until then.
    pub fn new(sender: oneshot::Sender<Answer>, held: Held) -> Waiter {
        Waiter {
            sender,
            _held: held,
        }
    }

    fn tell(self, answer: Answer) {
        // Whoever asked may have stopped waiting.
        let _ = self.sender.send(answer);
    }
}

#[derive(Default)]
struct Desk {
    /// What has not been proposed yet.
    queue: VecDeque<(Encoded, Waiter)>,
    /// Somebody is proposing, and looks at the queue again before he stops.
    attended: bool,
    /// Nothing is proposed any more.
    closed: bool,
    last_ticket: u64,
    /// A few, in no order.
    unanswered: Vec<Batch>,
}

/// One proposal without an answer.
struct Batch {
    ticket: u64,
    waiters: Each<Waiter>,
    /// An entry of its own ends it, which nobody waits for.
    marked: bool,
    proposed_at: Instant,
    /// Keeps the outcomes of all but the last, which comes with the answer.
    _wanted: Option<Wanted>,
}

impl Proposals {
    /// None yet, of a node that applies entries with these `outcomes`.
    pub fn new(outcomes: Outcomes) -> Proposals {
        Proposals(Arc::new(Shared {
            outcomes,
            desk: Mutex::default(),
        }))
    }

    /// Takes a command that is to be proposed; its answer goes to `waiter`, which is dropped if
    /// there is none. To be followed by [`Proposals::propose_gathered`].
    pub fn submit(&self, command: Vec<u8>, waiter: Waiter) {
        let mut desk = self.desk();
        if !desk.closed {
            desk.queue.push_back((Encoded(command), waiter));
            return;
        }
        drop(desk);
        waiter.tell(Err(ProposeError::ShuttingDown));
    }

    /// Hands to `propose`, with their tickets, all proposals that may be made now. To be called when
    /// a command or an answer has come. Does not do it while it is doing it already, on this thread
    /// or another, for it looks again.
    pub fn propose_gathered(&self, propose: impl Fn(&[Encoded], u64)) {
        let mut joins = true;
        while let Some((commands, ticket)) = self.next(joins) {
            propose(&commands, ticket);
            joins = false;
        }
    }

    /// The next proposal and its ticket, for whoever attends the queue or, as he `joins`, finds it
    /// unattended.
    fn next(&self, joins: bool) -> Option<(Each<Encoded>, u64)> {
        let mut desk = self.desk();
        if joins && desk.attended {
            return None;
        }
        let next = desk.gather(Instant::now, &self.0.outcomes);
        desk.attended = next.is_some();
        next
    }

    /// Passes the answer to a proposal on to all who wait for it, if nobody has. The outcome is that of
    /// its last entry.
    pub fn resolve(&self, ticket: u64, answer: Answer) {
        let Some(batch) = self.desk().take(ticket) else {
            return;
        };
        match answer {
            Ok(outcome) => batch.complete(outcome, &self.0.outcomes),
            Err(error) => batch.fail(&error),
        }
    }

    /// Ends what there is: no answers come any more. What was proposed has no outcome, and what was
    /// not is not taken.
    pub fn abandon(&self) {
        let mut desk = self.desk();
        desk.closed = true;
        let queue = std::mem::take(&mut desk.queue);
        let unanswered = std::mem::take(&mut desk.unanswered);
        drop(desk);
        for (_, waiter) in queue {
            waiter.tell(Err(ProposeError::ShuttingDown));
        }
        drop(unanswered);
        self.0.outcomes.abandon();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Whole after each step, so a panic elsewhere does not spoil it.
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Makes a proposal of what has gathered, if there is anything and it need not wait.
    fn gather(
        &mut self,
        clock: fn() -> Instant,
        outcomes: &Outcomes,
    ) -> Option<(Each<Encoded>, u64)> {
        if self.queue.is_empty() {
            return None;
        }
        let now = clock();
        let holds_up = |batch: &&Batch| now.duration_since(batch.proposed_at) < PATIENCE;
        if self.unanswered.iter().filter(holds_up).count() >= UNANSWERED_MAX {
            return None;
        }
        let count = self.gathered();
        let marked = count > 1 && names_another_index(&self.queue[count - 1].0);
        let mut commands = Each::with_capacity(count + usize::from(marked));
        let mut waiters = Each::with_capacity(count);
        for (command, waiter) in self.queue.drain(..count) {
            commands.push(command);
            waiters.push(waiter);
        }
        if marked {
            commands.push(marker());
        }
        self.last_ticket += 1;
        self.unanswered.push(Batch {
            ticket: self.last_ticket,
            waiters,
            marked,
            proposed_at: now,
            _wanted: (count > 1).then(|| outcomes.want()),
        });
        Some((commands, self.last_ticket))
    }

    /// Takes out the proposal with this ticket, if it has no answer yet.
    fn take(&mut self, ticket: u64) -> Option<Batch> {
        let place = self.unanswered.iter().position(|b| b.ticket == ticket)?;
        Some(self.unanswered.swap_remove(place))
    }

    /// How many of those in the queue, which is not empty, fit in one proposal: at least one.
    fn gathered(&self) -> usize {
        let mut bytes = 0;
        let fits = |(command, _): &&(Encoded, Waiter)| {
            bytes += command.0.len();
            bytes <= BYTES_MAX
        };
        let fitting = self.queue.iter().take(COMMANDS_MAX).take_while(fits);
        fitting.count().max(1)
    }
}

/// Whether the outcome of `command` may be an earlier one, which names another index than that of
/// its entry.
fn names_another_index(command: &Encoded) -> bool {
    Command::may_be_answered_before(&command.0)
}

/// A command that changes nothing, and whose outcome names its own index.
fn marker() -> Encoded {
    let barrier = Command {
        stamped_at: SystemTime::now().into(),
        actor: None,
        idempotency: None,
        op: Op::Barrier,
    };
    Encoded(barrier.encode())
}

impl Batch {
    /// The last entry of the proposal has this outcome; the core gives the entries of a proposal
    /// indexes in a row.
    fn complete(mut self, outcome: Vec<u8>, outcomes: &Outcomes) {
        let last = Outcome::own_index(&outcome);
        if !self.marked
            && let Some(waiter) = self.waiters.pop()
        {
            waiter.tell(Ok(outcome));
        }
        let others = self.waiters.len() as u64;
        if others == 0 {
            return;
        }
        match last.and_then(|last| Some(last.checked_sub(others)?..last)) {
            Some(indexes) => outcomes.when_applied(indexes, Box::new(|told| self.tell(told))),
            None => {
                let reason = "the leader's answer does not tell which entries it is for";
                self.fail(&ProposeError::Unknown(reason.into()));
            }
        }
    }

    /// The entries of those who still wait are applied here, with these outcomes.
    fn tell(self, outcomes: Vec<Option<Vec<u8>>>) {
        for (waiter, outcome) in self.waiters.into_iter().zip(outcomes) {
            let answer = outcome.ok_or_else(|| {
                let reason = "it is committed, and this node has its outcome no more";
                ProposeError::Unknown(reason.into())
            });
            waiter.tell(answer);
        }
    }

    fn fail(self, error: &ProposeError) {
        for waiter in self.waiters {
            waiter.tell(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::domain::command::Idempotency;
    use crate::domain::outcome::Reply;

    /// Stands for the core: what was proposed to it, in order, and the log of a node that applies it.
    struct Fake {
        proposals: Proposals,
        outcomes: Outcomes,
        proposed: Mutex<Vec<(Vec<Vec<u8>>, u64)>>,
    }

    impl Fake {
        fn new() -> Fake {
            let outcomes = Outcomes::new(100);
            Fake {
                proposals: Proposals::new(outcomes.clone()),
                outcomes,
                proposed: Mutex::default(),
            }
        }

        fn submit(&self, command: Vec<u8>) -> oneshot::Receiver<Answer> {
            let (waiter, answer) = oneshot::channel();
            self.proposals
                .submit(command, Waiter::new(waiter, Arc::new(())));
            self.propose();
            answer
        }

        fn propose(&self) {
            self.proposals.propose_gathered(|commands, ticket| {
                let commands = commands.iter().map(|c| c.bytes().to_vec()).collect();
                self.proposed.lock().unwrap().push((commands, ticket));
            });
        }

        fn answer(&self, ticket: u64, answer: Answer) {
            self.proposals.resolve(ticket, answer);
            self.propose();
        }

        fn sizes(&self) -> Vec<usize> {
            let proposed = self.proposed.lock().unwrap();
            proposed
                .iter()
                .map(|(commands, _)| commands.len())
                .collect()
        }

        /// Applies the entries behind `applied` up to `last`.
        fn apply(&self, indexes: std::ops::RangeInclusive<u64>) {
            for index in indexes {
                self.outcomes.note(index, Some(&outcome(index)));
            }
        }
    }

    fn command(key: Option<&str>) -> Vec<u8> {
        let idempotency = key.map(|key| Idempotency {
            key: key.into(),
            fingerprint: [1; 32],
        });
        Command {
            stamped_at: SystemTime::now().into(),
            actor: None,
            idempotency,
            op: Op::Barrier,
        }
        .encode()
    }

    fn outcome(index: u64) -> Vec<u8> {
        Outcome::new(index, Ok(Reply::Barrier)).encode()
    }

    /// A core with `UNANSWERED_MAX` proposals of one command each, and `count` commands that wait.
    fn gathering(count: usize) -> (Fake, Vec<oneshot::Receiver<Answer>>) {
        let fake = Fake::new();
        for _ in 0..UNANSWERED_MAX {
            drop(fake.submit(command(None)));
        }
        let waiting = (0..count).map(|_| fake.submit(command(None))).collect();
        assert_eq!(fake.sizes(), vec![1; UNANSWERED_MAX]);
        (fake, waiting)
    }

    const NEXT: u64 = UNANSWERED_MAX as u64 + 1;

    #[test]
    fn a_command_that_comes_alone_is_proposed_and_answered_at_once() {
        let fake = Fake::new();
        let mut answer = fake.submit(command(Some("key")));
        assert_eq!(fake.sizes(), [1]);
        fake.answer(1, Ok(vec![1, 2]));
        fake.answer(1, Ok(vec![3]));
        assert_eq!(answer.try_recv(), Ok(Ok(vec![1, 2])));
    }

    #[test]
    fn what_has_gathered_is_proposed_together_and_each_gets_its_own_outcome() {
        let (fake, waiting) = gathering(3);
        fake.answer(1, Ok(outcome(101)));
        assert_eq!(fake.sizes()[UNANSWERED_MAX..], [3]);
        fake.apply(101..=114);
        fake.answer(NEXT, Ok(outcome(113)));
        for (mut answer, index) in waiting.into_iter().zip(111..) {
            assert_eq!(answer.try_recv(), Ok(Ok(outcome(index))));
        }
    }

    #[test]
    fn an_answer_that_is_ahead_of_the_own_state_waits_for_it() {
        let (fake, mut waiting) = gathering(3);
        fake.answer(1, Ok(outcome(101)));
        fake.apply(101..=111);
        fake.answer(NEXT, Ok(outcome(113)));
        assert_eq!(waiting[2].try_recv(), Ok(Ok(outcome(113))));
        assert_eq!(waiting[1].try_recv(), Err(TryRecvError::Empty));
        fake.apply(112..=112);
        assert_eq!(waiting[0].try_recv(), Ok(Ok(outcome(111))));
        assert_eq!(waiting[1].try_recv(), Ok(Ok(outcome(112))));
    }

    #[test]
    fn outcomes_that_a_snapshot_took_along_are_unknown_but_for_the_last() {
        let (fake, mut waiting) = gathering(2);
        fake.answer(1, Ok(outcome(101)));
        fake.answer(NEXT, Ok(outcome(113)));
        fake.outcomes.jump(120);
        assert!(matches!(
            waiting[0].try_recv(),
            Ok(Err(ProposeError::Unknown(_)))
        ));
        assert_eq!(waiting[1].try_recv(), Ok(Ok(outcome(113))));
    }

    /// The outcome of a command with a key may be that of an earlier entry.
    #[test]
    fn a_proposal_never_ends_with_a_command_whose_outcome_may_name_another_index() {
        let (fake, mut waiting) = gathering(1);
        waiting.push(fake.submit(command(Some("key"))));
        fake.answer(1, Ok(outcome(101)));
        assert_eq!(fake.sizes()[UNANSWERED_MAX..], [3]);
        fake.apply(101..=113);
        fake.answer(NEXT, Ok(outcome(113)));
        for (answer, index) in waiting.iter_mut().zip(111..) {
            assert_eq!(answer.try_recv(), Ok(Ok(outcome(index))));
        }
    }

    #[test]
    fn a_repeated_outcome_is_nobodys_but_his_who_asked() {
        let (fake, mut waiting) = gathering(2);
        fake.answer(1, Ok(outcome(101)));
        let repeated = Outcome {
            replayed: true,
            ..Outcome::new(90, Ok(Reply::Barrier))
        };
        fake.answer(NEXT, Ok(repeated.encode()));
        assert!(matches!(
            waiting[0].try_recv(),
            Ok(Err(ProposeError::Unknown(_)))
        ));
        assert_eq!(waiting[1].try_recv(), Ok(Ok(repeated.encode())));
    }

    #[test]
    fn what_befalls_a_proposal_befalls_all_its_commands() {
        let (fake, mut waiting) = gathering(2);
        fake.answer(1, Ok(outcome(101)));
        let refused = ProposeError::NotAccepted("no leader".into());
        fake.answer(NEXT, Err(refused.clone()));
        for answer in &mut waiting {
            assert_eq!(answer.try_recv(), Ok(Err(refused.clone())));
        }
    }

    #[test]
    fn a_proposal_is_bounded_and_takes_at_least_one_command() {
        let (fake, _waiting) = gathering(COMMANDS_MAX + 1);
        let large = vec![0; BYTES_MAX];
        let _large = [fake.submit(large.clone()), fake.submit(large)];
        for ticket in 1..=4 {
            fake.answer(ticket, Err(ProposeError::NotAccepted(String::new())));
        }
        assert_eq!(fake.sizes()[UNANSWERED_MAX..], [COMMANDS_MAX, 1, 1, 1]);
    }

    /// The core answers within the call if it knows the answer, as when there is no leader.
    #[test]
    fn an_answer_within_the_call_lets_the_next_go_out_behind_it() {
        let fake = Fake::new();
        let answers: Vec<_> = (0..3)
            .map(|_| {
                let (waiter, answer) = oneshot::channel();
                let waiter = Waiter::new(waiter, Arc::new(()));
                fake.proposals.submit(vec![0; BYTES_MAX], waiter);
                answer
            })
            .collect();
        let depth = Mutex::new((0, 0));
        fake.proposals.propose_gathered(|_, ticket| {
            depth.lock().unwrap().0 += 1;
            let refused = Err(ProposeError::NotAccepted(String::new()));
            fake.answer(ticket, refused);
            let mut depth = depth.lock().unwrap();
            depth.1 = depth.0.max(depth.1);
            depth.0 -= 1;
        });
        assert_eq!(*depth.lock().unwrap(), (0, 1));
        assert!(fake.sizes().is_empty(), "another attended to the queue");
        for mut answer in answers {
            assert!(matches!(
                answer.try_recv(),
                Ok(Err(ProposeError::NotAccepted(_)))
            ));
        }
    }

    #[test]
    fn proposals_that_are_never_answered_hold_the_others_up_for_a_while_only() {
        let (fake, _waiting) = gathering(2);
        let mut desk = fake.proposals.desk();
        assert!(desk.gather(Instant::now, &fake.outcomes).is_none());
        let late = || Instant::now() + PATIENCE;
        let (commands, ticket) = desk.gather(late, &fake.outcomes).unwrap();
        assert_eq!((commands.len(), ticket), (2, NEXT));
    }

    #[test]
    fn whoever_is_abandoned_hears_of_it() {
        let (fake, mut waiting) = gathering(2);
        fake.answer(1, Ok(outcome(101)));
        waiting.push(fake.submit(command(None)));
        fake.proposals.abandon();
        waiting.push(fake.submit(command(None)));
        for (answer, expected) in waiting.iter_mut().zip([
            Err(TryRecvError::Closed),
            Err(TryRecvError::Closed),
            Ok(Err(ProposeError::ShuttingDown)),
            Ok(Err(ProposeError::ShuttingDown)),
        ]) {
            assert_eq!(answer.try_recv(), expected);
        }
    }
}
