//! One test for each statement of the farm's rules.

use raft3d::domain::command::{Command, NewFilament, NewJob, NewPrinter, Op};
use raft3d::domain::id::{INTEGER_MAX, Id};
use raft3d::domain::model::{FilamentType, JobStatus, Kind, PrintJob};
use raft3d::domain::outcome::{Refusal, Reply};
use raft3d::domain::state::{JobFilter, State};
use raft3d::domain::weight::Grams;

use crate::support::{
    Farm, at, command, grams, new_filament, new_job, new_printer, number, objects, text,
};

fn keys<'a>(ids: impl Iterator<Item = &'a Id>) -> Vec<String> {
    ids.map(Id::to_string).collect()
}

#[test]
fn a_client_may_give_the_id() {
    let mut farm = Farm::new();
    let printer = farm.printer(Some(text("left/1")));
    assert_eq!(printer.id.key(), "left/1");
    assert_eq!(farm.state.printer("left/1"), Some(&printer));
    assert_eq!(farm.state.printer("left"), None);
    assert_eq!(farm.state.printer(""), None);
    assert_eq!(farm.state.printer(&"x".repeat(500)), None);
}

#[test]
fn seven_and_the_text_seven_are_the_same_id() {
    let mut farm = Farm::new();
    farm.printer(Some(number(7)));
    let refusal = farm.refused(new_printer(Some(text("7"))));
    assert_eq!(
        refusal,
        Refusal::IdTaken {
            kind: Kind::Printer,
            id: number(7)
        }
    );
    assert!(
        refusal.to_string().contains("printer id 7 is taken"),
        "{refusal}"
    );
    let found = farm.state.printer("7").expect("printer 7");
    assert!(found.id.is_number(), "it keeps the JSON type it came with");
}

#[test]
fn ids_are_unique_within_a_kind_only() {
    let mut farm = Farm::new();
    farm.printer(Some(text("a")));
    farm.filament(Some(text("a")), 10);
    let op = new_job(Some(text("a")), text("a"), text("a"), 5);
    assert!(farm.run(op.clone()).is_ok());
    for (op, kind) in [
        (new_printer(Some(text("a"))), Kind::Printer),
        (new_filament(Some(text("a")), 5, None), Kind::Filament),
        (op, Kind::PrintJob),
    ] {
        let id = text("a");
        assert_eq!(farm.refused(op), Refusal::IdTaken { kind, id });
    }
}

#[test]
fn without_an_id_the_next_free_integer_is_assigned() {
    let mut farm = Farm::new();
    assert_eq!(farm.printer(None).id, number(1));
    farm.printer(Some(number(2)));
    farm.printer(Some(text("3")));
    let assigned = farm.printer(None).id;
    assert_eq!(assigned, number(4), "2 and \"3\" are taken");
    assert!(assigned.is_number());
    farm.printer(Some(number(100)));
    assert_eq!(
        farm.printer(None).id,
        number(5),
        "a high id does not move it"
    );
    assert_eq!(farm.filament(None, 5).id, number(1), "each kind counts");
}

#[test]
fn a_refused_creation_uses_up_no_id() {
    let mut farm = Farm::stocked();
    farm.refused(new_job(None, number(1), number(1), 1_001));
    farm.refused(new_job(None, number(9), number(1), 1));
    farm.refused(Op::CreatePrinter(NewPrinter {
        id: None,
        company: String::new(),
        model: "x".to_owned(),
    }));
    assert_eq!(farm.job(1).id, number(1));
    assert_eq!(farm.printer(None).id, number(2));
}

#[test]
fn the_largest_integer_id_is_a_client_s_to_take() {
    let mut farm = Farm::new();
    farm.printer(Some(number(INTEGER_MAX)));
    farm.printer(Some(number(-INTEGER_MAX)));
    assert_eq!(farm.printer(None).id, number(1));
}

