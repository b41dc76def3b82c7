//! `--bootstrap-expect`: nodes with empty data directories find each other by HTTP and found a cluster.
//!
//! Each is told the same `--join`: the HTTP addresses of all that are to found the cluster, itself among
//! them. A node without data shows who it is ([`Candidate`]) and looks at the others until it may begin.
//!
//! There are never two clusters of one list. A node founds one only if in one look *every* address of
//! the list answers with a candidate that was told the same list, and so if none of them has data; the
//! members are then those of the list, all of them, whoever looks. Once one has begun, the others see its
//! data, and begin as the members that it knows, or ask to be taken in. A node that does not answer, or
//! was told something else, is waited for: nobody can tell whether it has data.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::client::api::{Answer, Api, ClientError, Request, failure};
use crate::client::http::HttpClient;
use crate::consensus::Status;
use crate::identity::ClusterId;
use crate::raft::FirstStart;
use crate::secret::Secret;

/// Longest wait for one answer: a node looks nowhere else for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// A node without data that waits to found a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Server id, positive.
    pub node_id: i32,
    /// `host:port` where the others reach its Raft listener.
    pub raft_addr: String,
    /// HTTP addresses of all that found the cluster, sorted: as many as are expected.
    pub bootstrap: Vec<String>,
}

/// What a node shows at `/api/v1/cluster`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Shown {
    /// It has no data.
    Candidate(Candidate),
    /// It has.
    Node(Box<Status>),
}

/// What to do after a look at all of the list.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// To begin as one of these members, by id and Raft address.
    Found(Vec<(i32, String)>),
    /// To ask to be taken into this cluster.
    Join(ClusterId),
    /// To look again; why.
    Wait(String),
}

