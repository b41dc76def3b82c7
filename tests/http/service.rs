//! The service over a scripted log: deadlines, retries, and how fresh reads are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raft3d::consensus::ReadIndexError;
use raft3d::domain::command::{Idempotency, NewPrinter, Op};
use raft3d::domain::id::Id;
use raft3d::domain::state::State;
use raft3d::service::snapshots::take_regularly;
use raft3d::service::{Consistency, FarmService, Limits, Provenance, ReadError, SubmitError};
use tokio::task::JoinHandle;

use crate::support::{DEADLINE, FAILURE, Fake, Mode};

/// A timeout that tests wait out.
const SHORT: Duration = Duration::from_millis(200);

fn new_printer(id: &str) -> Op {
    Op::CreatePrinter(NewPrinter {
        id: Some(Id::from_text(id).unwrap()),
        company: "Prusa".into(),
        model: "MK4".into(),
    })
}

fn unnamed() -> Provenance {
    Provenance::default()
}

fn key(key: &str) -> Provenance {
    Provenance {
        actor: None,
        idempotency: Some(Idempotency {
            key: key.into(),
            fingerprint: [7; 32],
        }),
    }
}

fn service(fake: &Arc<Fake>, request_timeout: Duration) -> FarmService<Fake> {
    FarmService::new(Arc::clone(fake), request_timeout)
}

fn spawn_read(service: &FarmService<Fake>) -> JoinHandle<Result<State, ReadError>> {
    let service = service.clone();
    tokio::spawn(async move { service.read(Consistency::Linearizable).await })
}

async fn submit(service: &FarmService<Fake>, id: &str) -> Result<u64, SubmitError> {
    service
        .submit(new_printer(id), unnamed())
        .await
        .map(|outcome| outcome.index)
}

#[tokio::test]
async fn a_write_is_seen_by_an_eventual_read_that_follows() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.lag();
    let writer = service.clone();
    let write = tokio::spawn(async move { submit(&writer, "a").await });
    fake.wait_for_proposals(1).await;
    assert!(
        !write.is_finished(),
        "the write is answered before this node has applied it"
    );
    fake.apply_to(1);
    assert_eq!(write.await.unwrap(), Ok(1));
    let state = service.read(Consistency::Eventual).await.unwrap();
    assert!(state.printer("a").is_some());
}

#[tokio::test]
async fn a_write_that_stands_is_answered_even_if_this_node_never_applies_it() {
    let fake = Fake::new();
    fake.lag();
    assert_eq!(submit(&service(&fake, SHORT), "a").await, Ok(1));
}

#[tokio::test]
async fn without_a_leader_a_write_is_tried_until_the_deadline_and_then_refused() {
    let fake = Fake::new();
    fake.set_mode(Mode::NotAccepted);
    let start = Instant::now();
    let error = submit(&service(&fake, SHORT), "a").await.unwrap_err();
    assert!(
        matches!(&error, SubmitError::NoQuorum(why) if why == "no leader is known"),
        "{error}"
    );
    assert!(
        start.elapsed() < SHORT + Duration::from_secs(2),
        "took {:?}",
        start.elapsed()
    );
    assert!(fake.proposal_count() > 1, "it was tried once only");
}

#[tokio::test]
async fn a_leader_that_appears_in_time_takes_the_write() {
    let fake = Fake::new();
    fake.set_next_modes(&[Mode::NotAccepted, Mode::NotAccepted]);
    assert_eq!(submit(&service(&fake, DEADLINE), "a").await, Ok(1));
    assert_eq!(fake.proposal_count(), 3);
}

#[tokio::test]
async fn a_lost_write_without_a_key_is_never_repeated() {
    for mode in [Mode::UnknownAndLost, Mode::UnknownYetCommitted] {
        let fake = Fake::new();
        fake.set_next_modes(&[mode]);
        let error = submit(&service(&fake, DEADLINE), "a").await.unwrap_err();
        assert!(
            matches!(error, SubmitError::OutcomeUnknown(_)),
            "{mode:?}: {error}"
        );
        assert_eq!(fake.proposal_count(), 1, "{mode:?}");
    }
}