#[test]
fn texts_must_not_be_empty() {
    let mut farm = Farm::stocked();
    let printer = |company: &str, model: &str| {
        Op::CreatePrinter(NewPrinter {
            id: None,
            company: company.to_owned(),
            model: model.to_owned(),
        })
    };
    let filament = Op::CreateFilament(NewFilament {
        id: None,
        filament_type: FilamentType::Pla,
        color: String::new(),
        total_weight_in_grams: grams(1),
        remaining_weight_in_grams: None,
    });
    let job = Op::CreateJob(NewJob {
        id: None,
        printer_id: number(1),
        filament_id: number(1),
        filepath: String::new(),
        print_weight_in_grams: grams(1),
    });
    for (op, pointer) in [
        (printer("", "x"), "/company"),
        (printer("x", ""), "/model"),
        (filament, "/color"),
        (job, "/filepath"),
    ] {
        assert_eq!(
            farm.refused(op),
            Refusal::InvalidField {
                pointer: pointer.to_owned(),
                problem: "must not be empty".to_owned()
            }
        );
    }
}

#[test]
fn every_broken_field_is_told_before_proposing() {
    let new = NewPrinter {
        id: None,
        company: String::new(),
        model: String::new(),
    };
    let pointers: Vec<String> = new.problems().into_iter().map(|p| p.pointer).collect();
    assert_eq!(pointers, ["/company", "/model"]);
    let new = NewFilament {
        id: None,
        filament_type: FilamentType::Pla,
        color: String::new(),
        total_weight_in_grams: Grams::ZERO,
        remaining_weight_in_grams: Some(grams(1)),
    };
    let pointers: Vec<String> = new.problems().into_iter().map(|p| p.pointer).collect();
    assert_eq!(
        pointers,
        [
            "/color",
            "/total_weight_in_grams",
            "/remaining_weight_in_grams"
        ]
    );
}

#[test]
fn a_total_weight_is_above_zero() {
    let mut farm = Farm::new();
    let refusal = farm.refused(new_filament(None, 0, None));
    assert_eq!(
        refusal.to_string(),
        "/total_weight_in_grams must be above 0"
    );
    assert_eq!(
        farm.filament(None, 1).remaining_weight_in_grams,
        grams(1),
        "what remains defaults to the total"
    );
}

#[test]
fn the_remaining_weight_is_at_most_the_total() {
    let mut farm = Farm::new();
    let refusal = farm.refused(new_filament(None, 100, Some(101)));
    assert_eq!(
        refusal.to_string(),
        "/remaining_weight_in_grams must be at most total_weight_in_grams, 100, not 101"
    );
    assert!(farm.run(new_filament(None, 100, Some(100))).is_ok());
    assert!(farm.run(new_filament(None, 100, Some(0))).is_ok());
    assert_eq!(
        farm.state
            .filament("2")
            .map(|f| f.remaining_weight_in_grams.get()),
        Some(0)
    );
}

#[test]
fn a_job_begins_queued() {
    let mut farm = Farm::stocked();
    let job = farm.job(10);
    assert_eq!(job.status, JobStatus::Queued);
    assert_eq!(farm.state.job("1"), Some(&job));
}

#[test]
fn a_job_needs_an_existing_printer_and_filament() {
    let mut farm = Farm::stocked();
    let refusal = farm.refused(new_job(None, text("ghost"), number(1), 1));
    assert_eq!(refusal, Refusal::UnknownPrinter { id: text("ghost") });
    let refusal = farm.refused(new_job(None, number(1), number(2), 1));
    assert_eq!(refusal, Refusal::UnknownFilament { id: number(2) });
}

#[test]
fn a_job_names_printer_and_filament_as_they_name_themselves() {
    let mut farm = Farm::new();
    farm.printer(Some(number(7)));
    farm.filament(Some(text("8")), 100);
    let op = new_job(None, text("7"), number(8), 1);
    let Ok(Reply::Job(job)) = farm.run(op) else {
        panic!("the job is created");
    };
    assert!(job.printer_id.is_number());
    assert!(!job.filament_id.is_number());
}

#[test]
fn a_job_s_weight_is_above_zero() {
    let mut farm = Farm::stocked();
    let refusal = farm.refused(new_job(None, number(1), number(1), 0));
    assert_eq!(
        refusal.to_string(),
        "/print_weight_in_grams must be above 0"
    );
}

