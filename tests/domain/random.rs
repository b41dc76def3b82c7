//! Random histories: the state machine against the naive model, after every step.

use proptest::prelude::*;
use raft3d::domain::command::{
    Command, FilamentChange, Idempotency, NewFilament, NewJob, NewPrinter, Op, PrinterChange,
    Target,
};
use raft3d::domain::farm::Contradiction;
use raft3d::domain::id::Id;
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::{FilamentType, JobStatus};
use raft3d::domain::outcome::Refusal;
use raft3d::domain::roster::NodeEntry;
use raft3d::domain::settings::Settings;
use raft3d::domain::state::{JobFilter, State};
use raft3d::domain::tokens::{AccessRole, Actor, NewToken};
use raft3d::domain::weight::Grams;
use serde::Serialize;
use serde_json::Value;

use crate::naive::Naive;
use crate::support::{at, cluster_id, grams, node_entry, number, snapshot, text, token_digest};

/// Small, so that every bound is reached.
const LIMITS: Limits = Limits {
    count_max: 4,
    bytes_max: 150,
    age_ms_max: 20,
};

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// The next entry of the log, `skip` indices and `wait_ms` milliseconds behind the last. Its
    /// stamp is how late it is, in milliseconds: the clocks of nodes differ.
    Apply {
        skip: u64,
        wait_ms: u64,
        command: Command,
    },
    /// An entry that is no command.
    Garbage(Vec<u8>),
    /// An entry that was applied before.
    Stale(Command),
    /// The state is written to a snapshot and read back.
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (1u64..3, 0u64..6, commands())
            .prop_map(|(skip, wait_ms, command)| Step::Apply { skip, wait_ms, command }),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Step::Garbage),
        1 => commands().prop_map(Step::Stale),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(step, 1..80)
}

fn commands() -> impl Strategy<Value = Command> {
    let idempotency = prop::option::weighted(0.4, (0usize..10, 0u8..5)).prop_map(|drawn| {
        drawn.map(|(key, fingerprint)| Idempotency {
            key: ["", "a", "b", "c", "d", "e", "f", "g", "h", "a longer key"][key].to_owned(),
            fingerprint: [fingerprint / 4; 32],
        })
    });
    (0u64..4, actors(), idempotency, ops()).prop_map(|(late_ms, actor, idempotency, op)| Command {
        stamped_at: at(late_ms),
        actor,
        idempotency,
        op,
    })
}

fn ops() -> impl Strategy<Value = Op> {
    let printer = (new_ids(), texts(), texts())
        .prop_map(|(id, company, model)| Op::CreatePrinter(NewPrinter { id, company, model }));
    let filament = (
        new_ids(),
        prop::sample::select(FilamentType::ALL.to_vec()),
        texts(),
        weights(),
        prop::option::weighted(0.2, weights()),
    )
        .prop_map(|(id, filament_type, color, total, remaining)| {
            Op::CreateFilament(NewFilament {
                id,
                filament_type,
                color,
                total_weight_in_grams: total,
                remaining_weight_in_grams: remaining,
            })
        });
    let job = (new_ids(), ids(), ids(), texts(), weights()).prop_map(
        |(id, printer_id, filament_id, filepath, print_weight_in_grams)| {
            Op::CreateJob(NewJob {
                id,
                printer_id,
                filament_id,
                filepath,
                print_weight_in_grams,
            })
        },
    );
    let status = (targets(), prop::sample::select(JobStatus::ALL.to_vec()))
        .prop_map(|(job, to)| Op::SetJobStatus { job, to });
    let printer_change =
        (targets(), maybe(texts()), maybe(texts())).prop_map(|(target, company, model)| {
            Op::UpdatePrinter(PrinterChange {
                target,
                company,
                model,
            })
        });
    let filament_change = (
        targets(),
        maybe(prop::sample::select(FilamentType::ALL.to_vec())),
        maybe(texts()),
        maybe(weights()),
        maybe(weights()),
    )
        .prop_map(|(target, filament_type, color, total, remaining)| {
            Op::UpdateFilament(FilamentChange {
                target,
                filament_type,
                color,
                total_weight_in_grams: total,
                remaining_weight_in_grams: remaining,
            })
        });
    prop_oneof![
        3 => printer,
        3 => filament,
        8 => job,
        8 => status,
        1 => Just(Op::Barrier),
        1 => (1u8..3).prop_map(|byte| Op::FoundCluster(cluster_id(byte))),
        2 => node_entries().prop_map(Op::AnnounceNode),
        1 => node_entries().prop_map(Op::AdmitNode),
        1 => (0u64..12).prop_map(|event_retention| {
            Op::ChangeSettings(Settings { event_retention })
        }),
        3 => new_tokens().prop_map(Op::CreateToken),
        1 => (1u64..5).prop_map(Op::RevokeToken),
        1 => prop::collection::vec((1u64..5, (990u64..1_200).prop_map(at)), 0..3)
            .prop_map(Op::NoteTokenUses),
        2 => printer_change,
        2 => filament_change,
        1 => targets().prop_map(Op::DeletePrinter),
        1 => targets().prop_map(Op::DeleteFilament),
    ]
}