#[tokio::test]
async fn a_lost_write_with_a_key_is_repeated_and_done_once() {
    for mode in [Mode::UnknownAndLost, Mode::UnknownYetCommitted] {
        let fake = Fake::new();
        fake.set_next_modes(&[mode, Mode::NotAccepted, mode]);
        let service = service(&fake, DEADLINE);
        let outcome = service.submit(new_printer("a"), key("k")).await.unwrap();
        assert!(outcome.result.is_ok(), "{mode:?}: {outcome:?}");
        assert_eq!(fake.proposal_count(), 4, "{mode:?}");
        assert_eq!(fake.local_state().printer_count(), 1, "{mode:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_taken_is_never_called_refused() {
    let cases = [
        (vec![Mode::Hang], unnamed()),
        (vec![Mode::NotAccepted, Mode::Hang], unnamed()),
        (vec![Mode::UnknownAndLost; 1_000], key("k")),
        (
            [vec![Mode::UnknownAndLost], vec![Mode::NotAccepted; 1_000]].concat(),
            key("k"),
        ),
        (vec![Mode::UnknownAndLost, Mode::ShuttingDown], key("k")),
    ];
    for (modes, key) in cases {
        let fake = Fake::new();
        fake.set_next_modes(&modes);
        let service = service(&fake, SHORT);
        let error = service.submit(new_printer("a"), key).await.unwrap_err();
        let start = &modes[..modes.len().min(3)];
        assert!(
            matches!(error, SubmitError::OutcomeUnknown(_)),
            "{start:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_node_that_stops_says_so_at_once() {
    let fake = Fake::new();
    fake.set_mode(Mode::ShuttingDown);
    let service = service(&fake, DEADLINE);
    assert_eq!(submit(&service, "a").await, Err(SubmitError::ShuttingDown));
    let read = service.read(Consistency::Linearizable).await;
    assert_eq!(read.unwrap_err(), ReadError::ShuttingDown);
}

#[tokio::test]
async fn more_in_flight_than_allowed_is_refused_and_passes() {
    let fake = Fake::new();
    let limits = Limits {
        request_timeout: DEADLINE,
        in_flight_max: 2,
        ..Limits::default()
    };
    let service = FarmService::with_limits(Arc::clone(&fake), limits);
    fake.hold_answers();
    let writes = ["a", "b"].map(|id| {
        let service = service.clone();
        tokio::spawn(async move { submit(&service, id).await })
    });
    fake.wait_for_proposals(2).await;
    assert_eq!(submit(&service, "c").await, Err(SubmitError::Overloaded));
    fake.release_answers(10);
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert!(submit(&service, "c").await.is_ok());
}

/// The bound is one on commands under way, not on clients that wait for them.
#[tokio::test]
async fn a_client_that_hangs_up_does_not_make_room_for_another_command() {
    let fake = Fake::new();
    let limits = Limits {
        request_timeout: DEADLINE,
        in_flight_max: 1,
        ..Limits::default()
    };
    let service = FarmService::with_limits(Arc::clone(&fake), limits);
    fake.hold_answers();
    let writer = service.clone();
    let gone = tokio::spawn(async move { submit(&writer, "a").await });
    fake.wait_for_proposals(1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(submit(&service, "b").await, Err(SubmitError::Overloaded));
    fake.release_answers(10);
    fake.wait_until_idle().await;
    assert!(submit(&service, "b").await.is_ok());
    assert_eq!(fake.local_state().printer_count(), 2);
}

#[tokio::test]
async fn commands_in_flight_are_bounded_in_bytes_too() {
    let fake = Fake::new();
    let limits = Limits {
        request_timeout: DEADLINE,
        bytes_in_flight_max: 1_000,
        ..Limits::default()
    };
    let service = FarmService::with_limits(Arc::clone(&fake), limits);
    let large = || {
        Op::CreatePrinter(NewPrinter {
            id: None,
            company: "x".repeat(600),
            model: "MK4".into(),
        })
    };
    fake.hold_answers();
    let writer = service.clone();
    let first = tokio::spawn(async move { writer.submit(large(), unnamed()).await });
    fake.wait_for_proposals(1).await;
    let second = service.submit(large(), unnamed()).await;
    assert_eq!(second.unwrap_err(), SubmitError::Overloaded);
    fake.release_answers(10);
    first.await.unwrap().unwrap();
    assert!(service.submit(large(), unnamed()).await.is_ok());
}

#[tokio::test]
async fn a_command_that_outlasts_its_request_keeps_its_slot() {
    let fake = Fake::new();
    let limits = Limits {
        request_timeout: SHORT,
        in_flight_max: 1,
        ..Limits::default()
    };
    let service = FarmService::with_limits(Arc::clone(&fake), limits);
    fake.hold_answers();
    let late = submit(&service, "a").await;
    assert!(
        matches!(late, Err(SubmitError::OutcomeUnknown(_))),
        "{late:?}"
    );
    assert_eq!(submit(&service, "b").await, Err(SubmitError::Overloaded));
    fake.release_answers(10);
    fake.wait_until_idle().await;
    assert!(submit(&service, "b").await.is_ok());
}

#[tokio::test]
async fn a_node_that_has_failed_says_why_at_once() {
    let fake = Fake::new();
    fake.set_mode(Mode::NodeFailed);
    let service = service(&fake, DEADLINE);
    let failed = SubmitError::NodeFailed(FAILURE.into());
    assert_eq!(submit(&service, "a").await, Err(failed));
    let read = service.read(Consistency::Linearizable).await;
    assert_eq!(read.unwrap_err(), ReadError::NodeFailed(FAILURE.into()));
    // What may have been taken before is not called refused.
    fake.set_next_modes(&[Mode::UnknownAndLost]);
    let unknown = service.submit(new_printer("a"), key("k")).await;
    assert!(matches!(unknown, Err(SubmitError::OutcomeUnknown(_))));
}

#[tokio::test]
async fn reads_beyond_the_limit_are_refused() {
    let fake = Fake::new();
    let limits = Limits {
        request_timeout: DEADLINE,
        in_flight_max: 1,
        ..Limits::default()
    };
    let service = FarmService::with_limits(Arc::clone(&fake), limits);
    fake.hold_answers();
    let first = spawn_read(&service);
    fake.wait_for_proposals(1).await;
    let second = spawn_read(&service);
    tokio::task::yield_now().await;
    let third = service.read(Consistency::Linearizable).await;
    assert_eq!(third.unwrap_err(), ReadError::Overloaded);
    fake.release_answers(10);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_eventual_read_asks_nobody() {
    let fake = Fake::new();
    fake.commit_elsewhere(new_printer("a"));
    fake.set_mode(Mode::Hang);
    let state = service(&fake, DEADLINE)
        .read(Consistency::Eventual)
        .await
        .unwrap();
    assert!(state.printer("a").is_some());
    assert_eq!(fake.proposal_count(), 0);
}

#[tokio::test]
async fn a_linearizable_read_waits_until_this_node_has_caught_up() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.lag();
    let written = fake.commit_elsewhere(new_printer("a"));
    let read = spawn_read(&service);
    fake.wait_for_proposals(1).await;
    fake.apply_to(written);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(
        !read.is_finished(),
        "the read is answered before its barrier is applied"
    );
    fake.apply_to(written + 1);
    let state = read.await.unwrap().unwrap();
    assert_eq!(state.applied_index(), written + 1);
    assert!(state.printer("a").is_some());
}

/// A barrier in flight may have its place in the log before a write that was acknowledged since:
/// a read that begins after that write must not be satisfied with it.
#[tokio::test]
async fn a_read_never_shares_a_barrier_that_is_in_flight_already() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.lag();
    fake.hold_answers();
    let early = spawn_read(&service);
    fake.wait_for_proposals(1).await;
    let written = fake.commit_elsewhere(new_printer("a"));
    let late = spawn_read(&service);
    tokio::task::yield_now().await;

    fake.release_answers(1);
    fake.apply_to(1);
    let early = early.await.unwrap().unwrap();
    assert_eq!(early.applied_index(), 1);
    assert!(early.printer("a").is_none());

    fake.wait_for_proposals(2).await;
    assert!(
        !late.is_finished(),
        "the late read was answered by the early barrier"
    );
    fake.release_answers(1);
    fake.apply_to(written + 1);
    let late = late.await.unwrap().unwrap();
    assert!(late.applied_index() > written);
    assert!(late.printer("a").is_some());
}

#[tokio::test]
async fn reads_that_wait_share_one_barrier_and_one_is_in_flight_at_most() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.hold_answers();
    let first = spawn_read(&service);
    fake.wait_for_proposals(1).await;
    let others: Vec<_> = (0..100).map(|_| spawn_read(&service)).collect();
    // Lets every one of them run up to where it waits.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    fake.release_answers(1);
    first.await.unwrap().unwrap();
    fake.wait_for_proposals(2).await;
    fake.release_answers(1);
    for other in others {
        assert!(other.await.unwrap().unwrap().applied_index() >= 2);
    }
    assert_eq!(fake.proposal_count(), 2);
    assert_eq!(fake.most_in_flight(), 1);
}

/// Writers elsewhere and readers here, on threads of their own: no read is older than any write
/// that was acknowledged before it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_under_load_are_never_older_than_acknowledged_writes() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.apply_when_waited_for();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let (fake, acknowledged) = (Arc::clone(&fake), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            for number in 0..500 {
                let index = fake.commit_elsewhere(new_printer(&format!("{writer}-{number}")));
                acknowledged.fetch_max(index, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }));
    }
    for _ in 0..8 {
        let (service, acknowledged) = (service.clone(), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            for _ in 0..500 {
                let before = acknowledged.load(Ordering::SeqCst);
                let state = service.read(Consistency::Linearizable).await.unwrap();
                assert!(
                    state.applied_index() > before,
                    "{} <= {before}",
                    state.applied_index()
                );
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn without_a_quorum_a_linearizable_read_fails_in_time() {
    for mode in [Mode::NotAccepted, Mode::UnknownAndLost, Mode::Hang] {
        let fake = Fake::new();
        fake.set_mode(mode);
        let service = service(&fake, SHORT);
        let start = Instant::now();
        let error = service.read(Consistency::Linearizable).await.unwrap_err();
        assert!(matches!(error, ReadError::NoQuorum(_)), "{mode:?}: {error}");
        assert!(
            start.elapsed() < SHORT + Duration::from_secs(2),
            "took {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn a_node_that_stays_behind_says_so() {
    let fake = Fake::new();
    fake.lag();
    let error = service(&fake, SHORT)
        .read(Consistency::Linearizable)
        .await
        .unwrap_err();
    assert_eq!(error, ReadError::Behind { index: 1 });
}

#[tokio::test]
async fn a_barrier_that_is_lost_is_proposed_again() {
    let fake = Fake::new();
    fake.set_next_modes(&[
        Mode::NotAccepted,
        Mode::UnknownAndLost,
        Mode::UnknownYetCommitted,
    ]);
    let state = service(&fake, DEADLINE)
        .read(Consistency::Linearizable)
        .await
        .unwrap();
    assert_eq!(state.applied_index(), 2);
    assert_eq!(fake.proposal_count(), 4);
}

#[tokio::test]
async fn a_read_that_the_leader_confirms_puts_nothing_into_the_log() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.confirm_reads(&[]);
    fake.lag();
    let written = fake.commit_elsewhere(new_printer("a"));
    let read = spawn_read(&service);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!read.is_finished(), "this node has not applied the write");
    fake.apply_to(written);
    let state = read.await.unwrap().unwrap();
    assert!(state.printer("a").is_some());
    assert_eq!(fake.proposal_count(), 0);
}

#[tokio::test]
async fn a_read_that_nobody_confirms_is_asked_for_again_until_its_time_is_over() {
    let fake = Fake::new();
    let lost = || ReadIndexError::Unconfirmed("the leader was lost".into());
    fake.confirm_reads(&[lost(), lost()]);
    let confirmed = service(&fake, DEADLINE);
    confirmed.read(Consistency::Linearizable).await.unwrap();
    assert_eq!(fake.read_indexes_asked(), 3);

    fake.confirm_reads(&vec![lost(); 10_000]);
    let error = service(&fake, SHORT)
        .read(Consistency::Linearizable)
        .await
        .unwrap_err();
    assert_eq!(error, ReadError::NoQuorum("the leader was lost".into()));
    assert_eq!(fake.proposal_count(), 0);
}

#[tokio::test]
async fn a_leader_that_cannot_confirm_reads_is_asked_by_a_barrier() {
    let fake = Fake::new();
    fake.confirm_reads(&[ReadIndexError::Unsupported]);
    let service = service(&fake, DEADLINE);
    let state = service.read(Consistency::Linearizable).await.unwrap();
    assert_eq!(state.applied_index(), 1);
    assert_eq!(fake.proposal_count(), 1);
    // It may be upgraded meanwhile.
    service.read(Consistency::Linearizable).await.unwrap();
    assert_eq!((fake.proposal_count(), fake.read_indexes_asked()), (1, 2));
}

#[tokio::test]
async fn reads_go_on_after_a_reader_has_gone() {
    let fake = Fake::new();
    let service = service(&fake, DEADLINE);
    fake.hold_answers();
    let gone = spawn_read(&service);
    fake.wait_for_proposals(1).await;
    gone.abort();
    fake.release_answers(10);
    service.read(Consistency::Linearizable).await.unwrap();
}

#[tokio::test]
async fn snapshots_by_time_are_taken_only_of_what_is_new() {
    let fake = Fake::new();
    let period = Duration::from_millis(5);
    let taking = tokio::spawn(take_regularly(Arc::clone(&fake), period));
    // By the fake's status more is applied than its snapshot covers, for as long as it is left so.
    wait_for(|| fake.snapshots_asked() >= 2).await;
    fake.set_status(|status| status.snapshot_index = status.applied_index);
    let looked = fake.status_looks();
    wait_for(|| fake.status_looks() > looked + 1).await;
    let asked = fake.snapshots_asked();
    let looked = fake.status_looks();
    wait_for(|| fake.status_looks() > looked + 3).await;
    assert_eq!(fake.snapshots_asked(), asked, "nothing new, no snapshot");
    fake.set_status(|status| status.applied_index += 1);
    wait_for(|| fake.snapshots_asked() > asked).await;
    taking.abort();
}

async fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
