//! The durable log against a plain list, in random histories.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use raft3d::storage::{Entry, Log};

use crate::support::content;

/// One step of the property test.
#[derive(Debug, Clone)]
enum Step {
    Append {
        term_growth: u8,
        len: u16,
        count: u8,
    },
    Truncate {
        back: u8,
    },
    Purge {
        ahead: u8,
    },
    Skip {
        beyond: u8,
    },
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..3, 0u16..2_000, 1u8..40)
            .prop_map(|(term_growth, len, count)| Step::Append { term_growth, len, count }),
        2 => (0u8..60).prop_map(|back| Step::Truncate { back }),
        2 => (0u8..60).prop_map(|ahead| Step::Purge { ahead }),
        1 => (0u8..5).prop_map(|beyond| Step::Skip { beyond }),
        1 => Just(Step::Flush),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// The log as a plain list.
struct Model {
    first: u64,
    entries: VecDeque<Entry>,
}

impl Model {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn purge(&mut self, upto: u64) {
        while self.first <= upto {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_log_behaves_like_a_list(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path()).unwrap();
        let mut model = Model { first: 1, entries: VecDeque::new() };
        let mut term = 1;
        let mut made = 0u64;
        for step in steps {
            match step {
                Step::Append { term_growth, len, count } => {
                    term += u64::from(term_growth);
                    for _ in 0..count {
                        made += 1;
                        let data = Bytes::from(made.to_le_bytes().repeat(usize::from(len) / 8));
                        let entry = Entry::new(term, 1, made, data);
                        prop_assert_eq!(log.append(&entry), model.next());
                        model.entries.push_back(entry);
                    }
                }
                Step::Truncate { back } => {
                    let from = model.next().saturating_sub(u64::from(back)).max(model.first);
                    log.truncate(from);
                    model.entries.truncate((from - model.first) as usize);
                }
                Step::Purge { ahead } => {
                    let upto = (model.first + u64::from(ahead)).min(model.next() - 1);
                    log.purge(upto);
                    model.purge(upto);
                }
                Step::Skip { beyond } => {
                    let upto = model.next() + u64::from(beyond);
                    log.purge(upto);
                    model.purge(upto);
                    term = 1;
                }
                Step::Flush => {
                    prop_assert!(log.flush());
                    prop_assert_eq!(log.durable_index(), model.next() - 1);
                }
                Step::Reopen => {
                    drop(log);
                    log = Log::open(dir.path()).unwrap();
                    prop_assert_eq!(log.durable_index(), model.next() - 1);
                }
            }
            prop_assert_eq!(log.failure(), None);
            prop_assert_eq!(log.first_index(), model.first);
            prop_assert_eq!(log.next_index(), model.next());
            prop_assert!(log.durable_index() < model.next());
            prop_assert_eq!(&content(&log), model.entries.make_contiguous());
            for (index, entry) in (model.first..).zip(&model.entries) {
                prop_assert_eq!(log.term_at(index), entry.term);
            }
        }
    }
}