/// Few tokens, some of which are gone or expired.
fn actors() -> impl Strategy<Value = Option<Actor>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Actor::AdminFile)),
        2 => (1u64..4).prop_map(|id| Some(Actor::Token(id))),
    ]
}

/// Few names and secrets, so that they meet; the clock starts at 1,000 ms.
fn new_tokens() -> impl Strategy<Value = NewToken> {
    let names = prop::sample::select(vec!["", "a", "b", "c"]);
    let roles = prop::sample::select(AccessRole::ALL.to_vec());
    let ends = prop::option::weighted(0.4, (1_000u64..1_150).prop_map(at));
    (names, roles, 0u8..4, ends).prop_map(|(name, role, byte, expires_at)| NewToken {
        name: name.to_owned(),
        role,
        digest: token_digest(byte),
        expires_at,
    })
}

/// Few nodes and few directories, so that they meet.
fn node_entries() -> impl Strategy<Value = NodeEntry> {
    (1i32..3, 1u16..3, 1u8..3).prop_map(|(node_id, port, byte)| node_entry(node_id, port, byte))
}

/// Few ids, in both JSON types, so that they meet.
fn ids() -> impl Strategy<Value = Id> {
    prop_oneof![
        6 => (1i64..4).prop_map(number),
        2 => (1i64..4).prop_map(|value| text(&value.to_string())),
        1 => prop::sample::select(vec!["-1", "01", "a/b", "é"]).prop_map(text),
    ]
}

/// Sometimes of a version, which it is rarely of.
fn targets() -> impl Strategy<Value = Target> {
    let versions = prop::option::weighted(0.2, prop::collection::vec(1u64..30, 0..8));
    (ids(), versions).prop_map(|(id, versions)| Target { id, versions })
}

fn maybe<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::of(strategy)
}

fn new_ids() -> impl Strategy<Value = Option<Id>> {
    prop::option::weighted(0.4, ids())
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        15 => "[a-z]{1,8}",
    ]
}

fn weights() -> impl Strategy<Value = Grams> {
    prop_oneof![
        1 => Just(Grams::ZERO),
        1 => Just(Grams::MAX),
        20 => (1u64..100).prop_map(grams),
    ]
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("every value here has a JSON form")
}

/// Objects as JSON in the order of their ids: JSON types count.
fn sorted<'a, T: Serialize + 'a>(
    objects: impl Iterator<Item = &'a T>,
    id_of: fn(&T) -> &Id,
) -> Vec<Value> {
    let mut objects: Vec<&T> = objects.collect();
    objects.sort_by(|a, b| id_of(a).cmp(id_of(b)));
    objects.into_iter().map(json).collect()
}