#[test]
fn a_job_fits_the_available_weight() {
    let mut farm = Farm::stocked();
    farm.job(400);
    farm.job(350);
    assert_eq!(farm.weights(), (1_000, 750, 250));
    let refusal = farm.refused(new_job(None, number(1), number(1), 251));
    assert_eq!(
        refusal,
        Refusal::NotEnoughFilament {
            filament_id: number(1),
            requested: grams(251),
            available: grams(250)
        }
    );
    assert_eq!(
        refusal.to_string(),
        "the job needs 251 g of filament 1, of which 250 g is available"
    );
    farm.job(250);
    assert_eq!(farm.weights(), (1_000, 1_000, 0));
    farm.refused(new_job(None, number(1), number(1), 1));
}

#[test]
fn running_jobs_hold_their_grams_as_queued_ones_do() {
    let mut farm = Farm::stocked();
    let job = farm.job(600);
    assert!(farm.set(&job.id, JobStatus::Running).is_ok());
    assert_eq!(farm.weights(), (1_000, 600, 400));
    farm.refused(new_job(None, number(1), number(1), 401));
}

#[test]
fn what_is_left_counts_not_the_total() {
    let mut farm = Farm::new();
    farm.printer(None);
    assert!(farm.run(new_filament(None, 1_000, Some(30))).is_ok());
    farm.refused(new_job(None, number(1), number(1), 31));
    farm.job(30);
}

#[test]
fn the_heaviest_weights_do_not_overflow() {
    let mut farm = Farm::new();
    farm.printer(None);
    farm.filament(None, Grams::MAX.get());
    farm.job(Grams::MAX.get());
    let refusal = farm.refused(new_job(None, number(1), number(1), Grams::MAX.get()));
    assert_eq!(
        refusal,
        Refusal::NotEnoughFilament {
            filament_id: number(1),
            requested: Grams::MAX,
            available: Grams::ZERO
        }
    );
}

#[test]
fn done_takes_the_grams_off_the_filament_once() {
    let mut farm = Farm::stocked();
    let job = farm.job(300);
    assert!(farm.set(&job.id, JobStatus::Running).is_ok());
    assert!(farm.set(&job.id, JobStatus::Done).is_ok());
    assert_eq!(farm.weights(), (700, 0, 700));
    assert!(farm.set(&job.id, JobStatus::Done).is_err());
    assert_eq!(farm.weights(), (700, 0, 700));
    let filament = farm.state.filament("1").expect("filament 1");
    assert_eq!(filament.total_weight_in_grams, grams(1_000));
}

#[test]
fn canceling_frees_the_grams_and_nothing_else() {
    for run_first in [false, true] {
        let mut farm = Farm::stocked();
        let job = farm.job(300);
        if run_first {
            assert!(farm.set(&job.id, JobStatus::Running).is_ok());
        }
        let filament = farm.state.filament("1").cloned();
        farm.now += 5;
        let canceled = farm.set(&job.id, JobStatus::Canceled).expect("canceled");
        assert_eq!(
            canceled,
            PrintJob {
                status: JobStatus::Canceled,
                updated_at: at(farm.now),
                ..job
            }
        );
        assert_eq!(farm.weights(), (1_000, 0, 1_000));
        assert_eq!(farm.state.filament("1").cloned(), filament);
    }
}

/// The path of statuses that brings a new job to `status`.
fn path_to(status: JobStatus) -> &'static [JobStatus] {
    match status {
        JobStatus::Queued => &[],
        JobStatus::Running => &[JobStatus::Running],
        JobStatus::Done => &[JobStatus::Running, JobStatus::Done],
        JobStatus::Canceled => &[JobStatus::Canceled],
    }
}

#[test]
fn only_the_documented_transitions_are_allowed() {
    use JobStatus::{Canceled, Done, Queued, Running};
    let allowed = [
        (Queued, Running),
        (Queued, Canceled),
        (Running, Done),
        (Running, Canceled),
    ];
    for from in JobStatus::ALL {
        for to in JobStatus::ALL {
            let mut farm = Farm::stocked();
            let job = farm.job(10);
            for step in path_to(from) {
                assert!(farm.set(&job.id, *step).is_ok());
            }
            if allowed.contains(&(from, to)) {
                let after = farm.set(&job.id, to).expect("an allowed transition");
                assert_eq!(after.status, to);
                assert_eq!(farm.state.job("1"), Some(&after));
                continue;
            }
            let id = text("1");
            let refusal = farm.refused(Op::SetJobStatus { id, to });
            assert_eq!(
                refusal,
                Refusal::ForbiddenTransition {
                    id: number(1),
                    from,
                    to
                }
            );
            let told = refusal.to_string();
            assert!(told.contains(from.name()) && told.contains(to.name()));
        }
    }
}

