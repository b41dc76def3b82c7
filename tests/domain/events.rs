//! Events: one for each command that changed something, telling all of it.

use raft3d::domain::command::{Command, Op};
use raft3d::domain::events::json::{EventRead, EventView};
use raft3d::domain::events::{Change, Dropped, Event, Object, TEXT_BYTES_MAX};
use raft3d::domain::model::JobStatus;
use raft3d::domain::outcome::{Refusal, Reply};
use raft3d::domain::settings::{EVENT_RETENTION_MAX, Settings};
use raft3d::domain::state::State;
use raft3d::domain::tokens::Actor;
use serde_json::json;

use crate::golden;
use crate::support::{
    Farm, cluster_id, command, keyed, new_filament, new_job, new_printer, new_token, node_entry,
    number, snapshot, text,
};

/// Index and kind of each event behind `after`.
fn kinds_after(state: &State, after: u64) -> Vec<(u64, String)> {
    let events = state.events().after(after).expect("all are kept");
    events
        .map(|event| (event.index, event.kind().to_string()))
        .collect()
}

fn newest(state: &State) -> &Event {
    state.events().iter().next_back().expect("an event")
}

fn set_retention(farm: &mut Farm, event_retention: u64) {
    let settings = Settings { event_retention };
    let answer = farm.run(Op::ChangeSettings(settings));
    assert_eq!(answer, Ok(Reply::Settings(settings)));
}

