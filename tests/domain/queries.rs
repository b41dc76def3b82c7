//! Lists, pages and filters, and views that stay as they were.

use raft3d::domain::id::Id;
use raft3d::domain::model::JobStatus;
use raft3d::domain::state::JobFilter;

use crate::support::{Farm, new_job, number, objects, text};

fn keys<'a>(ids: impl Iterator<Item = &'a Id>) -> Vec<String> {
    ids.map(Id::to_string).collect()
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
