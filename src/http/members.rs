//! `/api/v1/cluster/members` and `/api/v1/cluster/transfer-leader`: on any node, carried out by the
//! leader.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::rejection::PathRejection};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::fields::Fields;
use super::openapi::problems::{HandingOver, Joining, ListingMembers, Promoting, Removing};
use super::openapi::{parameters, schemas};
use super::peers::{self, Call, Peers};
use super::problem::{Problem, ProblemType};
use crate::consensus::{Consensus, Member, Role, Status};
use crate::service::FarmService;
use crate::service::members::{MembersError, NewMember};

/// The id in a path, as axum decodes it.
type NodeId = Result<Path<i32>, PathRejection>;

/// A member as the leader shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = MemberInList)]
struct View<'a> {
    #[serde(flatten)]
    member: &'a Member,
    /// Whether it leads.
    leader: bool,
}

/// `GET /api/v1/cluster/members`: as the leader sees them.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/members",
    tag = "cluster",
    summary = "The members as the leader sees them",
    responses((status = 200, description = "The members", body = Vec<View>), ListingMembers)
)]
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(peers): State<Peers>,
    request: Request,
) -> Result<Response, Problem> {
    let call = Call::receive(request).await?;
    on_leader(&service, &peers, &call, async |status| {
        let views = status.members.iter().map(|member| View {
            member,
            leader: member.id == status.node_id,
        });
        Ok(Json(views.collect::<Vec<_>>()).into_response())
    })
    .await
}

/// `POST /api/v1/cluster/members` `{id, raft_addr, http_addr}`: takes in a node that was started to
/// join, as a learner.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/members",
    tag = "cluster",
    summary = "Take in a node that was started to join, as a learner",
    request_body = schemas::NewMember,
    responses((status = 201, description = "The member", body = Member), Joining)
)]
pub async fn add<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(peers): State<Peers>,
    request: Request,
) -> Result<Response, Problem> {
    let call = Call::receive(request).await?;
    let mut fields = Fields::parse(call.body())?;
    let id: i32 = fields.required("id", 1);
    if id < 1 {
        fields.refuse("id", "must be 1 or more");
    }
    let raft_addr = address(&mut fields, "raft_addr");
    let http_addr = address(&mut fields, "http_addr");
    fields.finish(Vec::new())?;
    on_leader(&service, &peers, &call, async |status| {
        let theirs = peers.introduce(&http_addr).await?;
        peers::check_introduction(&status, &theirs, id, &raft_addr)?;
        let new = NewMember {
            id,
            raft_addr,
            http_addr,
            directory: theirs.directory_id,
            command_version: theirs.command_version,
        };
        let member = service.add_member(&new).await?;
        Ok((StatusCode::CREATED, Json(member)).into_response())
    })
    .await
}

