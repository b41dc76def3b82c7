//! One node's API asking another's: the leader, for what only it can do, and a node that wants to
//! join, for who it is.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::API_KEY;
use super::headers::REQUEST_ID;
use super::problem::{Problem, ProblemType};
use super::write::Received;
use crate::client::api::failure;
use crate::client::http::HttpClient;
use crate::consensus::Status;
use crate::identity::{ClusterId, DirectoryId};
use crate::storage::Stage;
use crate::traces;

/// Names the node that passed a request on: such a request is not passed on again.
const FORWARDED_BY: HeaderName = HeaderName::from_static("x-raft3d-forwarded-by");
/// Longest wait for a node that introduces itself: it looks nowhere else for the answer.
const INTRODUCTION_TIMEOUT: Duration = Duration::from_secs(2);
/// What the leader gets beyond the request timeout, within which it answers.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// A client of the other nodes' APIs. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Peers {
    http: HttpClient,
    request_timeout: Duration,
}

/// What a node says of itself to the leader of a cluster that is to take it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Introduction {
    node_id: i32,
    cluster_id: Option<ClusterId>,
    /// The name of its data directory.
    pub directory_id: DirectoryId,
    /// The newest version of commands that it reads.
    pub command_version: u8,
    raft_addr: String,
    stage: Stage,
}

impl Introduction {
    /// Of the node whose view of the cluster is `status`.
    pub fn of(status: Status) -> Introduction {
        Introduction {
            node_id: status.node_id,
            cluster_id: status.cluster_id,
            directory_id: status.directory_id,
            command_version: status.command_version,
            raft_addr: status.raft_addr,
            stage: status.stage,
        }
    }
}

/// A request as it came, so that it can be passed on as it is.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    forwarded: bool,
    /// What shows who the caller is: it has to convince the leader too.
    credentials: HeaderMap,
    received: Received,
}

impl Call {
    /// Receives the whole of `request`, which has no query.
    pub async fn receive(request: Request) -> Result<Call, Problem> {
        Ok(Call {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            forwarded: request.headers().contains_key(FORWARDED_BY),
            credentials: credentials(request.headers()),
            received: Received::receive(request, &[]).await?,
        })
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.received.body()
    }
}

impl Peers {
    /// A client for a node whose requests may take `request_timeout`.
    pub fn new(http: HttpClient, request_timeout: Duration) -> Peers {
        Peers {
            http,
            request_timeout,
        }
    }

    /// Passes `call` on to the leader that `status` names, once, and gives its answer.
    pub async fn pass_on(&self, status: &Status, call: &Call) -> Result<Response, Problem> {
        let nobody = |detail: String| {
            let detail = format!("{detail}; nothing was changed, try again");
            Problem::new(ProblemType::NoQuorum, detail)
        };
        let leader = status
            .leader
            .filter(|leader| *leader != status.node_id && !call.forwarded)
            .ok_or_else(|| nobody("no leader is known that could do this".into()))?;
        let member = status.members.iter().find(|m| m.id == leader);
        let addr = member.and_then(|m| m.http_addr.as_deref()).ok_or_else(|| {
            nobody(format!(
                "node {leader} leads and has not announced its HTTP address yet"
            ))
        })?;
        let origin = self.http.origin(addr).map_err(nobody)?;
        let body = Bytes::copy_from_slice(call.body());
        let request = self
            .http
            .get()
            .request(call.method.clone(), origin + &call.path)
            .headers(call.credentials.clone())
            .headers(traces::http::handed_on())
            .header(FORWARDED_BY, status.node_id)
            .header(REQUEST_ID, super::headers::request_id().unwrap_or_default())
            .timeout(self.request_timeout + ANSWER_MARGIN)
            .body(body);
        match request.send().await {
            Ok(answer) => copy(answer).await.map_err(|error| lost(call, &error)),
            Err(error) if error.is_connect() => Err(nobody(format!(
                "the leader, node {leader}, is not reached at {addr}: {}",
                failure(&error)
            ))),
            Err(error) => Err(lost(call, &error)),
        }
    }

