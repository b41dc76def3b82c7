//! Which problems a kind of request may meet: an answer for each status, which lists its types.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::http::problem::{Document, ProblemType, ProblemType::*};

/// What a read that asks the cluster may meet.
const READ: &[ProblemType] = &[
    InvalidParameter,
    NoQuorum,
    NotReady,
    Overloaded,
    ShuttingDown,
    NodeFailed,
];
/// What any request with a body may meet.
const BODY: &[ProblemType] = &[
    InvalidParameter,
    MalformedBody,
    InvalidFields,
    BodyTooLarge,
    BodyTimeout,
    Overloaded,
];
/// What any write may meet.
const WRITE: &[ProblemType] = &[
    InvalidHeader,
    IdempotencyKeyReused,
    NoQuorum,
    OutcomeUnknown,
    ShuttingDown,
    NodeFailed,
    Internal,
];
/// What a change of the members may meet.
const MEMBERS: &[ProblemType] = &[
    InvalidHeader,
    UnknownMember,
    ChangeInProgress,
    WouldLoseQuorum,
    NoQuorum,
    OutcomeUnknown,
    ShuttingDown,
    NodeFailed,
    Internal,
];

/// Declares a type for each set of problems, for `responses(...)` of a description.
macro_rules! problem_sets {
    ($($(#[$doc:meta])* $name:ident = $types:expr;)+) => { $(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let sets: &[&[ProblemType]] = &$types;
                responses_of(&sets.concat())
            }
        }
    )+ };
}

problem_sets! {
    /// Of listing objects.
    Listing = [READ];
    /// Of listing print jobs.
    ListingJobs = [READ, &[UnknownStatus]];
    /// Of reading one object.
    Reading = [READ, &[NotFound]];
    /// Of creating a printer or a filament.
    Creating = [BODY, WRITE, &[IdTaken]];
    /// Of creating a print job.
    CreatingJob = [BODY, WRITE, &[IdTaken, UnknownPrinter, UnknownFilament, NotEnoughFilament]];
    /// Of changing the status of a print job.
    Transition = [BODY, WRITE, &[UnknownStatus, NotFound, ForbiddenTransition, PreconditionFailed]];
    /// Of changing or deleting a printer or a filament.
    Changing = [BODY, WRITE, &[NotFound, PreconditionFailed, InUse]];
    /// Of asking a node for its own view.
    OwnView = [&[InvalidParameter]];
    /// Of asking for a snapshot.
    Snapshotting = [&[InvalidParameter, NoSnapshot]];
    /// Of listing files of the node.
    Files = [&[InvalidParameter, Internal]];
    /// Of downloading one.
    Downloading = [&[InvalidParameter, NotFound, Overloaded, Internal]];
    /// Of downloading a backup.
    BackingUp = [READ];
    /// Of changing the settings.
    Setting = [BODY, WRITE];
    /// Of hashing and exporting the farm.
    Hashing = [READ, &[Internal]];
    /// Of following the events.
    Following = [READ, &[InvalidHeader, PositionGone, Internal]];
    /// Of listing the members.
    ListingMembers = [BODY, &[InvalidHeader, NoQuorum, Internal]];
    /// Of taking in a node.
    Joining = [BODY, MEMBERS, &[MemberExists, OtherNode, NodeUnreachable]];
    /// Of removing a node.
    Removing = [BODY, MEMBERS, &[NotCaughtUp]];
    /// Of letting a learner vote.
    Promoting = [BODY, MEMBERS, &[NotCaughtUp]];
    /// Of handing over the leadership.
    HandingOver = [BODY, MEMBERS, &[NotCaughtUp]];
    /// Of creating a token.
    CreatingToken = [BODY, WRITE, &[NameTaken, TooManyTokens]];
    /// Of revoking a token.
    RevokingToken = [BODY, WRITE, &[NotFound]];
    /// Of what is not open to everybody, where tokens are demanded.
    Guarded = [&[Unauthenticated, Forbidden, TooManyFailures, NoQuorum, Overloaded]];
    /// Of asking whether a node is ready.
    Readiness = [&[NotReady, NodeFailed]];
    /// Of what cannot fail but by the node's own fault.
    OwnFault = [&[Internal]];
    /// Of files that may not be there.
    NoFile = [&[NoSuchEndpoint, Internal]];
}

/// An answer for each status among `types`.
fn responses_of(types: &[ProblemType]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<ProblemType>> = BTreeMap::new();
    for &problem_type in types {
        let status = problem_type.status().as_str().to_owned();
        let of_status = by_status.entry(status).or_default();
        if !of_status.contains(&problem_type) {
            of_status.push(problem_type);
        }
    }
    by_status
        .into_iter()
        .map(|(status, types)| (status, response_of(&types).into()))
        .collect()
}

/// The answer for `types`, which have one status.
fn response_of(types: &[ProblemType]) -> Response {
    let lines = types
        .iter()
        .map(|t| format!("* `{}`: {}", t.uri(), t.title()));
    let uris = types.iter().map(|t| t.uri());
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(uris));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(Document::name()))
        .item(ObjectBuilder::new().property("type", kind));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response = ResponseBuilder::new()
        .description(lines.collect::<Vec<_>>().join("\n"))
        .content("application/problem+json", content);
    if types
        .iter()
        .any(|t| matches!(t.status().as_u16(), 429 | 503))
    {
        let header = HeaderBuilder::new()
            .description(Some("Seconds after which to try again"))
            .build();
        response = response.header("Retry-After", header);
    }
    response.build()
}