#[test]
fn an_unknown_job_has_no_status_to_set() {
    let mut farm = Farm::stocked();
    let id = text("no such/job");
    let to = JobStatus::Running;
    let refusal = farm.refused(Op::SetJobStatus { id: id.clone(), to });
    assert_eq!(refusal, Refusal::JobNotFound { id });
}

#[test]
fn times_come_from_the_command_and_never_go_back() {
    let mut farm = Farm::stocked();
    farm.now = 5_000;
    let job = farm.job(10);
    assert_eq!((job.created_at, job.updated_at), (at(5_000), at(5_000)));
    farm.now = 4_000;
    let job = farm.set(&job.id, JobStatus::Running).expect("running");
    assert_eq!((job.created_at, job.updated_at), (at(5_000), at(5_000)));
    farm.now = 9_000;
    let job = farm.set(&job.id, JobStatus::Done).expect("done");
    assert_eq!((job.created_at, job.updated_at), (at(5_000), at(9_000)));
    let filament = farm.state.filament("1").expect("filament 1");
    assert_eq!(filament.updated_at, at(9_000), "its weight changed");
    let printer = farm.state.printer("1").expect("printer 1");
    assert_eq!(printer.updated_at, at(1_000), "it did not change");
}

#[test]
fn lists_come_in_the_order_of_ids_and_page_behind_one() {
    let mut farm = Farm::new();
    for id in [text("b"), number(10), text("a"), number(9), text("-1")] {
        farm.printer(Some(id.clone()));
        farm.filament(Some(id), 5);
    }
    let order = ["-1", "9", "10", "a", "b"];
    assert_eq!(keys(farm.state.printers().map(|p| &p.id)), order);
    assert_eq!(keys(farm.state.filaments().map(|f| &f.id)), order);
    for (place, key) in order.iter().enumerate() {
        let after = Id::from_key(key).expect("a key");
        let rest = farm.state.printers_after(Some(&after)).map(|p| &p.id);
        assert_eq!(keys(rest), order[place + 1..]);
        let rest = farm.state.filaments_after(Some(&after)).map(|f| &f.id);
        assert_eq!(keys(rest), order[place + 1..]);
    }
    let missing = text("9a");
    let rest = farm.state.printers_after(Some(&missing)).map(|p| &p.id);
    assert_eq!(keys(rest), ["a", "b"], "a cursor need not exist");
}

#[test]
fn jobs_are_found_by_status_printer_and_filament() {
    let mut farm = Farm::stocked();
    farm.printer(None);
    farm.filament(None, 1_000);
    for (printer, filament) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let op = new_job(None, number(printer), number(filament), 10);
        assert!(farm.run(op).is_ok());
    }
    assert!(farm.set(&number(2), JobStatus::Running).is_ok());
    assert!(farm.set(&number(3), JobStatus::Canceled).is_ok());
    let found = |status, printer: Option<&str>, filament: Option<&str>, after: Option<i64>| {
        let filter = JobFilter {
            status,
            printer_id: printer.map(text),
            filament_id: filament.map(text),
        };
        let after = after.map(number);
        let jobs = farm.state.jobs(&filter, after.as_ref());
        keys(jobs.map(|job| &job.id).collect::<Vec<_>>().into_iter())
    };
    assert_eq!(found(None, None, None, None), ["1", "2", "3", "4"]);
    assert_eq!(found(None, None, None, Some(2)), ["3", "4"]);
    assert_eq!(
        found(Some(JobStatus::Queued), None, None, None),
        ["1", "4"],
        "an index moves with the status"
    );
    assert_eq!(found(Some(JobStatus::Queued), None, None, Some(1)), ["4"]);
    assert_eq!(found(None, Some("1"), None, None), ["1", "2"]);
    assert_eq!(found(None, None, Some("2"), None), ["2", "4"]);
    assert_eq!(found(None, Some("2"), Some("2"), None), ["4"]);
    let running = Some(JobStatus::Running);
    assert_eq!(found(running, Some("1"), Some("2"), None), ["2"]);
    assert!(found(running, Some("2"), None, None).is_empty());
    assert!(found(None, Some("ghost"), None, None).is_empty());
    assert_eq!(farm.state.job_count_of(JobStatus::Queued), 2);
    assert_eq!(farm.state.job_count(), 4);
}

