//! A client of the API over a fake, that needs no network.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use raft3d::client::http::HttpClient;
use raft3d::http::access::Access;
use raft3d::http::{self, server::Connections};
use raft3d::service::{FarmService, Limits};
use serde_json::Value;
use tower::ServiceExt;

use super::DEADLINE;
use super::fake::{Fake, NODE_ID};
use crate::exposition::{self, Page};

/// One answer of the API, of which the common rules are already checked.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; null if it is empty.
    pub json: Value,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `X-Raft3d-Index`.
    pub fn index(&self) -> u64 {
        self.header("x-raft3d-index").unwrap().parse().unwrap()
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Checks that the answer is a problem of this status and type; returns its detail.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, name: &str) -> &str {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(
            self.json["type"],
            format!("/problems/{name}"),
            "{}",
            self.text
        );
        self.json["detail"].as_str().unwrap()
    }

    /// The pointers of a problem's errors.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }

    /// The ids of a list.
    pub fn ids(&self) -> Vec<Value> {
        self.json
            .as_array()
            .unwrap()
            .iter()
            .map(|object| object["id"].clone())
            .collect()
    }
}

/// The API over a fake.
#[derive(Debug, Clone)]
pub struct Api {
    pub fake: Arc<Fake>,
    pub router: Router,
    /// What to count connections with.
    pub connections: Connections,
}

/// The API of a node without TLS.
fn plain_router(service: FarmService<Fake>, connections: &Connections, access: Access) -> Router {
    let http = HttpClient::new(None).unwrap();
    http::router(service, connections, http, None, access)
}

impl Api {
    /// Over an empty farm; to be called in a tokio runtime.
    pub fn new() -> Api {
        Api::with_limits(Limits {
            request_timeout: DEADLINE,
            ..Limits::default()
        })
    }

    /// The same farm through a node that gives up soon: for requests that are to time out.
    pub fn impatient(&self) -> Api {
        let service = FarmService::new(Arc::clone(&self.fake), Duration::from_secs(1));
        Api {
            fake: Arc::clone(&self.fake),
            router: plain_router(service, &self.connections, Access::new(false, None)),
            connections: self.connections.clone(),
        }
    }

    /// Over an empty farm, with these limits.
    pub fn with_limits(limits: Limits) -> Api {
        Api::with_access(limits, Access::new(false, None))
    }

    /// Over an empty farm, for those whom `access` lets through.
    pub fn with_access(limits: Limits, access: Access) -> Api {
        let fake = Fake::new();
        let connections = Connections::default();
        let service = FarmService::with_limits(Arc::clone(&fake), limits);
        let router = plain_router(service, &connections, access);
        Api {
            fake,
            router,
            connections,
        }
    }

    /// Sends `request`; whatever the answer is, the common rules are checked.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        let is_head = request.method() == Method::HEAD;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.into()).unwrap();
        let json = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).unwrap_or_else(|error| {
                panic!("{what}: {error}: {text}");
            }),
        };
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text,
            json,
        };
        check_common_rules(&what, &answer, is_head);
        answer
    }

    /// What `/metrics` shows.
    pub async fn metrics(&self) -> Page {
        let request = request("GET", "/metrics", Body::empty());
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], exposition::CONTENT_TYPE);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        Page::parse(std::str::from_utf8(&bytes.unwrap()).unwrap())
    }

    pub async fn request(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request(method, path, body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.request("POST", path, body.to_string()).await
    }

    /// Posts with an `Idempotency-Key`.
    pub async fn post_with_key(&self, path: &str, key: &str, body: impl ToString) -> Answer {
        let mut request = request("POST", path, body.to_string());
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        self.send(request).await
    }
}

pub fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(body.into())
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// What holds for each and every answer.
#[track_caller]
fn check_common_rules(what: &str, answer: &Answer, is_head: bool) {
    let header = |name| {
        answer
            .header(name)
            .unwrap_or_else(|| panic!("{what}: no {name}"))
    };
    header("x-raft3d-index").parse::<u64>().unwrap();
    assert_eq!(header("x-raft3d-node"), NODE_ID.to_string(), "{what}");
    assert!(!header("x-request-id").is_empty(), "{what}");
    if is_head {
        assert_eq!(answer.text, "", "{what}");
    } else if answer.status.is_success() {
        assert_eq!(header("content-type"), "application/json", "{what}");
    } else {
        check_problem(what, answer);
    }
}

#[track_caller]
fn check_problem(what: &str, answer: &Answer) {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{what}"
    );
    let problem = answer
        .json
        .as_object()
        .unwrap_or_else(|| panic!("{what}: {}", answer.text));
    for name in problem.keys() {
        let known = [
            "type",
            "title",
            "status",
            "detail",
            "request_id",
            "errors",
            "oldest_position",
            "current_index",
        ];
        assert!(
            known.contains(&name.as_str()),
            "{what}: {name} in {}",
            answer.text
        );
    }
    assert!(
        problem["type"].as_str().unwrap().starts_with("/problems/"),
        "{what}"
    );
    assert!(!problem["title"].as_str().unwrap().is_empty(), "{what}");
    assert_eq!(problem["status"], answer.status.as_u16(), "{what}");
    let request_id = answer.header("x-request-id");
    assert_eq!(problem["request_id"].as_str(), request_id, "{what}");
    assert!(!problem["detail"].as_str().unwrap().is_empty(), "{what}");
    for error in problem
        .get("errors")
        .map(|errors| errors.as_array().unwrap())
        .into_iter()
        .flatten()
    {
        let pointer = error["pointer"].as_str().unwrap();
        assert!(
            pointer.is_empty() || pointer.starts_with('/'),
            "{what}: {pointer}"
        );
        assert!(!error["detail"].as_str().unwrap().is_empty(), "{what}");
    }
    let retry_after = answer.header("retry-after");
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        let seconds: u64 = retry_after.unwrap().parse().unwrap();
        assert!(seconds > 0, "{what}");
    } else {
        let expected = (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some("1");
        assert_eq!(retry_after, expected, "{what}");
    }
    let challenge = answer.header("www-authenticate");
    let expected = (answer.status == StatusCode::UNAUTHORIZED).then_some("Bearer realm=\"raft3d\"");
    assert_eq!(challenge, expected, "{what}");
}