/// Everything that can be asked of the state is what the naive model says.
fn compare(state: &State, naive: &Naive) -> Result<(), TestCaseError> {
    prop_assert_eq!(state.applied_index(), naive.applied_index);
    let printers: Vec<Value> = state.printers().map(json).collect();
    prop_assert_eq!(printers, sorted(naive.printers.iter(), |p| &p.id));
    let filaments: Vec<Value> = state.filaments().map(json).collect();
    prop_assert_eq!(filaments, sorted(naive.filaments.iter(), |f| &f.id));
    prop_assert_eq!(state.printer_count(), naive.printers.len());
    prop_assert_eq!(state.filament_count(), naive.filaments.len());
    prop_assert_eq!(state.job_count(), naive.jobs.len());
    prop_assert_eq!(state.remembered_count(), naive.answers.len());
    let events: Vec<u64> = state.events().iter().map(|event| event.index).collect();
    prop_assert_eq!(&events, &naive.events);
    prop_assert_eq!(state.events().oldest_position(), naive.events_dropped);
    prop_assert_eq!(state.settings(), naive.settings);
    let tokens: Vec<_> = state.tokens().iter().cloned().collect();
    prop_assert_eq!(&tokens, &naive.tokens);
    for filament in &naive.filaments {
        let found = state.filament(&filament.id.key());
        prop_assert_eq!(found, Some(filament));
        prop_assert_eq!(state.reserved(filament).get(), naive.reserved(filament));
        prop_assert_eq!(state.version_of(filament), naive.version_of(filament));
    }
    compare_lists(state, naive)
}

/// Every filter gives what a scan gives, whole and behind any of its jobs.
fn compare_lists(state: &State, naive: &Naive) -> Result<(), TestCaseError> {
    let options = |ids: Vec<Id>| {
        let absent = [None, Some(text("nowhere"))];
        absent.into_iter().chain(ids.into_iter().map(Some))
    };
    let statuses = [None].into_iter().chain(JobStatus::ALL.map(Some));
    for status in statuses {
        let count = status.map(|status| state.job_count_of(status));
        for printer_id in options(naive.printers.iter().map(|p| p.id.clone()).collect()) {
            for filament_id in options(naive.filaments.iter().map(|f| f.id.clone()).collect()) {
                let filter = JobFilter {
                    status,
                    printer_id: printer_id.clone(),
                    filament_id,
                };
                let expected = naive.matching(&filter);
                let found: Vec<_> = state.jobs(&filter, None).collect();
                prop_assert_eq!(&found, &expected, "{:?}", &filter);
                if let Some(middle) = expected.get(expected.len() / 2) {
                    let rest: Vec<_> = state.jobs(&filter, Some(&middle.id)).collect();
                    prop_assert_eq!(&rest[..], &expected[expected.len() / 2 + 1..]);
                }
                if filter.printer_id.is_none() && filter.filament_id.is_none() {
                    prop_assert_eq!(count.unwrap_or(found.len()), found.len());
                }
            }
        }
    }
    Ok(())
}

/// What must hold of any farm, by the naive model's own sums: no roll is promised twice, and
/// each roll has lost exactly its done jobs since it was weighed.
fn check_weights(naive: &Naive, weighed: &[(Id, u64)]) -> Result<(), TestCaseError> {
    for filament in &naive.filaments {
        let remaining = filament.remaining_weight_in_grams.get();
        prop_assert!(filament.remaining_weight_in_grams <= filament.total_weight_in_grams);
        prop_assert!(naive.reserved(filament) <= remaining, "{:?}", filament);
        let at_first = weighed.iter().find(|(id, _)| *id == filament.id);
        let at_first = at_first.map(|(_, grams)| *grams);
        prop_assert_eq!(at_first, Some(remaining + done(naive, &filament.id)));
    }
    Ok(())
}

/// Grams of the done jobs that name a filament.
fn done(naive: &Naive, filament_id: &Id) -> u64 {
    naive
        .jobs
        .iter()
        .filter(|job| job.status == JobStatus::Done && job.filament_id == *filament_id)
        .map(|job| job.print_weight_in_grams.get())
        .sum()
}

/// Two replicas and the model go through one history.
struct World {
    /// Takes decoded commands and is restored from snapshots.
    state: State,
    /// Takes encoded commands, and a clone of it is kept before every step.
    replica: State,
    naive: Naive,
    /// What each filament would hold without its done jobs, as of its creation or last change.
    weighed: Vec<(Id, u64)>,
    now_ms: u64,
}

