//! Streams of events, as clients read them.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::timeout;
use tower::ServiceExt;

use super::{Api, DEADLINE, request};

/// Asks for a stream.
pub fn stream_request(path: &str) -> Request<Body> {
    let mut request = request("GET", path, Body::empty());
    let accept = "application/json;q=0.5, text/event-stream".parse().unwrap();
    request.headers_mut().insert("accept", accept);
    request
}

/// Asks for a stream behind a position.
pub fn resumed(path: &str, last_event_id: u64) -> Request<Body> {
    let mut request = stream_request(path);
    let headers = request.headers_mut();
    headers.insert("last-event-id", last_event_id.into());
    request
}

/// A stream of events, read block by block.
pub struct Stream {
    pub body: Body,
    text: String,
}

impl Stream {
    /// Opens it, with all that a stream's head must have.
    pub async fn open(api: &Api, request: Request<Body>) -> Stream {
        let response = api.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-accel-buffering"], "no");
        Stream {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next block without its end; `None` at the end of the stream.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let frame = timeout(DEADLINE, self.body.frame()).await;
            let frame = frame.expect("the stream should go on")?;
            let data = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// The next event: its id, kind and data; blocks without an event are passed over.
    pub async fn event(&mut self) -> (u64, String, Value) {
        loop {
            let block = self.block().await.expect("the stream should go on");
            let field = |name: &str| {
                let mut lines = block.lines();
                lines
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            if let Some(data) = field("data: ") {
                let id = field("id: ").unwrap().parse().unwrap();
                let kind = field("event: ").unwrap();
                return (id, kind, serde_json::from_str(&data).unwrap());
            }
        }
    }
}