    /// What the node at `addr` says of itself.
    pub async fn introduce(&self, addr: &str) -> Result<Introduction, Problem> {
        let unreachable = |reason: String| {
            let detail = format!(
                "no node introduces itself at http_addr {addr}: {reason}; start it with raft3d \
                 serve --join first"
            );
            Problem::new(ProblemType::NodeUnreachable, detail)
        };
        let origin = self.http.origin(addr).map_err(unreachable)?;
        let request = self
            .http
            .get()
            .get(origin + "/api/v1/cluster/introduction")
            .headers(traces::http::handed_on())
            .timeout(INTRODUCTION_TIMEOUT);
        let answer = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| unreachable(failure(&error)))?;
        let introduction = answer.json().await;
        introduction.map_err(|error| unreachable(failure(&error)))
    }
}

/// Refuses a node that is not what it is taken for, or belongs elsewhere. `ours` is the leader's
/// view.
pub fn check_introduction(
    ours: &Status,
    theirs: &Introduction,
    id: i32,
    raft_addr: &str,
) -> Result<(), Problem> {
    let other = |detail: String| Err(Problem::new(ProblemType::OtherNode, detail));
    if theirs.node_id != id {
        return other(format!(
            "the node there is node {}, not node {id}",
            theirs.node_id
        ));
    }
    if theirs.raft_addr != raft_addr {
        return other(format!(
            "node {id} is reached by the others at {}, not at {raft_addr}",
            theirs.raft_addr
        ));
    }
    let Some(ours) = ours.cluster_id else {
        let detail = "this cluster has no name yet; nothing was changed, try again";
        return Err(Problem::new(ProblemType::NoQuorum, detail));
    };
    if let Some(theirs) = theirs.cluster_id.filter(|theirs| *theirs != ours) {
        return other(format!(
            "node {id} belongs to cluster {theirs}, and this is cluster {ours}: start it with an \
             empty data directory and --join"
        ));
    }
    match theirs.stage {
        Stage::Joining | Stage::Member if theirs.cluster_id.is_some() => Ok(()),
        Stage::Removed => other(format!(
            "node {id} was removed from the cluster: start it with an empty data directory"
        )),
        _ => other(format!(
            "node {id} does not wait to be taken in: start it with an empty data directory and \
             --join"
        )),
    }
}

fn credentials(headers: &HeaderMap) -> HeaderMap {
    let both = [AUTHORIZATION, API_KEY];
    let shown = both.into_iter().filter_map(|name| {
        let mut value = headers.get(&name)?.clone();
        value.set_sensitive(true);
        Some((name, value))
    });
    shown.collect()
}

/// The leader's answer as this node's.
async fn copy(answer: reqwest::Response) -> Result<Response, reqwest::Error> {
    let status = answer.status();
    let headers = answer.headers().clone();
    let mut response = (status, answer.bytes().await?).into_response();
    for name in [
        CONTENT_TYPE,
        RETRY_AFTER,
        WWW_AUTHENTICATE,
        super::headers::INDEX,
    ] {
        match headers.get(&name) {
            Some(value) => response.headers_mut().insert(name, value.clone()),
            None => response.headers_mut().remove(name),
        };
    }
    Ok(response)
}

/// The leader was reached and its answer was not received.
fn lost(call: &Call, error: &reqwest::Error) -> Problem {
    let reason = failure(error);
    if call.method == Method::GET {
        let detail = format!("the leader did not answer: {reason}; try again");
        return Problem::new(ProblemType::NoQuorum, detail);
    }
    let detail = format!(
        "the leader did not answer: {reason}; the change may have been made or may be yet: look at \
         GET /api/v1/cluster/members before you repeat it"
    );
    Problem::new(ProblemType::OutcomeUnknown, detail)
}
