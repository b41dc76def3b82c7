//! The parameters that many requests have in common.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::schemas::ConsistencyName;

/// The id of an object.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct ObjectId {
    /// The object's id. Its text form is its identity: `7` and `"7"` are the same
    #[param(min_length = 1)]
    id: String,
}

/// The id of a node.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct NodeId {
    /// The node's number
    #[param(minimum = 1)]
    id: i32,
}

/// The id of a token.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct TokenId {
    /// The token's number
    #[param(minimum = 1)]
    id: u64,
}

/// Which snapshot.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only described")]
pub struct SnapshotIndex {
    /// The last log index that it covers
    index: u64,
}

/// How fresh a read has to be.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described")]
pub struct Consistency {
    /// How fresh the answer has to be
    #[param(inline, required = false, nullable = false)]
    consistency: Option<ConsistencyName>,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described")]
pub struct Page {
    /// Most objects to list; the `Link` header leads to the next page. Without it the whole list is
    /// streamed
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// List what comes behind the object with this id
    #[param(min_length = 1, max_length = 128, nullable = false)]
    after: Option<String>,
}

/// What makes a write safe to repeat.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described")]
pub struct IdempotencyKey {
    /// Names this write: one repeated with the same key is carried out once. With or without quotes
    /// around it, which are not part of it
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = r"^[!#-~]+$",
        nullable = false
    )]
    key: Option<String>,
}

/// Which versions of an object a change is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described")]
pub struct IfMatch {
    /// Change the object only if its `ETag` is among these; `*` for any
    #[param(rename = "If-Match", nullable = false, example = "*")]
    tags: Option<String>,
}

/// Which versions of an object the client has already.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only described")]
pub struct IfNoneMatch {
    /// Send the object only if its `ETag` is not among these
    #[param(rename = "If-None-Match", nullable = false)]
    tags: Option<String>,
}

/// `X-Request-Id`: not refused, whatever it is.
pub(super) fn request_id() -> Parameter {
    ParameterBuilder::new()
        .name("X-Request-Id")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Names the request in logs, in the answer and in problems. One of more than 128 bytes, \
             or with anything but visible ASCII characters, is replaced",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
