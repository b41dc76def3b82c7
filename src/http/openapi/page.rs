//! `/docs`: the document for people. Swagger UI from inside the program: the page asks this node
//! alone, and is told to by its content security policy too.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::{Config, serve};

use super::problems::{NoFile, OwnFault};
use crate::http::problem::{Problem, ProblemType};

/// Nothing from elsewhere, no script but the page's files. Swagger UI sets styles from its script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// `GET /docs`: the page's files are named from `/docs/`.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "description",
    summary = "This document for people: leads to /docs/",
    responses((status = 308, description = "The page", headers(("Location", description = "/docs/"))))
)]
pub async fn moved() -> Redirect {
    Redirect::permanent("/docs/")
}

/// `GET /docs/`.
#[utoipa::path(
    get,
    path = "/docs/",
    tag = "description",
    summary = "This document for people",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), OwnFault)
)]
pub async fn index() -> Result<Response, Problem> {
    file("index.html")
}

/// `GET /docs/{file}`.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "description",
    summary = "A file of the page",
    params(("file" = String, Path, description = "Its name")),
    responses((status = 200, description = "The file", content((Vec<u8> = "*/*"))), NoFile)
)]
pub async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Problem> {
    let config = Config::from("/openapi.json").validator_url("none");
    match serve(name, Arc::new(config)) {
        Ok(Some(file)) => {
            let headers = [
                (CONTENT_TYPE, file.content_type.as_str()),
                (CONTENT_SECURITY_POLICY, POLICY),
                (REFERRER_POLICY, "no-referrer"),
                (NO_SNIFF, "nosniff"),
            ];
            Ok((headers, file.bytes.into_owned()).into_response())
        }
        Ok(None) => {
            let detail = format!("the page has no file {name}");
            Err(Problem::new(ProblemType::NoSuchEndpoint, detail))
        }
        Err(error) => Err(Problem::new(ProblemType::Internal, error.to_string())),
    }
}

const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