#[test]
fn a_barrier_changes_nothing_but_the_index() {
    let mut farm = Farm::stocked();
    let before = (objects(&farm.state), farm.state.applied_index());
    assert_eq!(farm.run(Op::Barrier), Ok(Reply::Barrier));
    let after = (objects(&farm.state), farm.state.applied_index());
    assert_eq!(after, (before.0, before.1 + 1));
}

#[test]
fn an_entry_is_applied_once() {
    let mut state = State::new();
    let create = command(1, new_printer(None));
    assert!(state.apply(5, &create).result.is_ok());
    for index in [0, 1, 5] {
        let refusal = Refusal::AlreadyApplied { applied_index: 5 };
        assert_eq!(state.apply(index, &create).result, Err(refusal.clone()));
        assert_eq!(state.apply_bytes(index, b"\xff").result, Err(refusal));
    }
    assert_eq!((state.printer_count(), state.applied_index()), (1, 5));
    assert!(state.apply(u64::MAX, &create).result.is_ok());
    assert!(state.apply(u64::MAX, &create).result.is_err());
}

#[test]
fn entries_without_a_command_advance_the_index() {
    let mut state = State::new();
    state.advance(3);
    state.advance(2);
    assert_eq!(state.applied_index(), 3);
    assert!(
        state
            .apply(4, &command(1, new_printer(None)))
            .result
            .is_ok()
    );
}

#[test]
fn bytes_that_are_no_command_are_refused_and_passed() {
    let mut farm = Farm::stocked();
    let good = command(1, new_printer(None)).encode();
    let mut later_version = good.clone();
    later_version[0] = 2;
    let mut longer = good.clone();
    longer.push(0);
    for (bytes, told) in [
        (&[][..], "no bytes"),
        (&later_version, "format version 2"),
        (&good[..good.len() - 1], "not a valid value"),
        (&longer, "1 bytes left over"),
    ] {
        let index = farm.state.applied_index() + 1;
        let before = objects(&farm.state);
        let outcome = farm.state.apply_bytes(index, bytes);
        let Err(Refusal::MalformedCommand { problem }) = outcome.result else {
            panic!("not refused: {outcome:?}");
        };
        assert!(problem.contains(told), "{problem}");
        assert_eq!(farm.state.applied_index(), index);
        assert_eq!(objects(&farm.state), before);
    }
    let index = farm.state.applied_index() + 1;
    assert!(farm.state.apply_bytes(index, &good).result.is_ok());
}

#[test]
fn a_clone_does_not_see_what_is_applied_later() {
    let mut farm = Farm::stocked();
    let job = farm.job(100);
    let view = farm.state.clone();
    let (seen, hash) = (objects(&view), view.hash());
    assert!(farm.set(&job.id, JobStatus::Running).is_ok());
    assert!(farm.set(&job.id, JobStatus::Done).is_ok());
    farm.printer(None);
    assert_eq!(objects(&view), seen);
    assert_eq!(view.hash(), hash);
    assert_ne!(farm.state.hash(), hash);
}

#[test]
fn two_jobs_that_race_for_the_same_grams_do_not_both_win() {
    let first = command(10, new_job(None, number(1), number(1), 600));
    let second = command(11, new_job(None, text("1"), text("1"), 500));
    for order in [[&first, &second], [&second, &first]] {
        let mut farm = Farm::stocked();
        let won: Vec<bool> = order
            .into_iter()
            .map(|command: &Command| farm.apply(command).result.is_ok())
            .collect();
        assert_eq!(won, [true, false]);
    }
}
