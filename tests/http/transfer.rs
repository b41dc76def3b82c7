//! What is done to answers on their way, whatever they show: compression, and pages from elsewhere.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use raft3d::config::CorsOrigins;
use raft3d::http::access::rules::RULES;
use raft3d::http::cors;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Api, PRINTERS, request};

/// A farm with `count` printers.
async fn farm(count: usize) -> Api {
    let api = Api::new();
    for _ in 0..count {
        let printer = json!({"company": "Creality", "model": "Ender 3"});
        api.post(PRINTERS, printer).await.expect(201);
    }
    api
}

async fn get(api: &Api, path: &str, accept: &str) -> Response {
    let mut request = request("GET", path, Body::empty());
    let headers = request.headers_mut();
    headers.insert("accept-encoding", accept.parse().unwrap());
    api.router.clone().oneshot(request).await.unwrap()
}

async fn bytes(response: Response) -> Vec<u8> {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    bytes.unwrap().into()
}

fn encoding(response: &Response) -> Option<&str> {
    let encoding = response.headers().get("content-encoding");
    encoding.map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_accept_it() {
    let api = farm(100).await;
    let plain = bytes(get(&api, PRINTERS, "identity").await).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&plain).unwrap()[99]["id"],
        100
    );
    let packed = get(&api, PRINTERS, "gzip, br").await;
    assert_eq!(encoding(&packed), Some("gzip"));
    assert_eq!(packed.headers()["vary"], "accept-encoding");
    let packed = bytes(packed).await;
    assert_eq!(packed[..2], [0x1f, 0x8b], "gzip's magic bytes");
    assert!(
        packed.len() * 5 < plain.len(),
        "{} of {}",
        packed.len(),
        plain.len()
    );

    for (path, accept) in [
        (PRINTERS, "gzip;q=0"),
        (PRINTERS, "br"),
        ("/livez", "gzip"),
        ("/api/v1/printers/1", "gzip"),
    ] {
        assert_eq!(
            encoding(&get(&api, path, accept).await),
            None,
            "{path} {accept}"
        );
    }
    assert_eq!(
        encoding(&get(&api, "/openapi.json", "gzip").await),
        Some("gzip")
    );
}

/// No more compressors than there is memory for; nobody is refused for it.
#[tokio::test]
async fn many_answers_at_a_time_are_not_all_compressed() {
    let api = farm(1).await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(get(&api, PRINTERS, "gzip").await);
    }
    let packed = held.iter().filter(|answer| encoding(answer).is_some());
    assert_eq!(packed.count(), 64);
    drop(held);
    assert_eq!(encoding(&get(&api, PRINTERS, "gzip").await), Some("gzip"));
}

async fn ask_from(router: &axum::Router, origin: &str, method: &str) -> HeaderMap {
    let mut request = request(method, PRINTERS, Body::empty());
    let headers = request.headers_mut();
    headers.insert("origin", origin.parse().unwrap());
    headers.insert("access-control-request-method", "PATCH".parse().unwrap());
    let response = router.clone().oneshot(request).await.unwrap();
    response.headers().clone()
}

#[tokio::test]
async fn pages_from_elsewhere_are_let_in_by_name() {
    let api = farm(0).await;
    const ALLOWED: &str = "access-control-allow-origin";
    let ours = "https://farm.example";
    assert!(
        ask_from(&api.router, ours, "GET")
            .await
            .get(ALLOWED)
            .is_none(),
        "off by default"
    );

    let origins: CorsOrigins = "https://farm.example, http://127.0.0.1:3000"
        .parse()
        .unwrap();
    let router = cors::allow(api.router.clone(), &origins);
    for origin in [ours, "http://127.0.0.1:3000"] {
        let answer = ask_from(&router, origin, "GET").await;
        assert_eq!(answer[ALLOWED], origin);
        assert!(
            answer["access-control-expose-headers"]
                .to_str()
                .unwrap()
                .contains("etag")
        );
        let preflight = ask_from(&router, origin, "OPTIONS").await;
        assert_eq!(preflight[ALLOWED], origin);
        let methods = preflight["access-control-allow-methods"].to_str().unwrap();
        let mut taken = RULES.iter().map(|rule| rule.method.as_str());
        assert!(taken.all(|method| methods.contains(method)), "{methods}");
        let headers = preflight["access-control-allow-headers"].to_str().unwrap();
        for name in ["authorization", "x-api-key", "if-match", "idempotency-key"] {
            assert!(headers.contains(name), "{headers}");
        }
        assert!(preflight.get("access-control-allow-credentials").is_none());
    }
    for origin in ["https://evil.example", "http://farm.example", "null"] {
        assert!(
            ask_from(&router, origin, "GET")
                .await
                .get(ALLOWED)
                .is_none(),
            "{origin}"
        );
    }
    let any = cors::allow(api.router.clone(), &"*".parse().unwrap());
    assert_eq!(
        ask_from(&any, "https://evil.example", "GET").await[ALLOWED],
        "*"
    );
    for wrong in [
        "",
        "farm.example",
        "https://farm.example/",
        "ftp://x",
        "https://A.example",
        "https://a@b",
        "*,https://a",
    ] {
        assert!(wrong.parse::<CorsOrigins>().is_err(), "`{wrong}` was taken");
    }
}
