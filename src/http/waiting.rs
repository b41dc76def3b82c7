//! The API of a node that has no data yet and waits for others to found a cluster with.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::health;
use super::problem::{Problem, ProblemType};
use crate::bootstrap::Candidate;

/// Shows `candidate` where a node shows its view of the cluster. Everything else is refused until the
/// cluster is founded, when the node's own API takes this one's place.
pub fn router(candidate: Candidate) -> Router {
    Router::new()
        .route("/api/v1/cluster", get(show))
        .route("/livez", get(health::live))
        .route("/healthz", get(health::live))
        .fallback(not_ready)
        .with_state(candidate)
}

async fn show(State(candidate): State<Candidate>) -> Response {
    Json(candidate).into_response()
}

async fn not_ready(State(candidate): State<Candidate>) -> Problem {
    let others = candidate.bootstrap.join(",");
    let detail = format!("this node has no data yet and waits to found a cluster with {others}");
    Problem::new(ProblemType::NotReady, detail)
}