/// `DELETE /api/v1/cluster/members/{id}`: removes a member, dead or alive. A leader that is to go
/// hands its part over first.
#[utoipa::path(
    delete,
    path = "/api/v1/cluster/members/{id}",
    tag = "cluster",
    summary = "Remove a member, dead or alive",
    description = "A leader that is to go hands its part over first. What would lose the quorum is refused.",
    params(parameters::NodeId),
    responses((status = 200, description = "It is removed", body = schemas::Removed), Removing)
)]
pub async fn remove<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(peers): State<Peers>,
    id: NodeId,
    request: Request,
) -> Result<Response, Problem> {
    let id = node_id(id)?;
    let call = Call::receive(request).await?;
    on_leader(&service, &peers, &call, async |_| {
        match service.remove_member(id).await {
            Ok(()) => Ok(Json(json!({ "removed": id })).into_response()),
            Err(MembersError::IsLeader(_)) => {
                service.transfer_leadership(None).await?;
                peers.pass_on(&service.status(), &call).await
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// `POST /api/v1/cluster/members/{id}/promote`: lets a learner that has caught up vote.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/members/{id}/promote",
    tag = "cluster",
    summary = "Let a learner that has caught up vote",
    params(parameters::NodeId),
    responses((status = 200, description = "The member", body = Member), Promoting)
)]
pub async fn promote<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(peers): State<Peers>,
    id: NodeId,
    request: Request,
) -> Result<Response, Problem> {
    let id = node_id(id)?;
    let call = Call::receive(request).await?;
    on_leader(&service, &peers, &call, async |_| {
        Ok(Json(service.promote_member(id).await?).into_response())
    })
    .await
}

/// `POST /api/v1/cluster/transfer-leader` `{id?}`.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/transfer-leader",
    tag = "cluster",
    summary = "Have another voter lead",
    request_body = Option<schemas::Heir>,
    responses((status = 200, description = "Who leads now", body = schemas::Leader), HandingOver)
)]
pub async fn transfer_leader<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(peers): State<Peers>,
    request: Request,
) -> Result<Response, Problem> {
    let call = Call::receive(request).await?;
    let heir = match call.body() {
        [] => None,
        body => {
            let mut fields = Fields::parse(body)?;
            let heir: Option<i32> = fields.optional("id");
            fields.finish(Vec::new())?;
            heir
        }
    };
    on_leader(&service, &peers, &call, async |_| {
        let leader = service.transfer_leadership(heir).await?;
        Ok(Json(json!({ "leader": leader })).into_response())
    })
    .await
}

/// Carries out `act` with this node's view if it leads; the leader's answer to `call` if another does.
async fn on_leader<C: Consensus>(
    service: &FarmService<C>,
    peers: &Peers,
    call: &Call,
    act: impl AsyncFnOnce(Status) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    let status = service.status();
    match status.role {
        Role::Leader => act(status).await,
        _ => peers.pass_on(&status, call).await,
    }
}

fn address(fields: &mut Fields, name: &'static str) -> String {
    let text: String = fields.required(name, String::new());
    let port = text
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    if !text.is_empty() && !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
        fields.refuse(
            name,
            format!("`{text}` is not HOST:PORT, such as 127.0.0.1:9081"),
        );
    }
    text
}

fn node_id(id: NodeId) -> Result<i32, Problem> {
    let Path(id) = id.map_err(|error| {
        let detail = format!("a node's id is a number from 1: {}", error.body_text());
        Problem::new(ProblemType::UnknownMember, detail)
    })?;
    Ok(id)
}

impl From<MembersError> for Problem {
    fn from(error: MembersError) -> Problem {
        let (problem_type, advice) = match error {
            MembersError::Submit(error) => return error.into(),
            MembersError::Refused(refusal) => return refusal.into(),
            MembersError::NotLeader(_) => (ProblemType::NoQuorum, "nothing was changed, try again"),
            MembersError::UnknownMember(_) => (
                ProblemType::UnknownMember,
                "GET /api/v1/cluster/members lists the members",
            ),
            MembersError::Taken(_) => (ProblemType::MemberExists, "nothing was changed"),
            MembersError::ChangeInProgress | MembersError::StillLeaving(_) => (
                ProblemType::ChangeInProgress,
                "nothing was changed, try again in a moment",
            ),
            MembersError::WouldLoseQuorum(_) => (
                ProblemType::WouldLoseQuorum,
                "bring nodes back, or add and promote others, first",
            ),
            MembersError::NotCaughtUp(_) => (ProblemType::NotCaughtUp, "try again when it has"),
            MembersError::IsLeader(_) => (ProblemType::WouldLoseQuorum, "transfer the leadership"),
            MembersError::IsLearner(_) => (ProblemType::NotCaughtUp, "promote it first"),
            MembersError::NotTakenOver(_) => (ProblemType::NoQuorum, "try again"),
            MembersError::Forbidden => (ProblemType::WouldLoseQuorum, "nothing was changed"),
            MembersError::OutcomeUnknown(_) => (
                ProblemType::OutcomeUnknown,
                "it may be done yet: look at GET /api/v1/cluster/members before you repeat it",
            ),
        };
        Problem::new(problem_type, format!("{error}; {advice}"))
    }
}
