//! The API's own description, OpenAPI 3.1: made from the handlers, so that it cannot say what they
//! do not do.
//!
//! A handler carries `#[utoipa::path(...)]`, which says at which path and for which method it is, and
//! what it takes and answers. [`Routes::on`] reads the route from there: a route without a
//! description does not exist. [`problems`] names what may go wrong, [`schemas`] the values that
//! have a form of their own, [`parameters`] what requests have in common, and [`page`] shows it all
//! to people.

pub mod page;
pub mod parameters;
pub mod problems;
pub mod schemas;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};
use utoipa::{__dev::SchemaReferences, IntoResponses, OpenApi as _, Path};

use super::access::rules::{self, Least};
use super::problem::{Document, FieldError};
use crate::domain::tokens::AccessRole;

/// The names of the two ways to show a token.
const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

/// What the document says besides its paths.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "raft3d",
        description = include_str!("about.md"),
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The node that this document came from; any other does as well")),
    components(schemas(Document, FieldError)),
    tags(
        (name = "printers", description = "The printers of the farm"),
        (name = "filaments", description = "Rolls of filament, and what is left on them"),
        (name = "print jobs", description = "One print on one printer from one roll"),
        (name = "cluster", description = "The nodes that hold the farm together"),
        (name = "tokens", description = "Who may ask for what"),
        (name = "watching", description = "For whatever watches a node"),
        (name = "description", description = "The API about itself"),
    )
)]
struct About;

/// Routes, and their description.
pub struct Routes<S> {
    router: Router<S>,
    document: OpenApi,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Routes<S> {
        Routes {
            router: Router::new(),
            document: About::openapi(),
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Adds `handler` where its description `D` says: `__path_x` for a handler `x`.
    pub fn on<D: Path + SchemaReferences, T: 'static>(
        mut self,
        handler: impl Handler<T, S>,
    ) -> Routes<S> {
        let path = D::path();
        for method in D::methods() {
            let route = on(filter_of(&method), handler.clone());
            self.router = self.router.route(&path, route);
            let mut operation = D::operation();
            operation.operation_id = Some(operation_id(&method, &path));
            let item = PathItem::new(method, operation);
            let paths = &mut self.document.paths.paths;
            paths
                .entry(path.clone())
                .or_default()
                .merge_operations(item);
        }
        let mut schemas = Vec::new();
        D::schemas(&mut schemas);
        let components = self.document.components.get_or_insert_default();
        components.schemas.extend(schemas);
        self
    }

    /// The routes, and what describes them.
    pub fn finish(mut self) -> (Router<S>, Described) {
        add_common_parts(&mut self.document);
        (self.router, Described::new(&mut self.document))
    }
}

/// The document, ready to be sent.
#[derive(Debug, Clone)]
pub struct Described {
    json: Bytes,
    endpoints: Arc<[String]>,
}

impl Described {
    fn new(document: &mut OpenApi) -> Described {
        let paths = document.paths.paths.iter_mut();
        let endpoints = paths.map(|(path, item)| {
            let methods: Vec<_> = operations(item).iter().map(|(name, _)| *name).collect();
            format!("{} {path}", methods.join(", "))
        });
        Described {
            endpoints: endpoints.collect(),
            // What utoipa builds always prints; an empty document would fail every test of it.
            json: document.to_pretty_json().unwrap_or_default().into(),
        }
    }

    /// Each path with its methods, as in `GET, POST /api/v1/printers`.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }
}

/// The operations of a path, with the names of their methods.
fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    let all = [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((name_of(&method), operation?)))
        .collect()
}

/// The headers that every answer has.
const HEADERS: [(&str, Type, &str); 3] = [
    (
        "X-Request-Id",
        Type::String,
        "The request's name: the client's, or ours",
    ),
    ("X-Raft3d-Node", Type::Integer, "The node that answered"),
    (
        "X-Raft3d-Index",
        Type::Integer,
        "The log index that the answer reflects",
    ),
];

/// Adds what all operations have in common.
fn add_common_parts(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let request_id = parameters::request_id().into();
    components
        .parameters
        .insert("X-Request-Id".to_owned(), request_id);
    for (name, kind, description) in HEADERS {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .description(Some(description));
        components
            .headers
            .insert(name.to_owned(), header.build().into());
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let api_key = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
    components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(api_key));
    for (path, item) in &mut document.paths.paths {
        for (name, operation) in operations(item) {
            let method = Method::from_bytes(name.as_bytes()).unwrap_or_default();
            if let Ok(Least::AtLeast(role)) = rules::least(&method, Some(path)) {
                guard(operation, role);
            }
            refer_to_common_parts(operation);
            refuse_null(operation);
        }
    }
}

/// A body that may be left out is not `null` either if it is there; utoipa takes the one for the other.
fn refuse_null(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else {
            continue;
        };
        if let Some(RefOr::T(Schema::OneOf(either))) = &content.schema {
            let reference = either
                .items
                .iter()
                .find(|item| matches!(item, RefOr::Ref(_)));
            content.schema = reference.cloned();
        }
    }
}

/// Notes that `operation` needs a token with the role, where tokens are demanded.
fn guard(operation: &mut Operation, role: AccessRole) {
    let no_scopes: [&str; 0] = [];
    operation.security = Some(vec![
        SecurityRequirement::new(BEARER, no_scopes),
        SecurityRequirement::new(API_KEY, no_scopes),
    ]);
    let whom = format!("For the role {role} and those that may more.");
    operation.description = Some(match operation.description.take() {
        Some(about) => format!("{about} {whom}"),
        None => whom,
    });
    for (status, response) in problems::Guarded::responses() {
        let responses = &mut operation.responses.responses;
        responses.entry(status).or_insert(response);
    }
}

fn refer_to_common_parts(operation: &mut Operation) {
    let request_id = Ref::new("#/components/parameters/X-Request-Id");
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::Ref(request_id));
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else {
            continue;
        };
        for (name, ..) in HEADERS {
            let header = Ref::new(format!("#/components/headers/{name}"));
            response.headers.insert(name.to_owned(), RefOr::Ref(header));
        }
    }
}

/// A name that no other operation has, as in `get_printers_id`.
fn operation_id(method: &HttpMethod, path: &str) -> String {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    // `/docs` and `/docs/` are two.
    let path = path
        .strip_suffix('/')
        .map_or(path.to_owned(), |path| format!("{path}/index"));
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>();
    format!("{}_{}", name_of(method).to_lowercase(), words.join("_"))
}

fn name_of(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    }
}

fn filter_of(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "description",
    summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub async fn show(State(described): State<Described>) -> Response {
    ([(CONTENT_TYPE, "application/json")], described.json).into_response()
}

/// `GET /api/openapi.json`: where some look for it.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "description",
    summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub async fn show_below_api(described: State<Described>) -> Response {
    show(described).await
}
