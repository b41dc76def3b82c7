//! Changing and deleting printers and filaments, and changes that are meant for one version.

use raft3d::domain::command::{FilamentChange, Op, PrinterChange, Target};
use raft3d::domain::id::{INTEGER_MAX, Id};
use raft3d::domain::model::{Filament, JobStatus, Kind, Printer};
use raft3d::domain::outcome::{Refusal, Reply};
use raft3d::domain::state::{JobFilter, State};

use crate::support::{Farm, at, grams, new_filament, new_job, new_printer, number, snapshot, text};

fn printer_change(target: impl Into<Target>) -> PrinterChange {
    PrinterChange {
        target: target.into(),
        company: None,
        model: None,
    }
}

fn filament_change(target: impl Into<Target>) -> FilamentChange {
    FilamentChange {
        target: target.into(),
        filament_type: None,
        color: None,
        total_weight_in_grams: None,
        remaining_weight_in_grams: None,
    }
}

fn update_printer(farm: &mut Farm, change: PrinterChange) -> Printer {
    match farm.run(Op::UpdatePrinter(change)) {
        Ok(Reply::Printer(printer)) => printer,
        other => panic!("no printer: {other:?}"),
    }
}

fn update_filament(farm: &mut Farm, change: FilamentChange) -> Filament {
    match farm.run(Op::UpdateFilament(change)) {
        Ok(Reply::Filament { filament, .. }) => filament,
        other => panic!("no filament: {other:?}"),
    }
}

fn of_version(id: i64, versions: &[u64]) -> Target {
    Target {
        id: number(id),
        versions: Some(versions.to_vec()),
    }
}

#[test]
fn what_a_change_leaves_out_stays() {
    let mut farm = Farm::stocked();
    farm.now = 2_000;
    let before = farm.state.printer("1").expect("printer 1").clone();
    let change = PrinterChange {
        model: Some("MK4".to_owned()),
        ..printer_change(text("1"))
    };
    let after = update_printer(&mut farm, change);
    let expected = Printer {
        model: "MK4".to_owned(),
        updated_at: at(2_000),
        modified_index: farm.state.applied_index(),
        ..before
    };
    assert_eq!(after, expected);
    assert!(after.id.is_number(), "the id keeps its own JSON type");
    assert_eq!(farm.state.printer("1"), Some(&after));

    let change = FilamentChange {
        total_weight_in_grams: Some(grams(2_000)),
        remaining_weight_in_grams: Some(grams(1_500)),
        ..filament_change(number(1))
    };
    let after = update_filament(&mut farm, change);
    assert_eq!(farm.weights(), (1_500, 0, 1_500));
    assert_eq!(farm.state.filament("1"), Some(&after));
}

#[test]
fn changes_keep_the_rules_of_fields() {
    let mut farm = Farm::stocked();
    let filament = || filament_change(number(1));
    let broken = [
        (
            "/company",
            Op::UpdatePrinter(PrinterChange {
                company: Some(String::new()),
                ..printer_change(number(1))
            }),
        ),
        (
            "/color",
            Op::UpdateFilament(FilamentChange {
                color: Some(String::new()),
                ..filament()
            }),
        ),
        (
            "/total_weight_in_grams",
            Op::UpdateFilament(FilamentChange {
                total_weight_in_grams: Some(grams(0)),
                ..filament()
            }),
        ),
        (
            "/remaining_weight_in_grams",
            Op::UpdateFilament(FilamentChange {
                total_weight_in_grams: Some(grams(999)),
                ..filament()
            }),
        ),
        (
            "/remaining_weight_in_grams",
            Op::UpdateFilament(FilamentChange {
                remaining_weight_in_grams: Some(grams(1_001)),
                ..filament()
            }),
        ),
    ];
    for (told, op) in broken {
        let refusal = farm.refused(op);
        let named = matches!(&refusal, Refusal::InvalidField { pointer, .. } if pointer == told);
        assert!(named, "{told}: {refusal:?}");
    }
}

/// The four operations on printer 1 and filament 1.
fn all_on_one(target: &Target) -> [(Kind, Op); 4] {
    let printer = PrinterChange {
        model: Some("new".to_owned()),
        ..printer_change(target.clone())
    };
    let filament = FilamentChange {
        color: Some("new".to_owned()),
        ..filament_change(target.clone())
    };
    [
        (Kind::Printer, Op::UpdatePrinter(printer)),
        (Kind::Filament, Op::UpdateFilament(filament)),
        (Kind::Printer, Op::DeletePrinter(target.clone())),
        (Kind::Filament, Op::DeleteFilament(target.clone())),
    ]
}

#[test]
fn what_unfinished_jobs_use_stays_as_it_is() {
    let mut farm = Farm::stocked();
    let jobs: Vec<Id> = (0..12).map(|_| farm.job(10).id).collect();
    for running in [&jobs[4], &jobs[11]] {
        assert!(farm.set(running, JobStatus::Running).is_ok());
    }
    for (kind, op) in all_on_one(&number(1).into()) {
        let refusal = farm.refused(op);
        let expected = Refusal::InUse {
            kind,
            id: number(1),
            jobs: [5, 12, 1, 2, 3, 4, 6, 7, 8, 9].map(number).to_vec(),
            more: true,
        };
        assert_eq!(refusal, expected);
    }
    for job in &jobs {
        let running = farm.state.job(&job.key()).expect("the job").status == JobStatus::Running;
        let to = if running {
            JobStatus::Done
        } else {
            JobStatus::Canceled
        };
        assert!(farm.set(job, to).is_ok());
    }
    for (_, op) in all_on_one(&number(1).into()) {
        farm.run(op).expect("nothing uses them any more");
    }
    assert_eq!(farm.state.printer_count() + farm.state.filament_count(), 0);
}

