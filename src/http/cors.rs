//! Lets web pages from elsewhere use the API, if a node is told to (`--cors-origins`).

use std::time::Duration;

use axum::Router;
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderName, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::access::API_KEY;
use super::headers;
use crate::config::CorsOrigins;

/// How long a browser may go by one permission.
const PERMISSION_AGE: Duration = Duration::from_secs(600);

/// `router`, of which pages from `origins` may ask everything; cookies play no part.
pub fn allow(router: Router, origins: &CorsOrigins) -> Router {
    let origins = match origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::These(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            AUTHORIZATION,
            API_KEY,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            headers::REQUEST_ID,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            ETAG,
            LINK,
            LOCATION,
            RETRY_AFTER,
            headers::INDEX,
            headers::NODE,
            headers::REPLAYED,
            headers::REQUEST_ID,
        ])
        .max_age(PERMISSION_AGE);
    router.layer(layer)
}
