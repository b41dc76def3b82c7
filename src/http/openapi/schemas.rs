//! Values with a form of their own in JSON, and the bodies of requests.

// Most of these are only described: requests are read field by field, so that one answer names all
// that is wrong with them (see `fields`).
#![allow(dead_code)]

use std::borrow::Cow;

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::events::{OBJECT_NAMES, VERBS};
use crate::domain::id::{INTEGER_MAX, Id, TEXT_LEN_MAX};
use crate::domain::model::{FilamentType, JobStatus};
use crate::domain::time::Timestamp;
use crate::domain::tokens::NamedActor;
use crate::domain::weight::Grams;
use crate::identity::{ClusterId, DirectoryId};

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(-INTEGER_MAX))
            .maximum(Some(INTEGER_MAX));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(TEXT_LEN_MAX));
        OneOfBuilder::new()
            .item(number)
            .item(text)
            .description(Some(
                "An integer, or a text of at most 128 bytes; kept as the JSON type it came with. \
                 The text form is the identity: 7 and \"7\" are the same id",
            ))
            .into()
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Id")
    }
}

impl PartialSchema for Grams {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .maximum(Some(Grams::MAX.get()))
            .description(Some("Whole grams"))
            .into()
    }
}

impl ToSchema for Grams {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Grams")
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, in UTC"))
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Timestamp")
    }
}

/// A text that matches `pattern`.
fn text_like(pattern: &str, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .description(Some(description))
        .into()
}

macro_rules! identity_schema {
    ($($name:ident),+) => { $(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text_like("^[0-9a-f]{32}$", "128 random bits")
            }
        }

        impl ToSchema for $name {}
    )+ };
}

identity_schema!(ClusterId, DirectoryId);

/// A pattern for `names` in any letter case.
fn any_case<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let either = |c: char| format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase());
    let names = names
        .into_iter()
        .map(|name| name.chars().map(either).collect());
    format!("({})", names.collect::<Vec<String>>().join("|"))
}

/// The name of a filament type in a request.
pub struct FilamentTypeName;

impl PartialSchema for FilamentTypeName {
    fn schema() -> RefOr<Schema> {
        let names = any_case(FilamentType::ALL.map(FilamentType::name));
        text_like(
            &format!("^{names}$"),
            "PLA, PETG, ABS or TPU, in any letter case",
        )
    }
}

impl ToSchema for FilamentTypeName {}

/// The name of a job status in a request.
pub struct StatusName;

impl PartialSchema for StatusName {
    fn schema() -> RefOr<Schema> {
        let names = JobStatus::ALL.map(JobStatus::name);
        let names = any_case(names.into_iter().chain(["Cancelled"]));
        text_like(
            &format!("^({names}|\"{names}\")$"),
            "Queued, Running, Done or Canceled (or Cancelled), in any letter case, with or without \
             quotes around it",
        )
    }
}

impl ToSchema for StatusName {}

/// The name of a kind of event in a request.
pub struct EventKindName;

impl PartialSchema for EventKindName {
    fn schema() -> RefOr<Schema> {
        let pattern = format!("^({})\\.({})$", OBJECT_NAMES.join("|"), VERBS.join("|"));
        text_like(&pattern, "An object's kind, a dot, and what happened to it")
    }
}

impl ToSchema for EventKindName {}

/// A kind of object, or one object, in a request for events.
pub struct EventObjectName;

impl PartialSchema for EventObjectName {
    fn schema() -> RefOr<Schema> {
        let pattern = format!("^({})(:.{{1,32}})?$", OBJECT_NAMES.join("|"));
        text_like(
            &pattern,
            "An object's kind, perhaps with a colon and its id",
        )
    }
}

impl ToSchema for EventObjectName {}

/// How fresh a read has to be
#[derive(ToSchema)]
#[schema(rename_all = "lowercase", default = "linearizable")]
pub enum ConsistencyName {
    /// Never older than any write acknowledged before.
    Linearizable,
    /// This node's own state.
    Eventual,
}

/// What a caller may do; each role may do all that those before it may
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum RoleName {
    /// Reads.
    Viewer,
    /// Creates print jobs and changes their status.
    Submitter,
    /// Creates and changes printers and filaments.
    Operator,
    /// Changes the cluster, sees all that is stored, gives and takes tokens.
    Admin,
}

/// A token to be created
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name, which no other has
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.@-]+$")]
    name: String,
    /// What its holder may do
    role: RoleName,
    /// From when on it is worth nothing; never if not given
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
}

/// Who the node takes the caller for: a token, or somebody who has none
#[derive(ToSchema)]
pub struct Caller {
    /// The token's name, or none
    name: Option<String>,
    /// What the caller may do
    role: RoleName,
}

/// A printer to be created
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrinter {
    /// The id wanted, or the next free integer
    #[schema(nullable = false)]
    id: Option<Id>,
    /// Who makes it
    #[schema(min_length = 1)]
    company: String,
    /// Which of the company's printers it is
    #[schema(min_length = 1)]
    model: String,
}

