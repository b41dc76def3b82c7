//! `/api/v1/cluster/snapshots`: what this node has of snapshots.

use std::io;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::header::CONTENT_LENGTH};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::access::Pass;
use super::blocking::off_the_runtime;
use super::download::Downloads;
use super::headers;
use super::openapi::problems::{Downloading, Files, Snapshotting};
use super::openapi::{parameters, schemas};
use super::problem::{Problem, ProblemType};
use super::query::Params;
use crate::consensus::Consensus;
use crate::domain::time::Timestamp;
use crate::hex::hex;
use crate::service::FarmService;
use crate::storage::StorageError;
use crate::storage::snapshot::SnapshotFile;

/// RFC 9530: what the whole body hashes to.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// A snapshot on a node's disk
#[derive(Serialize, ToSchema)]
#[schema(as = SnapshotFile)]
struct View {
    /// The last log index that it covers
    index: u64,
    /// The term of that index
    term: u64,
    /// When it was written here
    written_at: Timestamp,
    /// How large its file is
    bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits
    sha256: String,
}

/// `GET /api/v1/cluster/snapshots`: those on this node's disk, by index.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/snapshots",
    tag = "cluster",
    summary = "The snapshots on the node's disk",
    responses((status = 200, description = "By index", body = Vec<View>), Files)
)]
pub async fn list<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let Some(store) = service.snapshots() else {
        return Ok(Json(Vec::<View>::new()).into_response());
    };
    let files = off_the_runtime(move || store.files())
        .await?
        .map_err(unreadable)?;
    let views: Vec<View> = files.iter().map(view).collect();
    Ok(Json(views).into_response())
}

/// `GET /api/v1/cluster/snapshots/{index}`: the file as it lies on this node's disk.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/snapshots/{index}",
    tag = "cluster",
    summary = "Download a snapshot as it lies on the node's disk",
    params(parameters::SnapshotIndex),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream", body = String, headers(
            ("Repr-Digest" = String, description = "SHA-256 of the file (RFC 9530)"),
        )),
        Downloading,
    )
)]
pub async fn get<C: Consensus>(
    State(service): State<FarmService<C>>,
    State(downloads): State<Downloads>,
    Extension(pass): Extension<Pass>,
    index: Result<Path<u64>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let missing = |what: String| {
        let detail = format!("{what}; GET /api/v1/cluster/snapshots lists those of this node");
        Problem::new(ProblemType::NotFound, detail)
    };
    let Path(index) = index.map_err(|error| missing(error.body_text()))?;
    let place = downloads.enter()?;
    let found = match service.snapshots() {
        Some(store) => {
            let opened = off_the_runtime(move || store.open_index(index)).await?;
            opened.map_err(unreadable)?
        }
        None => None,
    };
    let (about, mut file) =
        found.ok_or_else(|| missing(format!("this node has no snapshot of index {index}")))?;
    let body = place.stream(pass.check_in(service), move |mut sink| {
        io::copy(&mut file, &mut sink).map(|_| ())
    });
    let digest = format!("sha-256=:{}:", BASE64.encode(about.sha256));
    let headers = [
        (CONTENT_LENGTH, about.bytes.to_string()),
        (REPR_DIGEST, digest),
        (headers::INDEX, about.id.index.to_string()),
    ];
    Ok((headers, body).into_response())
}

fn view(file: &SnapshotFile) -> View {
    View {
        index: file.id.index,
        term: file.id.term,
        written_at: file.written_at.into(),
        bytes: file.bytes,
        sha256: hex(&file.sha256),
    }
}

fn unreadable(error: StorageError) -> Problem {
    Problem::new(ProblemType::Internal, error.to_string())
}

/// `POST /api/v1/cluster/snapshots`: a snapshot of this node's applied state.
#[utoipa::path(
    post,
    path = "/api/v1/cluster/snapshots",
    tag = "cluster",
    summary = "Take a snapshot of the node's state, and shorten its log",
    responses((status = 202, description = "It was begun", body = schemas::Snapshot), Snapshotting)
)]
pub async fn create<C: Consensus>(
    State(service): State<FarmService<C>>,
    uri: Uri,
) -> Result<Response, Problem> {
    Params::parse(&uri, &[])?;
    let index = service.create_snapshot().ok_or_else(|| {
        let detail = "a snapshot is under way already, or the last one is up to date; see \
                      snapshot_index in GET /api/v1/cluster";
        Problem::new(ProblemType::NoSnapshot, detail)
    })?;
    let answer = (
        StatusCode::ACCEPTED,
        [(headers::INDEX, index)],
        Json(json!({ "index": index })),
    );
    Ok(answer.into_response())
}