#[test]
fn finished_jobs_outlive_what_they_were_made_with() {
    let mut farm = Farm::stocked();
    let job = farm.job(300);
    farm.set(&job.id, JobStatus::Running).expect("it starts");
    farm.set(&job.id, JobStatus::Done).expect("it ends");
    for op in [
        Op::DeletePrinter(number(1).into()),
        Op::DeleteFilament(number(1).into()),
    ] {
        assert!(matches!(farm.run(op), Ok(Reply::Deleted { .. })));
    }
    let bytes = snapshot(&farm.state);
    let read = State::read_snapshot(&mut bytes.as_slice()).expect("a snapshot");
    assert_eq!(read.hash(), farm.state.hash());
    let of_filament = JobFilter {
        filament_id: Some(number(1)),
        ..JobFilter::default()
    };
    assert_eq!(read.jobs(&of_filament, None).count(), 1);
    // A roll that is given the id by a client has nothing of the old one's grams.
    farm.run(new_filament(Some(number(1)), 50, None))
        .expect("a new roll");
    assert_eq!(farm.weights(), (50, 0, 50));
}

#[test]
fn ids_of_deleted_objects_are_not_assigned_again() {
    let mut farm = Farm::new();
    for id in [number(2), text("3"), number(INTEGER_MAX), text("x")] {
        farm.run(new_printer(Some(id.clone()))).expect("a printer");
        farm.run(Op::DeletePrinter(id.into())).expect("it is gone");
    }
    assert_eq!(farm.printer(None).id, number(1));
    let bytes = snapshot(&farm.state);
    farm.state = State::read_snapshot(&mut bytes.as_slice()).expect("a snapshot");
    assert_eq!(farm.printer(None).id, number(4));
    farm.run(Op::DeletePrinter(number(4).into()))
        .expect("it is gone");
    assert_eq!(farm.printer(None).id, number(5));
    farm.run(new_printer(Some(number(2))))
        .expect("a client may take it");
}

#[test]
fn of_two_changes_meant_for_one_version_the_second_is_refused() {
    for (kind, op) in all_on_one(&of_version(1, &[1, 2])) {
        let mut farm = Farm::stocked();
        farm.run(op.clone()).expect("the first is meant for it");
        let refusal = farm.refused(op);
        let expected = match &refusal {
            Refusal::NotFound { id, .. } => Refusal::NotFound {
                kind,
                id: id.clone(),
            },
            _ => Refusal::OtherVersion {
                kind,
                id: number(1),
                modified_index: 3,
            },
        };
        assert_eq!(refusal, expected);
    }
    let mut farm = Farm::stocked();
    let version = farm.job(1).modified_index;
    let start = Op::SetJobStatus {
        job: of_version(1, &[version]),
        to: JobStatus::Running,
    };
    farm.run(start).expect("it is of that version");
    for versions in [&[version][..], &[]] {
        let finish = Op::SetJobStatus {
            job: of_version(1, versions),
            to: JobStatus::Done,
        };
        let refusal = farm.refused(finish);
        assert!(
            matches!(refusal, Refusal::OtherVersion { .. }),
            "{refusal:?}"
        );
    }
}

#[test]
fn a_filament_has_a_new_version_when_more_or_less_of_it_is_available() {
    let mut farm = Farm::stocked();
    let version = |farm: &Farm| {
        let filament = farm.state.filament("1").expect("filament 1");
        farm.state.version_of(filament)
    };
    let created = version(&farm);
    let job = farm.job(100);
    assert_eq!(version(&farm), job.modified_index);
    assert!(created < job.modified_index);
    assert!(
        farm.run(new_job(None, number(1), number(1), 5_000))
            .is_err()
    );
    assert_eq!(
        version(&farm),
        job.modified_index,
        "a refusal changes nothing"
    );
    let canceled = farm.set(&job.id, JobStatus::Canceled).expect("given up");
    assert_eq!(version(&farm), canceled.modified_index);
    let bytes = snapshot(&farm.state);
    farm.state = State::read_snapshot(&mut bytes.as_slice()).expect("a snapshot");
    assert_eq!(version(&farm), canceled.modified_index);
    let late = farm.refused(Op::DeleteFilament(of_version(1, &[created])));
    assert!(matches!(late, Refusal::OtherVersion { .. }), "{late:?}");
    farm.run(Op::DeleteFilament(of_version(1, &[version(&farm)])))
        .expect("it is of that version");
}

/// The version of a filament counts its jobs in, and is answered all the same.
#[test]
fn what_is_so_already_makes_neither_a_version_nor_an_event() {
    let mut farm = Farm::stocked();
    farm.job(7);
    farm.set(&number(1), JobStatus::Canceled).unwrap();
    let (printer, filament) = (
        farm.state.printer("1").unwrap().clone(),
        farm.state.filament("1").unwrap().clone(),
    );
    let version = farm.state.version_of(&filament);
    let events = farm.state.events().len();
    farm.now = 2_000;
    for model in [None, Some(printer.model.clone())] {
        let target = of_version(1, &[printer.modified_index]);
        let change = PrinterChange {
            model,
            ..printer_change(target)
        };
        assert_eq!(update_printer(&mut farm, change), printer);
    }
    for color in [None, Some(filament.color.clone())] {
        let change = FilamentChange {
            color,
            ..filament_change(of_version(1, &[version]))
        };
        let filament = filament.clone();
        let reply = Reply::Filament { filament, version };
        assert_eq!(farm.run(Op::UpdateFilament(change)), Ok(reply));
    }
    assert_eq!(farm.state.events().len(), events);
}
