//! The REST API over a [`FarmService`].
//!
//! * [`printers`], [`filaments`], [`print_jobs`], [`cluster`], [`members`], [`snapshots`], [`backup`],
//!   [`health`]: the routes of each resource, thin.
//! * [`write`](mod@write), [`read`], [`list`]: what the routes of all resources have in common.
//! * [`body`], [`fields`], [`query`], [`idempotency`]: what requests bring.
//! * [`view`], [`headers`], [`problem`]: what answers show; `problem` maps all errors.
//! * [`download`]: answers too large for memory.
//! * [`peers`]: one node's API asks another's.
//! * [`measure`]: counts and times requests, and shows the node's metrics.
//! * [`waiting`]: the API of a node that waits to found a cluster.
//! * [`server`]: takes connections for the API, within bounds; [`quotes`] is lenient with their queries.

pub mod backup;
pub mod body;
pub mod cluster;
pub mod download;
pub mod fields;
pub mod filaments;
pub mod headers;
pub mod health;
pub mod idempotency;
pub mod list;
pub mod measure;
pub mod members;
pub mod peers;
pub mod print_jobs;
pub mod printers;
pub mod problem;
pub mod query;
pub mod quotes;
pub mod read;
pub mod server;
pub mod snapshots;
pub mod view;
pub mod waiting;
pub mod write;

use std::sync::Arc;

use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router, middleware};
use serde_json::json;

use self::body::BodyMemory;
use self::download::Downloads;
use self::headers::RequestIds;
use self::measure::Measures;
use self::peers::Peers;
use self::problem::{Problem, ProblemType};
use self::server::Connections;
use crate::consensus::Consensus;
use crate::metrics::Metrics;
use crate::service::FarmService;

/// The whole API of one node, which shows what `connections` it has among its metrics.
pub fn router<C: Consensus>(service: FarmService<C>, connections: &Connections) -> Router {
    let measures = Measures::default();
    let metrics = Arc::new(Metrics::new(&service, &measures, connections));
    let ids = RequestIds::new(service.node_id());
    let peers = Peers::new(service.request_timeout());
    let stamp = middleware::from_fn_with_state((service.clone(), ids), headers::stamp::<C>);
    Router::new()
        .route("/", get(endpoints))
        .route(
            "/api/v1/printers",
            get(printers::list::<C>).post(printers::create::<C>),
        )
        .route("/api/v1/printers/{id}", get(printers::get::<C>))
        .route(
            "/api/v1/filaments",
            get(filaments::list::<C>).post(filaments::create::<C>),
        )
        .route("/api/v1/filaments/{id}", get(filaments::get::<C>))
        .route(
            "/api/v1/print_jobs",
            get(print_jobs::list::<C>).post(print_jobs::create::<C>),
        )
        .route("/api/v1/print_jobs/{id}", get(print_jobs::get::<C>))
        .route(
            "/api/v1/print_jobs/{id}/status",
            post(print_jobs::set_status::<C>),
        )
        .route("/api/v1/cluster", get(cluster::status::<C>))
        .route(
            "/api/v1/cluster/snapshots",
            get(snapshots::list::<C>).post(snapshots::create::<C>),
        )
        .route(
            "/api/v1/cluster/snapshots/{index}",
            get(snapshots::get::<C>),
        )
        .route("/api/v1/cluster/backup", get(backup::stream::<C>))
        .route(
            "/api/v1/cluster/members",
            get(members::list::<C>).post(members::add::<C>),
        )
        .route("/api/v1/cluster/members/{id}", delete(members::remove::<C>))
        .route(
            "/api/v1/cluster/members/{id}/promote",
            post(members::promote::<C>),
        )
        .route(
            "/api/v1/cluster/transfer-leader",
            post(members::transfer_leader::<C>),
        )
        .route("/livez", get(health::alive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready::<C>))
        .route("/metrics", get(measure::show))
        .fallback(no_such_endpoint)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(stamp)
        .layer(middleware::from_fn_with_state(measures, measure::count))
        .layer(Extension(metrics))
        .layer(Extension(BodyMemory::default()))
        .layer(Extension(Downloads::default()))
        .layer(Extension(peers))
        .with_state(service)
}

/// `GET /`: what there is.
async fn endpoints() -> Response {
    Json(json!({
        "name": "raft3d",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": [
            "GET, POST /api/v1/printers",
            "GET /api/v1/printers/{id}",
            "GET, POST /api/v1/filaments",
            "GET /api/v1/filaments/{id}",
            "GET, POST /api/v1/print_jobs",
            "GET /api/v1/print_jobs/{id}",
            "POST /api/v1/print_jobs/{id}/status",
            "GET /api/v1/cluster",
            "GET, POST /api/v1/cluster/snapshots",
            "GET /api/v1/cluster/snapshots/{index}",
            "GET /api/v1/cluster/backup",
            "GET, POST /api/v1/cluster/members",
            "DELETE /api/v1/cluster/members/{id}",
            "POST /api/v1/cluster/members/{id}/promote",
            "POST /api/v1/cluster/transfer-leader",
            "GET /livez",
            "GET /healthz",
            "GET /readyz",
            "GET /metrics",
        ],
    }))
    .into_response()
}

async fn no_such_endpoint(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; GET / lists the endpoints",
        uri.path()
    );
    Problem::new(ProblemType::NoSuchEndpoint, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take {method}; see the Allow header",
        uri.path()
    );
    Problem::new(ProblemType::MethodNotAllowed, detail)
}