/// A roll of filament to be created
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFilament {
    /// The id wanted, or the next free integer
    #[schema(nullable = false)]
    id: Option<Id>,
    /// The plastic
    r#type: FilamentTypeName,
    /// Its colour
    #[schema(min_length = 1)]
    color: String,
    /// What the roll holds when new
    #[schema(value_type = u64, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    total_weight_in_grams: Grams,
    /// What is on it now, at most the total; the total if not given
    #[schema(nullable = false)]
    remaining_weight_in_grams: Option<Grams>,
}

/// A print job to be created
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrintJob {
    /// The id wanted, or the next free integer
    #[schema(nullable = false)]
    id: Option<Id>,
    /// An existing printer
    printer_id: Id,
    /// An existing filament
    filament_id: Id,
    /// Path of the file to print
    #[schema(min_length = 1)]
    filepath: String,
    /// What the print weighs: at most what is available of the filament
    #[schema(value_type = u64, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    print_weight_in_grams: Grams,
    /// `Queued`, or left out
    #[schema(value_type = String, pattern = "^[Qq][Uu][Ee][Uu][Ee][Dd]$", nullable = false)]
    status: Option<JobStatus>,
}

/// What is to become of a printer; what is left out stays
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrinterPatch {
    /// Who makes it
    #[schema(min_length = 1, nullable = false)]
    company: Option<String>,
    /// Which of the company's printers it is
    #[schema(min_length = 1, nullable = false)]
    model: Option<String>,
}

/// What is to become of a roll of filament; what is left out stays
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilamentPatch {
    /// The plastic
    #[schema(nullable = false)]
    r#type: Option<FilamentTypeName>,
    /// Its colour
    #[schema(min_length = 1, nullable = false)]
    color: Option<String>,
    /// What the roll holds when new
    #[schema(value_type = u64, minimum = 1, maximum = 9_007_199_254_740_991_u64, required = false, nullable = false)]
    total_weight_in_grams: Option<Grams>,
    /// What is on it now, at most the total
    #[schema(nullable = false)]
    remaining_weight_in_grams: Option<Grams>,
}

/// Which object was deleted
#[derive(ToSchema)]
pub struct Deleted {
    /// The id that it had
    deleted: Id,
}

/// The status that a print job is to have
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusChange {
    /// The status
    #[schema(nullable = false)]
    status: Option<StatusName>,
}

/// A node that waits to be taken in
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Its number
    #[schema(minimum = 1)]
    id: i32,
    /// HOST:PORT where the other nodes reach it
    #[schema(pattern = "^.+:[0-9]{1,5}$", example = "127.0.0.1:9084")]
    raft_addr: String,
    /// HOST:PORT where it serves its HTTP API
    #[schema(pattern = "^.+:[0-9]{1,5}$", example = "127.0.0.1:8084")]
    http_addr: String,
}

/// Who is to lead
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heir {
    /// A voter's number; whoever is furthest if not given
    #[schema(nullable = false)]
    id: Option<i32>,
}

/// Who leads now
#[derive(ToSchema)]
pub struct Leader {
    /// Its number
    leader: i32,
}

/// Which node was removed
#[derive(ToSchema)]
pub struct Removed {
    /// Its number
    removed: i32,
}

/// A snapshot that was begun
#[derive(ToSchema)]
pub struct Snapshot {
    /// The last log index that it covers
    index: u64,
}

/// How a node is
#[derive(ToSchema)]
pub struct Health {
    /// `alive` or `ready`
    status: String,
}

/// What there is
#[derive(ToSchema)]
pub struct Endpoints {
    /// `raft3d`
    name: String,
    /// Of the program
    version: String,
    /// Each path with its methods
    endpoints: Vec<String>,
}

/// The settings of the cluster
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How many events are kept
    #[schema(minimum = 1, maximum = 1_000_000)]
    event_retention: u64,
}

/// The hash of the farm
#[derive(ToSchema)]
pub struct FarmHash {
    /// The log index that it is of
    index: u64,
    /// The cluster, once it has a name
    cluster_id: Option<ClusterId>,
    /// SHA-256, in hexadecimal digits
    #[schema(pattern = "^[0-9a-f]{64}$")]
    farm_hash: String,
}

/// What one command changed
#[derive(ToSchema)]
pub struct Event {
    /// The log index of the command
    index: u64,
    /// When the accepting node took the request
    time: Timestamp,
    /// Who had it done, if he showed a token
    #[schema(nullable = false)]
    actor: Option<NamedActor>,
    /// The kind of the first change, such as `job.done`
    kind: String,
    /// Whether the object created was given the next free integer as its id
    #[schema(nullable = false)]
    id_assigned: Option<bool>,
    /// What was asked for first, then what followed from it
    changes: Vec<EventChange>,
}

/// One object before and after
#[derive(ToSchema)]
pub struct EventChange {
    /// What happened, such as `filament.updated`
    kind: String,
    /// `printer`, `filament`, `job`, `cluster`, `node`, `settings` or `token`
    object: String,
    /// The object's id, if there are several of its kind
    #[schema(nullable = false)]
    id: Option<Id>,
    /// The object as it was; null if it was created
    before: serde_json::Value,
    /// The object as it is from then on; null if it was deleted
    after: serde_json::Value,
}
