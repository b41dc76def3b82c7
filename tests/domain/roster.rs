//! The cluster's name and its nodes: the first name stays, and a node cannot change its directory.

use raft3d::domain::command::{NEWEST_VERSION, Op};
use raft3d::domain::outcome::{Refusal, Reply};

use crate::support::{Farm, cluster_id, directory_id, node_entry};

#[test]
fn the_first_name_stays() {
    let mut farm = Farm::new();
    assert_eq!(farm.state.roster().cluster(), None);
    for proposed in [1, 2] {
        let answer = farm.run(Op::FoundCluster(cluster_id(proposed)));
        assert_eq!(answer, Ok(Reply::Cluster(cluster_id(1))));
    }
    assert_eq!(farm.state.roster().cluster(), Some(cluster_id(1)));
}

#[test]
fn a_node_may_move_but_not_change_its_directory() {
    let mut farm = Farm::new();
    for port in [8081, 9090] {
        let entry = node_entry(3, port, 1);
        assert_eq!(
            farm.run(Op::AnnounceNode(entry.clone())),
            Ok(Reply::NodeNoted)
        );
        assert_eq!(farm.state.roster().node(3), Some(&entry.record));
    }
    let other = farm.run(Op::AnnounceNode(node_entry(3, 9090, 2)));
    assert_eq!(other, Err(Refusal::OtherDirectory { node_id: 3 }));
    let known = farm.state.roster().node(3).map(|record| record.directory);
    assert_eq!(known, Some(directory_id(1)));
}

#[test]
fn a_node_that_is_taken_in_again_comes_with_a_new_directory() {
    let mut farm = Farm::new();
    assert!(farm.run(Op::AnnounceNode(node_entry(3, 8083, 1))).is_ok());
    assert!(farm.run(Op::AdmitNode(node_entry(3, 8083, 2))).is_ok());
    assert!(farm.run(Op::AnnounceNode(node_entry(3, 8083, 2))).is_ok());
    assert!(farm.run(Op::AnnounceNode(node_entry(3, 8083, 1))).is_err());
}

#[test]
fn a_node_that_cannot_read_the_log_is_refused() {
    let mut farm = Farm::new();
    let with = |version| {
        let mut entry = node_entry(3, 8083, 1);
        entry.record.command_version = version;
        entry
    };
    assert_eq!(farm.state.roster().version_used(), 1);
    let older = Err(Refusal::OlderProgram {
        node_id: 3,
        reads: 0,
        used: 1,
    });
    assert_eq!(farm.run(Op::AdmitNode(with(0))), older);
    assert_eq!(farm.run(Op::AnnounceNode(with(0))), older);
    assert_eq!(farm.state.roster().node(3), None);
    assert!(farm.run(Op::AnnounceNode(with(NEWEST_VERSION))).is_ok());
    // The program may go back to an older version as long as that reads all.
    assert!(farm.run(Op::AnnounceNode(with(1))).is_ok());
    assert_eq!(farm.state.roster().node(3), Some(&with(1).record));
}
