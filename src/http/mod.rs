//! The REST API over a [`FarmService`].
//!
//! * [`printers`], [`filaments`], [`print_jobs`], [`cluster`], [`members`], [`snapshots`], [`backup`],
//!   [`health`]: the routes of each resource, thin.
//! * [`events`], `event_stream`, `event_export`: what has happened, by pages, as a stream, as a file.
//! * [`settings`]: the cluster's settings, and the farm's hash.
//! * [`access`]: who asks, and whether he may; [`tokens`]: the routes that manage that.
//! * [`write`](mod@write), [`read`], [`list`]: what the routes of all resources have in common.
//! * [`body`], [`fields`], [`query`], [`idempotency`]: what requests bring.
//! * [`view`], [`headers`], [`versions`], [`problem`]: what answers show; `problem` maps all errors.
//! * [`api`]: what the routes work with, and what is done around each of them.
//! * [`gzip`], [`cors`]: what is done to answers whatever they show.
//! * [`download`]: answers too large for memory; `blocking`: work that would hold others up.
//! * [`peers`]: one node's API asks another's.
//! * [`openapi`]: the API's description, made from the handlers, which also makes the routes.
//! * [`measure`]: counts and times requests, and shows the node's metrics.
//! * [`waiting`]: the API of a node that waits to found a cluster.
//! * [`server`]: takes connections for the API, within bounds; [`quotes`] is lenient with their queries.

pub mod access;
pub mod api;
pub mod backup;
mod blocking;
pub mod body;
pub mod cluster;
pub mod cors;
pub mod download;
mod event_export;
pub mod event_stream;
pub mod events;
pub mod fields;
pub mod filaments;
pub mod gzip;
pub mod headers;
pub mod health;
pub mod idempotency;
pub mod list;
pub mod measure;
pub mod members;
pub mod openapi;
pub mod peers;
pub mod print_jobs;
pub mod printers;
pub mod problem;
pub mod query;
pub mod quotes;
pub mod read;
pub mod server;
pub mod settings;
pub mod snapshots;
pub mod tokens;
pub mod versions;
pub mod view;
pub mod waiting;
pub mod write;

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
use serde_json::json;

use self::access::Access;
use self::api::{Api, Parts};
use self::body::BodyMemory;
use self::download::Downloads;
use self::event_stream::Streams;
use self::gzip::Compressors;
use self::headers::Names;
use self::measure::Measures;
use self::openapi::{Described, Routes, page, schemas};
use self::peers::Peers;
use self::problem::{Problem, ProblemType};
use self::server::Connections;
use crate::client::http::HttpClient;
use crate::consensus::Consensus;
use crate::metrics::Metrics;
use crate::service::FarmService;
use crate::tls::Tls;

/// The whole API of one node, which calls other nodes by `http`, and shows among its metrics what
/// `connections` it has and when the certificates of `tls` end, to those whom `access` lets through.
pub fn router<C: Consensus>(
    service: FarmService<C>,
    connections: &Connections,
    http: HttpClient,
    tls: Option<&Tls>,
    access: Access,
) -> Router {
    let measures = Measures::default();
    let streams = Streams::new(connections);
    let metrics = Metrics::new(&service, &measures, connections, &streams, tls);
    let (router, described) = Routes::default()
        .on::<__path_endpoints, _>(endpoints)
        .on::<printers::__path_list, _>(printers::list::<C>)
        .on::<printers::__path_create, _>(printers::create::<C>)
        .on::<printers::__path_get, _>(printers::get::<C>)
        .on::<printers::__path_update, _>(printers::update::<C>)
        .on::<printers::__path_delete, _>(printers::delete::<C>)
        .on::<filaments::__path_list, _>(filaments::list::<C>)
        .on::<filaments::__path_create, _>(filaments::create::<C>)
        .on::<filaments::__path_get, _>(filaments::get::<C>)
        .on::<filaments::__path_update, _>(filaments::update::<C>)
        .on::<filaments::__path_delete, _>(filaments::delete::<C>)
        .on::<print_jobs::__path_list, _>(print_jobs::list::<C>)
        .on::<print_jobs::__path_create, _>(print_jobs::create::<C>)
        .on::<print_jobs::__path_get, _>(print_jobs::get::<C>)
        .on::<print_jobs::__path_set_status, _>(print_jobs::set_status::<C>)
        .on::<cluster::__path_status, _>(cluster::status::<C>)
        .on::<snapshots::__path_list, _>(snapshots::list::<C>)
        .on::<snapshots::__path_create, _>(snapshots::create::<C>)
        .on::<snapshots::__path_get, _>(snapshots::get::<C>)
        .on::<backup::__path_stream, _>(backup::stream::<C>)
        .on::<members::__path_list, _>(members::list::<C>)
        .on::<members::__path_add, _>(members::add::<C>)
        .on::<members::__path_remove, _>(members::remove::<C>)
        .on::<members::__path_promote, _>(members::promote::<C>)
        .on::<members::__path_transfer_leader, _>(members::transfer_leader::<C>)
        .on::<settings::__path_get, _>(settings::get::<C>)
        .on::<settings::__path_put, _>(settings::put::<C>)
        .on::<settings::__path_hash, _>(settings::hash::<C>)
        .on::<events::__path_get, _>(events::get::<C>)
        .on::<events::__path_export, _>(events::export::<C>)
        .on::<cluster::__path_introduction, _>(cluster::introduction::<C>)
        .on::<tokens::__path_list, _>(tokens::list::<C>)
        .on::<tokens::__path_create, _>(tokens::create::<C>)
        .on::<tokens::__path_own, _>(tokens::own::<C>)
        .on::<tokens::__path_revoke, _>(tokens::revoke::<C>)
        .on::<health::__path_live, _>(health::live)
        .on::<health::__path_healthy, _>(health::healthy)
        .on::<health::__path_ready, _>(health::ready::<C>)
        .on::<measure::__path_show, _>(measure::show)
        .on::<openapi::__path_show, _>(openapi::show)
        .on::<openapi::__path_show_below_api, _>(openapi::show_below_api)
        .on::<page::__path_moved, _>(page::moved)
        .on::<page::__path_index, _>(page::index)
        .on::<page::__path_asset, _>(page::asset)
        .finish();
    let api = Api::new(Parts {
        access,
        names: Names::new(service.node_id()),
        measures,
        metrics: Arc::new(metrics),
        described,
        bodies: BodyMemory::default(),
        downloads: Downloads::default(),
        compressors: Compressors::default(),
        streams,
        peers: Peers::new(http, service.request_timeout()),
        service,
    });
    router
        .fallback(no_such_endpoint)
        .layer(middleware::from_fn_with_state(
            api.clone(),
            api::around::<C>,
        ))
        .with_state(api)
}

/// `GET /`: what there is.
#[utoipa::path(
    get,
    path = "/",
    tag = "description",
    summary = "What there is",
    responses((status = 200, description = "The endpoints", body = schemas::Endpoints))
)]
async fn endpoints(State(described): State<Described>) -> Response {
    Json(json!({
        "name": "raft3d",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": described.endpoints(),
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
