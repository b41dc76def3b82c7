//! The hash of the farm: of all its objects, and of nothing else.

use raft3d::domain::command::Op;
use raft3d::domain::model::JobStatus;

use crate::support::{
    Farm, cluster_id, keyed, new_filament, new_job, new_printer, node_entry, number, text,
};

#[test]
fn what_is_not_the_farm_does_not_count() {
    let mut farm = Farm::stocked();
    let before = (farm.state.farm_hash(), farm.state.hash());
    for op in [
        Op::FoundCluster(cluster_id(1)),
        Op::AnnounceNode(node_entry(1, 8081, 1)),
        Op::Barrier,
    ] {
        farm.run(op).unwrap();
    }
    let refused = new_printer(Some(number(1)));
    assert!(farm.apply(&keyed(9_000, "key", 1, refused)).result.is_err());
    assert_eq!(farm.state.farm_hash(), before.0);
    assert_ne!(farm.state.hash(), before.1);
}

#[test]
fn every_change_of_an_object_counts() {
    let mut farm = Farm::stocked();
    let mut seen = vec![Farm::new().state.farm_hash(), farm.state.farm_hash()];
    let job = farm.job(5).id;
    seen.push(farm.state.farm_hash());
    for status in [JobStatus::Running, JobStatus::Done] {
        farm.set(&job, status).unwrap();
        seen.push(farm.state.farm_hash());
    }
    for op in [
        new_printer(Some(text("shed"))),
        new_printer(Some(text("lab"))),
        new_filament(None, 1_000, Some(7)),
        new_job(None, number(1), number(1), 5),
    ] {
        farm.run(op).unwrap();
        seen.push(farm.state.farm_hash());
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn the_ids_to_come_count() {
    // The same printer, but only one of the farms has assigned its id and will not look at it again.
    let (mut given, mut assigned) = (Farm::new(), Farm::new());
    given.printer(Some(number(1)));
    assigned.printer(None);
    assert_ne!(given.state.farm_hash(), assigned.state.farm_hash());
}