impl World {
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let index = self.state.applied_index();
        match step {
            Step::Apply {
                skip,
                wait_ms,
                command,
            } => {
                self.now_ms += wait_ms;
                let late_ms = command.stamped_at.as_millis();
                let mut command = command.clone();
                command.stamped_at = at(self.now_ms - late_ms);
                self.apply(index + skip, &command)
            }
            Step::Stale(command) => self.apply(index, command),
            Step::Garbage(bytes) => self.garbage(index + 1, bytes),
            Step::Restore => {
                let bytes = snapshot(&self.state);
                self.state = State::read_snapshot(&mut bytes.as_slice())
                    .map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(snapshot(&self.state), bytes);
                Ok(())
            }
        }
    }

    fn apply(&mut self, index: u64, command: &Command) -> Result<(), TestCaseError> {
        let expected = self.naive.apply(index, command);
        let outcome = self.state.apply(index, command);
        prop_assert_eq!(json(&outcome), json(&expected));
        let outcome = self.replica.apply_bytes(index, &command.encode());
        prop_assert_eq!(json(&outcome), json(&expected));
        self.weigh(&command.op);
        Ok(())
    }

    /// Weighs the filaments that are new or that `op` may have changed.
    fn weigh(&mut self, op: &Op) {
        let naive = &self.naive;
        self.weighed.retain(|(id, _)| {
            let changed = matches!(op, Op::UpdateFilament(change) if change.target.id == *id);
            !changed && naive.filaments.iter().any(|filament| filament.id == *id)
        });
        for filament in &naive.filaments {
            if !self.weighed.iter().any(|(id, _)| *id == filament.id) {
                let grams = filament.remaining_weight_in_grams.get() + done(naive, &filament.id);
                self.weighed.push((filament.id.clone(), grams));
            }
        }
    }

    fn garbage(&mut self, index: u64, bytes: &[u8]) -> Result<(), TestCaseError> {
        if Command::decode(bytes).is_ok() {
            return Ok(());
        }
        let outcome = self.state.apply_bytes(index, bytes);
        let malformed = matches!(outcome.result, Err(Refusal::MalformedCommand { .. }));
        prop_assert!(malformed, "{:?}", outcome);
        prop_assert_eq!(self.replica.apply_bytes(index, bytes), outcome);
        self.naive.applied_index = index;
        Ok(())
    }
}

/// Whoever takes the farm from any of the states and follows the events, as far as they reach back,
/// has the farm of the last state.
fn follow_events(kept: &[(Vec<u8>, State)], last: &State) -> Result<(), TestCaseError> {
    let failed = |error: Contradiction| TestCaseError::fail(error.to_string());
    let base = last.base_farm().map_err(failed)?;
    let base = (last.events().oldest_position(), base);
    let starts = kept.iter().map(|(_, s)| (s.applied_index(), s.farm()));
    for (position, mut farm) in starts.chain([base]) {
        let Ok(events) = last.events().after(position) else {
            prop_assert!(position < last.events().oldest_position());
            continue;
        };
        for event in events {
            farm.redo(event).map_err(failed)?;
        }
        prop_assert_eq!(farm.hash(), last.farm_hash(), "from {}", position);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_histories_agree_with_the_naive_model(steps in steps()) {
        let mut world = World {
            state: State::with_limits(LIMITS),
            replica: State::with_limits(LIMITS),
            naive: Naive::new(LIMITS),
            weighed: Vec::new(),
            now_ms: 1_000,
        };
        let mut kept = Vec::new();
        for step in &steps {
            let before = world.replica.clone();
            kept.push((snapshot(&before), before));
            world.step(step)?;
            compare(&world.state, &world.naive)?;
            check_weights(&world.naive, &world.weighed)?;
            prop_assert_eq!(snapshot(&world.state), snapshot(&world.replica));
        }
        prop_assert_eq!(world.state.hash(), world.replica.hash());
        follow_events(&kept, &world.state)?;
        for (bytes, state) in kept {
            prop_assert_eq!(snapshot(&state), bytes, "a clone changed with its origin");
        }
    }
}
