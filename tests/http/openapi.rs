//! The API's description: it is the one checked in, names every route and no other, and its page
//! needs nothing from elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{Api, request};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document(api: &Api) -> Value {
    api.get("/openapi.json").await.expect(200).json
}

async fn raw(api: &Api, method: &str, path: &str) -> Response {
    let request = request(method, path, Body::empty());
    api.router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    String::from_utf8(bytes.unwrap().into()).unwrap()
}

/// The documented paths, each with its methods in lower case.
fn paths(document: &Value) -> Vec<(&str, Vec<&str>)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        let known = METHODS.into_iter();
        known.filter(|method| item.get(method).is_some()).collect()
    };
    let named = paths
        .iter()
        .map(|(path, item)| (path.as_str(), methods(item)));
    named.collect()
}

/// `RAFT3D_OPENAPI=write cargo test --test http openapi` writes the file anew.
#[tokio::test]
async fn the_document_is_the_one_checked_in() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let api = Api::new();
    let document = api.get("/openapi.json").await.expect(200).text + "\n";
    if std::env::var_os("RAFT3D_OPENAPI").is_some_and(|value| value == "write") {
        std::fs::write(&file, &document).expect("the document can be written");
    }
    let kept = std::fs::read_to_string(&file).expect("the document is there");
    let differs = kept.lines().zip(document.lines()).position(|(a, b)| a != b);
    assert!(
        kept == document,
        "docs/openapi.json differs from line {:?} on: look at the change, then write it anew",
        differs.map(|line| line + 1)
    );
    let below_api = api.get("/api/openapi.json").await.expect(200);
    assert_eq!(below_api.text + "\n", document);
}

#[tokio::test]
async fn every_operation_is_served_and_no_other() {
    let api = Api::new();
    let document = document(&api).await;
    for (path, methods) in paths(&document) {
        let target = path
            .replace("{id}", "1")
            .replace("{index}", "1")
            .replace("{file}", "index.html");
        for method in METHODS {
            let response = raw(&api, &method.to_uppercase(), &target).await;
            let served = response.status() != 405;
            assert_eq!(served, methods.contains(&method), "{method} {path}");
            if !served {
                assert_eq!(allowed(response.headers()), documented(&methods), "{path}");
            } else if response.status() == 404 {
                let body = text(response).await;
                assert!(
                    !body.contains("no-such-endpoint"),
                    "{method} {path}: {body}"
                );
            }
        }
    }
}

/// The methods in an `Allow` header. Who may GET may HEAD.
fn allowed(headers: &HeaderMap) -> BTreeSet<String> {
    let allow = headers["allow"].to_str().unwrap();
    let methods = allow.split(',').map(|method| method.trim().to_lowercase());
    methods.filter(|method| method != "head").collect()
}

fn documented(methods: &[&str]) -> BTreeSet<String> {
    methods.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_root_lists_what_is_documented() {
    let api = Api::new();
    let root = api.get("/").await.expect(200).json;
    let listed: Vec<&str> = root["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let document = document(&api).await;
    let expected: Vec<String> = paths(&document)
        .into_iter()
        .map(|(path, methods)| format!("{} {path}", methods.join(", ").to_uppercase()))
        .collect();
    assert_eq!(listed, expected);
    assert!(listed.contains(&"GET, POST /api/v1/printers"));
}

/// References lead somewhere, problems name their types, and every answer its common headers.
#[tokio::test]
async fn the_document_is_whole() {
    let api = Api::new();
    let document = document(&api).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 5, "{references:?}");
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut names = BTreeSet::new();
    for (path, methods) in paths(&document) {
        for method in methods {
            let operation = &document["paths"][path][method];
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let what = format!("{method} {path} {status}");
                for header in ["X-Request-Id", "X-Raft3d-Node", "X-Raft3d-Index"] {
                    assert!(response["headers"][header].is_object(), "{what}: {header}");
                }
                let problem = &response["content"]["application/problem+json"];
                assert_eq!(status.as_str() >= "400", problem.is_object(), "{what}");
                let types = &problem["schema"]["allOf"][1]["properties"]["type"]["enum"];
                assert_eq!(types.is_array(), problem.is_object(), "{what}");
            }
        }
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(reference) if name == "$ref" => {
                        found.insert(reference.to_owned());
                    }
                    _ => collect_references(member, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = Api::new();
    let moved = raw(&api, "GET", "/docs").await;
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (308, &"/docs/".parse().unwrap())
    );

    let page = raw(&api, "GET", "/docs/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(
        !policy.contains("http") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
    let html = text(page).await;
    assert!(!html.contains("://"), "{html}");
    let files: Vec<&str> = html
        .split(['"', '\''])
        .filter_map(|part| part.strip_prefix("./"))
        .collect();
    assert!(files.len() >= 4, "{html}");
    for file in files {
        let response = raw(&api, "GET", &format!("/docs/{file}")).await;
        assert_eq!(response.status(), 200, "{file}");
    }
    let script = text(raw(&api, "GET", "/docs/swagger-initializer.js").await).await;
    assert!(script.contains("/openapi.json"), "{script}");
    assert!(!script.contains("://"), "{script}");
    api.get("/docs/nothing")
        .await
        .expect_problem(404, "no-such-endpoint");
}