#[test]
fn each_change_has_an_event_of_its_kind() {
    let mut farm = Farm::stocked();
    let job = farm.job(100).id;
    farm.set(&job, JobStatus::Running).unwrap();
    farm.set(&job, JobStatus::Done).unwrap();
    let other = farm.job(1).id;
    farm.set(&other, JobStatus::Canceled).unwrap();
    for op in [
        Op::FoundCluster(cluster_id(1)),
        Op::AnnounceNode(node_entry(1, 8081, 1)),
        Op::AdmitNode(node_entry(1, 8082, 2)),
    ] {
        farm.run(op).unwrap();
    }
    set_retention(&mut farm, 500);
    let expected = [
        "printer.created",
        "filament.created",
        "job.created",
        "job.running",
        "job.done",
        "job.created",
        "job.canceled",
        "cluster.created",
        "node.created",
        "node.updated",
        "settings.updated",
    ];
    let expected: Vec<_> = (1..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(kinds_after(&farm.state, 0), expected);
}

#[test]
fn a_job_done_tells_of_its_filament_too() {
    let mut farm = Farm::stocked();
    let before = farm.job(100);
    let running = farm.set(&before.id, JobStatus::Running).unwrap();
    let roll = farm.state.filament("1").unwrap().clone();
    farm.now += 5;
    let done = farm.set(&before.id, JobStatus::Done).unwrap();
    let left = farm.state.filament("1").unwrap().clone();
    let event = newest(&farm.state);
    assert_eq!((event.index, event.time.as_millis()), (5, farm.now));
    let change = |before, after| Change {
        before: Some(before),
        after: Some(after),
    };
    let expected = [
        change(Object::Job(running.into()), Object::Job(done.into())),
        change(Object::Filament(roll.into()), Object::Filament(left.into())),
    ];
    assert_eq!(event.changes, expected);
    assert_eq!(event.changes[1].kind().to_string(), "filament.updated");
}

#[test]
fn what_changes_nothing_has_no_event() {
    let mut farm = Farm::stocked();
    let create = keyed(1_000, "key", 1, new_printer(Some(text("shed"))));
    assert!(farm.apply(&create).result.is_ok());
    let names = [
        Op::FoundCluster(cluster_id(1)),
        Op::AnnounceNode(node_entry(1, 8081, 1)),
    ];
    for op in names.clone() {
        farm.run(op).unwrap();
    }
    let known = kinds_after(&farm.state, 0);
    assert_eq!(known.len(), 5);

    assert!(farm.apply(&create).replayed);
    let reused = keyed(1_000, "key", 2, new_printer(None));
    assert!(farm.apply(&reused).result.is_err());
    farm.refused(new_printer(Some(number(1))));
    farm.refused(new_job(None, number(1), number(1), 1_001));
    farm.refused(Op::AnnounceNode(node_entry(1, 8081, 2)));
    farm.refused(Op::ChangeSettings(Settings { event_retention: 0 }));
    for op in names {
        farm.run(op).unwrap();
    }
    farm.run(Op::Barrier).unwrap();
    farm.run(Op::FoundCluster(cluster_id(2))).unwrap();
    let same = farm.state.settings();
    farm.run(Op::ChangeSettings(same)).unwrap();
    farm.state.apply_bytes(100, b"garbage");
    farm.state.advance(200);
    assert_eq!(kinds_after(&farm.state, 0), known);
}

#[test]
fn settings_out_of_range_are_refused() {
    let mut farm = Farm::new();
    for event_retention in [0, EVENT_RETENTION_MAX + 1, u64::MAX] {
        let refusal = farm.refused(Op::ChangeSettings(Settings { event_retention }));
        let Refusal::InvalidField { pointer, problem } = refusal else {
            panic!("{refusal:?}");
        };
        assert_eq!(pointer, "/event_retention");
        assert!(problem.contains(&event_retention.to_string()), "{problem}");
    }
    assert_eq!(farm.state.settings().event_retention, 10_000);
    set_retention(&mut farm, 1);
    set_retention(&mut farm, EVENT_RETENTION_MAX);
}

#[test]
fn the_oldest_events_go_and_positions_before_them_are_refused() {
    let mut farm = Farm::new();
    set_retention(&mut farm, 3);
    for _ in 0..5 {
        farm.printer(None);
        farm.run(Op::Barrier).unwrap();
    }
    // Printers at 2, 4, 6, 8, 10; the event of 4 is the newest that was dropped.
    let state = &farm.state;
    assert_eq!(state.events().len(), 3);
    assert_eq!(state.events().oldest_position(), 4);
    for after in 0..4 {
        let dropped = Dropped { oldest_position: 4 };
        assert_eq!(state.events().after(after).err(), Some(dropped));
    }
    for (after, indexes) in [
        (4, vec![6, 8, 10]),
        (5, vec![6, 8, 10]),
        (6, vec![8, 10]),
        (9, vec![10]),
        (10, vec![]),
        (11, vec![]),
        (u64::MAX, vec![]),
    ] {
        let kept = kinds_after(state, after);
        let kept: Vec<u64> = kept.into_iter().map(|(index, _)| index).collect();
        assert_eq!(kept, indexes, "after {after}");
    }
    // A lower retention takes effect at once; its own event is the one that stays.
    set_retention(&mut farm, 1);
    assert_eq!(farm.state.events().oldest_position(), 10);
    assert_eq!(
        kinds_after(&farm.state, 10),
        [(12, "settings.updated".to_owned())]
    );
}

#[test]
fn events_of_large_objects_take_bounded_memory() {
    let mut farm = Farm::new();
    let size = 4 << 20;
    let count = TEXT_BYTES_MAX / size as u64 + 3;
    for _ in 0..count {
        let mut op = new_printer(None);
        if let Op::CreatePrinter(new) = &mut op {
            new.company = "x".repeat(size);
        }
        farm.run(op).unwrap();
    }
    let kept = farm.state.events().len() as u64;
    assert!(kept * (size as u64) <= TEXT_BYTES_MAX, "{kept} events");
    assert!(kept >= count - 5, "{kept} of {count} events");
    assert_eq!(farm.state.events().oldest_position(), count - kept);
}

#[test]
fn the_farm_before_the_oldest_event_leads_to_the_farm_as_it_is() {
    let mut farm = Farm::stocked();
    for _ in 0..20 {
        let job = farm.job(3).id;
        farm.set(&job, JobStatus::Running).unwrap();
        farm.set(&job, JobStatus::Done).unwrap();
    }
    let mut hashes = vec![(farm.state.applied_index(), farm.state.farm_hash())];
    for id in [None, Some(number(7)), None, Some(text("x"))] {
        farm.run(new_printer(id.clone())).unwrap();
        farm.run(new_filament(id, 50, None)).unwrap();
        hashes.push((farm.state.applied_index(), farm.state.farm_hash()));
    }
    set_retention(&mut farm, 9);
    let base = farm.state.base_farm().expect("the events fit");
    assert_eq!(farm.state.events().oldest_position(), hashes[0].0);
    let mut rebuilt = base;
    assert_eq!(rebuilt.hash(), hashes.remove(0).1);
    for event in farm.state.events().iter() {
        rebuilt.redo(event).expect("the event fits");
        if hashes
            .first()
            .is_some_and(|(index, _)| *index == event.index)
        {
            assert_eq!(rebuilt.hash(), hashes.remove(0).1);
        }
    }
    assert!(hashes.is_empty());
}

#[test]
fn an_event_that_does_not_fit_is_named_and_changes_nothing_more() {
    let farm = golden::farm();
    let events: Vec<Event> = farm.events().iter().map(|e| Event::clone(e)).collect();
    let base = farm.base_farm().expect("the events fit");
    for left_out in 0..events.len() - 1 {
        let mut rebuilt = base.clone();
        let contradiction = events
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != left_out)
            .find_map(|(_, event)| rebuilt.redo(event).err());
        // What nobody built upon leaves no contradiction, only another farm.
        match contradiction {
            Some(contradiction) => assert!(contradiction.index > events[left_out].index),
            None => assert_ne!(rebuilt.hash(), farm.farm_hash(), "without {left_out}"),
        }
    }
    let mut twice = base.clone();
    twice.redo(&events[0]).unwrap();
    let contradiction = twice.redo(&events[0]).unwrap_err();
    assert_eq!(contradiction.index, events[0].index);
    assert!(
        contradiction.to_string().contains("printer 1"),
        "{contradiction}"
    );
    let empty = Event {
        changes: Vec::new(),
        ..events[0].clone()
    };
    assert!(twice.redo(&empty).is_err());
    let mut assigned_again = events[0].clone();
    assigned_again.changes[0].after = Some(Object::Printer(
        farm.printer("-7").expect("printer -7").clone().into(),
    ));
    assert!(base.clone().redo(&assigned_again).is_err());
}

