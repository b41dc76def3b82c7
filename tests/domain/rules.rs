//! One test for each statement of the farm's rules.

use raft3d::domain::command::{Command, NewFilament, NewJob, NewPrinter, Op};
use raft3d::domain::id::INTEGER_MAX;
use raft3d::domain::model::{FilamentType, JobStatus, Kind, PrintJob};
use raft3d::domain::outcome::{Refusal, Reply};
use raft3d::domain::weight::Grams;

use crate::support::{Farm, at, command, grams, new_filament, new_job, new_printer, number, text};

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
                modified_index: farm.state.applied_index(),
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
            let refusal = farm.refused(Op::SetJobStatus { job: id.into(), to });
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
    let refusal = farm.refused(Op::SetJobStatus {
        job: id.clone().into(),
        to,
    });
    let kind = Kind::PrintJob;
    assert_eq!(refusal, Refusal::NotFound { kind, id });
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

    let job = farm.job(10);
    assert!(farm.set(&job.id, JobStatus::Running).is_ok());
    farm.now = 8_000;
    assert!(farm.set(&job.id, JobStatus::Done).is_ok());
    let filament = farm.state.filament("1").expect("filament 1");
    assert_eq!(
        filament.updated_at,
        at(9_000),
        "a late stamp moves nothing back"
    );
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