/// Waits until `own`, which is shown meanwhile, may begin, and gives as what. The others are asked
/// by `http` and shown `token`.
pub async fn wait(
    own: &Candidate,
    http: HttpClient,
    token: Option<Secret>,
) -> Result<FirstStart, ClientError> {
    let api = Api::new(&own.bootstrap, ANSWER_TIMEOUT, http)?.with_token(token);
    let mut trouble = String::new();
    loop {
        let seen = look(&api).await;
        match decide(own, &seen) {
            Decision::Found(members) => {
                info!(
                    ?members,
                    "all that are expected are there: this node begins"
                );
                return Ok(FirstStart::Found(members));
            }
            Decision::Join(cluster) => {
                info!(%cluster, "there is a cluster already: this node joins it");
                return Ok(FirstStart::Join(cluster));
            }
            Decision::Wait(reason) if reason != trouble => {
                warn!(reason, "this node waits for the others");
                trouble = reason;
            }
            Decision::Wait(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What each address shows, or why that is not known.
async fn look(api: &Api) -> Vec<(String, Result<Shown, String>)> {
    let request = Request::get("/api/v1/cluster", &[]);
    let mut seen = Vec::new();
    for endpoint in api.endpoints() {
        let answer = api.send(endpoint, &request, ANSWER_TIMEOUT).await;
        let shown = answer.map_err(|error| failure(&error)).and_then(read);
        seen.push((endpoint.clone(), shown));
    }
    seen
}

fn read(answer: Answer) -> Result<Shown, String> {
    let body = answer
        .into_result()
        .map_err(|error| error.to_string().replace('\n', " "))?;
    serde_json::from_value(body).map_err(|_| "its answer is no view of a cluster".into())
}

/// What `own` is to do after it has `seen` that.
pub fn decide(own: &Candidate, seen: &[(String, Result<Shown, String>)]) -> Decision {
    let nodes: Vec<&Status> = seen
        .iter()
        .filter_map(|(_, shown)| match shown {
            Ok(Shown::Node(status)) => Some(status.as_ref()),
            _ => None,
        })
        .collect();
    if nodes.is_empty() {
        found(own, seen)
    } else {
        follow(own, &nodes)
    }
}

/// Some nodes have data: they know the members, or will.
fn follow(own: &Candidate, nodes: &[&Status]) -> Decision {
    let names: BTreeSet<ClusterId> = nodes.iter().filter_map(|node| node.cluster_id).collect();
    if names.len() > 1 {
        let names: Vec<String> = names.iter().map(ClusterId::to_string).collect();
        let names = names.join(" and ");
        return Decision::Wait(format!(
            "the nodes of --join are of different clusters: {names}"
        ));
    }
    let Some(node) = nodes
        .iter()
        .max_by_key(|node| (node.cluster_id, node.committed_index))
    else {
        return Decision::Wait("nobody has data".into());
    };
    let known = node.members.iter().find(|m| m.id == own.node_id);
    match (known, node.cluster_id) {
        (Some(known), _) if known.raft_addr != own.raft_addr => Decision::Wait(format!(
            "node {} of the cluster is at {}, not at {}: give this node another --node-id, or that \
             --raft-addr",
            own.node_id, known.raft_addr, own.raft_addr
        )),
        (Some(known), _) if !known.learner => {
            let voters = node.members.iter().filter(|m| !m.learner);
            Decision::Found(voters.map(|m| (m.id, m.raft_addr.clone())).collect())
        }
        (_, Some(cluster)) => Decision::Join(cluster),
        (_, None) => Decision::Wait(format!(
            "node {} has founded a cluster without this node, which has no name yet",
            node.node_id
        )),
    }
}

/// No node that answers has data.
fn found(own: &Candidate, seen: &[(String, Result<Shown, String>)]) -> Decision {
    let mut members = Vec::new();
    for (addr, shown) in seen {
        match shown {
            Ok(Shown::Candidate(other)) if other.bootstrap == own.bootstrap => {
                members.push((other.node_id, other.raft_addr.clone()));
            }
            Ok(Shown::Candidate(other)) => {
                return Decision::Wait(format!(
                    "the node at {addr} was told another list: {}",
                    other.bootstrap.join(",")
                ));
            }
            // A node with data is followed instead.
            Ok(Shown::Node(_)) => {}
            Err(reason) => return Decision::Wait(format!("{addr}: {reason}")),
        }
    }
    members.sort();
    let ids: BTreeSet<i32> = members.iter().map(|(id, _)| *id).collect();
    let addrs: BTreeSet<&String> = members.iter().map(|(_, addr)| addr).collect();
    let expected = own.bootstrap.len();
    if ids.len() != expected || addrs.len() != expected {
        let list: Vec<String> = members
            .iter()
            .map(|(id, addr)| format!("{id}={addr}"))
            .collect();
        return Decision::Wait(format!(
            "{expected} nodes of different ids and addresses are expected, and these are there: {}",
            list.join(",")
        ));
    }
    if !members.contains(&(own.node_id, own.raft_addr.clone())) {
        return Decision::Wait("this node is at none of the addresses of --join".into());
    }
    Decision::Found(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{Member, Role};
    use crate::identity::DirectoryId;
    use crate::storage::Stage;

    const LIST: [&str; 3] = ["h1:80", "h2:80", "h3:80"];

    fn candidate(node_id: i32) -> Candidate {
        Candidate {
            node_id,
            raft_addr: format!("h{node_id}:90"),
            bootstrap: LIST.map(str::to_owned).into(),
        }
    }

    fn member(id: i32) -> Member {
        Member {
            id,
            raft_addr: format!("h{id}:90"),
            learner: false,
            last_log_index: None,
            last_contact_ms: None,
            http_addr: None,
        }
    }

    /// A node with data, of a cluster with this name.
    fn node(node_id: i32, name: Option<u8>, members: &[i32]) -> Status {
        Status {
            node_id,
            cluster_id: name.and_then(|byte| ClusterId::from_bytes([byte; 16])),
            directory_id: DirectoryId::from_bytes([1; 16]).unwrap(),
            raft_addr: format!("h{node_id}:90"),
            command_version: 1,
            stage: Stage::Member,
            leader: None,
            role: Role::Follower,
            term: 0,
            last_log_index: 0,
            committed_index: 0,
            applied_index: 0,
            snapshot_index: 0,
            log_start_index: 1,
            members: members.iter().map(|id| member(*id)).collect(),
            failure: None,
        }
    }

    /// What node 1 does when it sees this, and what is at the addresses of nodes 2 and 3.
    fn first(second: Result<Shown, String>, third: Result<Shown, String>) -> Decision {
        let own = candidate(1);
        let shown = [Ok(Shown::Candidate(own.clone())), second, third];
        let seen: Vec<_> = LIST.map(str::to_owned).into_iter().zip(shown).collect();
        decide(&own, &seen)
    }

    fn waiting(id: i32) -> Result<Shown, String> {
        Ok(Shown::Candidate(candidate(id)))
    }

    fn has_data(status: Status) -> Result<Shown, String> {
        // As it comes over the wire.
        let text = serde_json::to_string(&status).unwrap();
        Ok(serde_json::from_str(&text).unwrap())
    }

    fn all() -> Decision {
        Decision::Found([1, 2, 3].map(|id| (id, format!("h{id}:90"))).into())
    }

    #[track_caller]
    fn waits(decision: Decision, told: &str) {
        match decision {
            Decision::Wait(reason) => assert!(reason.contains(told), "{reason}"),
            other => panic!("{other:?}, though {told}"),
        }
    }

    #[test]
    fn only_all_together_found_a_cluster() {
        assert_eq!(first(waiting(2), waiting(3)), all());
        assert_eq!(first(waiting(3), waiting(2)), all());
        waits(
            first(waiting(2), Err("cannot connect".into())),
            "h3:80: cannot connect",
        );
        waits(first(waiting(2), waiting(2)), "different ids");
        waits(first(waiting(2), waiting(1)), "different ids");
        let mut other = candidate(3);
        other.bootstrap.pop();
        waits(
            first(waiting(2), Ok(Shown::Candidate(other))),
            "another list: h1:80,h2:80",
        );
        let mut same_addr = candidate(3);
        same_addr.raft_addr = "h2:90".into();
        waits(
            first(waiting(2), Ok(Shown::Candidate(same_addr))),
            "different ids",
        );
        let own = candidate(4);
        let seen: Vec<_> = (1..=3)
            .map(|id| (format!("h{id}:80"), waiting(id)))
            .collect();
        waits(decide(&own, &seen), "none of the addresses");
    }

    #[test]
    fn who_has_begun_is_followed_even_if_others_are_silent() {
        let silent = || Err("cannot connect".to_owned());
        assert_eq!(first(has_data(node(2, None, &[1, 2, 3])), silent()), all());
        assert_eq!(
            first(has_data(node(2, Some(7), &[1, 2, 3])), waiting(3)),
            all()
        );
        let named = ClusterId::from_bytes([7; 16]).unwrap();
        let grown = has_data(node(2, Some(7), &[2, 3, 4]));
        assert_eq!(first(grown, waiting(3)), Decision::Join(named));
        let mut learning = node(2, Some(7), &[1, 2, 3]);
        learning.members[0].learner = true;
        assert_eq!(first(has_data(learning), silent()), Decision::Join(named));
    }

    #[test]
    fn what_does_not_fit_is_waited_for() {
        let founded_alone = has_data(node(2, None, &[2]));
        waits(first(founded_alone, waiting(3)), "without this node");
        let mut elsewhere = node(2, Some(7), &[1, 2, 3]);
        elsewhere.members[0].raft_addr = "h9:90".into();
        waits(first(has_data(elsewhere), waiting(3)), "is at h9:90");
        let two = first(
            has_data(node(2, Some(7), &[1, 2])),
            has_data(node(3, Some(8), &[1, 3])),
        );
        waits(two, "different clusters");
    }
}