#[test]
fn events_are_json_and_come_back() {
    let mut farm = Farm::stocked();
    farm.job(7);
    farm.set(&number(1), JobStatus::Canceled).unwrap();
    farm.run(Op::FoundCluster(cluster_id(1))).unwrap();
    farm.run(Op::AnnounceNode(node_entry(1, 8081, 1))).unwrap();
    set_retention(&mut farm, 77);
    farm.run(new_token("alice", 1)).unwrap();
    for actor in [Actor::Token(1), Actor::AdminFile] {
        let command = command(1, new_printer(None));
        let actor = Some(actor);
        farm.apply(&Command { actor, ..command }).result.unwrap();
    }
    farm.run(Op::RevokeToken(1)).unwrap();
    for event in farm.state.events().iter() {
        let json = serde_json::to_string(&EventView::from(event.as_ref())).unwrap();
        let read: EventRead = serde_json::from_str(&json).unwrap();
        assert_eq!(Event::try_from(read).unwrap(), **event, "{json}");
    }
    let canceled = farm.state.events().after(3).unwrap().next().unwrap();
    let shown = serde_json::to_value(EventView::from(canceled.as_ref())).unwrap();
    let job = |status: &str, index: u64| {
        json!({
            "id": 1, "printer_id": 1, "filament_id": 1, "filepath": "parts/bracket.gcode",
            "print_weight_in_grams": 7, "status": status,
            "created_at": "1970-01-01T00:00:01.000Z", "updated_at": "1970-01-01T00:00:01.000Z",
            "modified_index": index,
        })
    };
    let expected = json!({
        "index": 4, "time": "1970-01-01T00:00:01.000Z", "kind": "job.canceled",
        "changes": [{
            "kind": "job.canceled", "object": "job", "id": 1,
            "before": job("Queued", 3), "after": job("Canceled", 4),
        }],
    });
    assert_eq!(shown, expected);
    let created = farm.state.events().iter().next().unwrap();
    let shown = serde_json::to_value(EventView::from(created.as_ref())).unwrap();
    assert_eq!(shown["id_assigned"], true);
    assert_eq!(shown["changes"][0]["before"], json!(null));
    let unknown = json!({"index": 1, "time": "1970-01-01T00:00:01.000Z",
        "changes": [{"object": "moon", "before": null, "after": {}}]});
    let read: EventRead = serde_json::from_value(unknown).unwrap();
    let error = Event::try_from(read).unwrap_err().to_string();
    assert!(error.contains("`moon`"), "{error}");
}

/// What a restored state holds it holds once: an object in an event is that of the table or of the
/// next event.
#[test]
fn a_snapshot_brings_events_back_that_share_their_objects() {
    let mut farm = Farm::stocked();
    let job = farm.job(3).id;
    farm.set(&job, JobStatus::Running).unwrap();
    farm.set(&job, JobStatus::Done).unwrap();
    let bytes = snapshot(&farm.state);
    let back = State::read_snapshot(&mut bytes.as_slice()).expect("a snapshot");
    let of =
        |state: &State| -> Vec<Event> { state.events().iter().map(|e| Event::clone(e)).collect() };
    assert_eq!(of(&back), of(&farm.state));
    let mut rows: Vec<Object> = back.farm().objects_after(None).collect();
    let mut shared = 0;
    for change in of(&back)
        .iter()
        .rev()
        .flat_map(|event| event.changes.iter())
    {
        let after = change.after.as_ref().unwrap();
        assert!(rows.iter().any(|row| is_same(row, after)), "{after:?}");
        rows.extend(change.before.clone());
        shared += 1;
    }
    assert_eq!(shared, 6);
}

/// Whether both are one object in memory.
fn is_same(one: &Object, two: &Object) -> bool {
    use std::sync::Arc;
    match (one, two) {
        (Object::Printer(one), Object::Printer(two)) => Arc::ptr_eq(one, two),
        (Object::Filament(one), Object::Filament(two)) => Arc::ptr_eq(one, two),
        (Object::Job(one), Object::Job(two)) => Arc::ptr_eq(one, two),
        _ => false,
    }
}

#[test]
fn a_refused_creation_takes_no_integer() {
    let mut farm = Farm::new();
    let hash = farm.state.farm_hash();
    let mut op = new_printer(None);
    if let Op::CreatePrinter(new) = &mut op {
        new.model.clear();
    }
    assert!(farm.apply(&command(1, op)).result.is_err());
    assert!(
        farm.refused(new_job(None, number(1), number(1), 1))
            .to_string()
            .contains("printer")
    );
    assert_eq!(farm.state.farm_hash(), hash);
}
