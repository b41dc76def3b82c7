//! Requests to a cluster of which any node will do: tried in order, repeated safely.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::http::HttpClient;
use crate::hex::hex;
use crate::identity::random_bytes;
use crate::secret::Secret;

/// Longest wait for one node's answer: a node answers within its own request timeout, 5 s unless
/// set otherwise, so that one silent for longer is taken for dead.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause between two rounds over all endpoints.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// A client of one cluster. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Api {
    http: HttpClient,
    endpoints: Vec<String>,
    timeout: Duration,
    token: Option<Secret>,
}

/// One request, before it is known which node answers it.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// GET, POST, PATCH or DELETE.
    pub method: Method,
    /// Path from the root, percent-encoded.
    pub path: &'a str,
    /// Query parameters.
    pub query: &'a [(&'a str, String)],
    /// JSON body.
    pub body: Option<&'a Value>,
    /// Sent as `Idempotency-Key`; what makes a write safe to repeat.
    pub idempotency_key: Option<&'a str>,
    /// The one version that it is meant for, sent as `If-Match`.
    pub if_match: Option<u64>,
}

impl<'a> Request<'a> {
    /// Reads `path`.
    pub fn get(path: &'a str, query: &'a [(&'a str, String)]) -> Request<'a> {
        Request {
            method: Method::GET,
            path,
            query,
            body: None,
            idempotency_key: None,
            if_match: None,
        }
    }

    /// Deletes `path`.
    pub fn delete(path: &'a str) -> Request<'a> {
        Request {
            method: Method::DELETE,
            ..Request::get(path, &[])
        }
    }

    /// Writes to `path`; `key` makes it safe to repeat.
    pub fn post(path: &'a str, body: Option<&'a Value>, key: &'a str) -> Request<'a> {
        Request {
            method: Method::POST,
            body,
            idempotency_key: Some(key),
            ..Request::get(path, &[])
        }
    }
}

/// What one node answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The JSON body; a string if it is not JSON, null if it is empty.
    pub body: Value,
}

/// Why there is no good answer.
#[derive(Debug)]
pub enum ClientError {
    /// The arguments make no request.
    Usage(String),
    /// A node refused the request.
    Refused(Answer),
    /// No node answered for the cluster; one line of reason for each endpoint.
    Unavailable {
        /// Endpoint and what came of it.
        attempts: Vec<(String, String)>,
        /// The key of a write that may nevertheless have been carried out.
        unknown_write: Option<String>,
    },
    /// Anything else, such as a broken pipe.
    Other(String),
}

impl ClientError {
    /// The program's exit code: 1 other, 2 usage, 3 not found, 4 refused, 5 unavailable.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Other(_) => 1,
            ClientError::Usage(_) => 2,
            ClientError::Refused(answer) if answer.status == StatusCode::NOT_FOUND => 3,
            ClientError::Refused(answer) if answer.status.is_client_error() => 4,
            ClientError::Refused(_) => 1,
            ClientError::Unavailable { .. } => 5,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Usage(text) | ClientError::Other(text) => f.write_str(text),
            ClientError::Refused(answer) => write!(f, "{}", answer.problem()),
            ClientError::Unavailable {
                attempts,
                unknown_write,
            } => {
                write!(f, "the cluster is unavailable")?;
                for (endpoint, reason) in attempts {
                    write!(f, "\n  {endpoint}: {reason}")?;
                }
                if let Some(key) = unknown_write {
                    write!(
                        f,
                        "\nthe write may have been carried out; repeat it safely with \
                         --idempotency-key {key}"
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ClientError {}

impl Answer {
    /// The body of a success; an error otherwise.
    pub fn into_result(self) -> Result<Value, ClientError> {
        if self.status.is_success() {
            Ok(self.body)
        } else {
            Err(ClientError::Refused(self))
        }
    }

    /// A problem document as text: title, status and detail, then a line for each field; a detail
    /// that a field repeats comes once.
    pub fn problem(&self) -> String {
        let member = |name| self.body.get(name).and_then(Value::as_str);
        let fallback = self
            .status
            .canonical_reason()
            .unwrap_or("unexpected answer");
        let title = member("title").unwrap_or(fallback);
        let mut text = format!("{title} ({})", self.status.as_u16());
        let fields = self.body.get("errors").and_then(Value::as_array);
        let fields = fields.map_or(&[][..], Vec::as_slice);
        if let Some(detail) = member("detail").or(self.body.as_str())
            && fields.iter().all(|field| field["detail"] != detail)
        {
            text += &format!("\n  {detail}");
        }
        for field in fields {
            let part = |name| field.get(name).and_then(Value::as_str).unwrap_or_default();
            text += &format!("\n  {}: {}", part("pointer"), part("detail"));
        }
        text
    }
}

impl Api {
    /// A client that tries `endpoints` in order, by `http`, and gives up after `timeout`.
    pub fn new(
        endpoints: &[String],
        timeout: Duration,
        http: HttpClient,
    ) -> Result<Api, ClientError> {
        let origins = endpoints.iter().map(|endpoint| http.origin(endpoint));
        let endpoints: Vec<String> = origins
            .collect::<Result<_, _>>()
            .map_err(|reason| ClientError::Usage(format!("--endpoint: {reason}")))?;
        if endpoints.is_empty() {
            return Err(ClientError::Usage("--endpoint names no node".into()));
        }
        Ok(Api {
            http,
            endpoints,
            timeout,
            token: None,
        })
    }

    /// The client, with a token that it shows with each request.
    pub fn with_token(self, token: Option<Secret>) -> Api {
        Api { token, ..self }
    }

    /// The endpoints as URLs, in the order in which they are tried.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Sends `request` to the endpoints in order, round after round, until one answers for the
    /// cluster (anything but 503), all refuse the connection, or the time is up.
    pub async fn call(&self, request: &Request<'_>) -> Result<Value, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let mut outcome_unknown = false;
        loop {
            let mut attempts = Vec::new();
            let mut somebody_listens = false;
            for endpoint in &self.endpoints {
                let left = deadline.saturating_duration_since(Instant::now());
                let reason = match self
                    .send(endpoint, request, left.min(ATTEMPT_TIMEOUT))
                    .await
                {
                    Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => {
                        return answer.into_result();
                    }
                    Ok(answer) => {
                        somebody_listens = true;
                        outcome_unknown |= answer.says_outcome_unknown();
                        answer.problem().replace('\n', " ")
                    }
                    Err(error) => {
                        somebody_listens |= !error.is_connect();
                        outcome_unknown |= !error.is_connect();
                        failure(&error)
                    }
                };
                attempts.push((endpoint.clone(), reason));
            }
            if !somebody_listens || Instant::now() + ROUND_PAUSE >= deadline {
                let key = request.idempotency_key.filter(|_| outcome_unknown);
                return Err(ClientError::Unavailable {
                    attempts,
                    unknown_write: key.map(str::to_owned),
                });
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// Sends `request` to one endpoint, once, and takes whatever it answers within `timeout`.
    pub async fn send(
        &self,
        endpoint: &str,
        request: &Request<'_>,
        timeout: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let prepared = self.prepare(endpoint, request).timeout(timeout);
        let response = prepared.send().await?;
        read_answer(response).await
    }

    /// Asks the endpoints in order for what `request` reads, once each, and gives the first good
    /// answer before its body. One that sends nothing for as long as an answer may take is passed
    /// over; reading the body is up to the caller, and so is its patience.
    pub async fn download(&self, request: &Request<'_>) -> Result<reqwest::Response, ClientError> {
        let mut attempts = Vec::new();
        for endpoint in &self.endpoints {
            let answer = async {
                let response = self.prepare(endpoint, request).send().await?;
                match response.status() {
                    status if status.is_success() => Ok(Ok(response)),
                    _ => read_answer(response).await.map(Err),
                }
            };
            let reason = match tokio::time::timeout(self.timeout.min(ATTEMPT_TIMEOUT), answer).await
            {
                Ok(Ok(Ok(response))) => return Ok(response),
                Ok(Ok(Err(answer))) if answer.status != StatusCode::SERVICE_UNAVAILABLE => {
                    return Err(ClientError::Refused(answer));
                }
                Ok(Ok(Err(answer))) => answer.problem().replace('\n', " "),
                Ok(Err(error)) => failure(&error),
                Err(_) => "no answer in time".into(),
            };
            attempts.push((endpoint.clone(), reason));
        }
        Err(ClientError::Unavailable {
            attempts,
            unknown_write: None,
        })
    }

    /// Asks one endpoint, once, for what goes on for as long as it is read: the answer before its
    /// body, good or not. `last_event_id` is where a stream of events is to go on.
    pub async fn open_stream(
        &self,
        endpoint: &str,
        request: &Request<'_>,
        last_event_id: Option<u64>,
    ) -> Result<Result<reqwest::Response, Answer>, reqwest::Error> {
        let mut builder = self.prepare(endpoint, request);
        builder = builder.header("Accept", "text/event-stream");
        if let Some(index) = last_event_id {
            builder = builder.header("Last-Event-ID", index);
        }
        let response = builder.send().await?;
        match response.status() {
            status if status.is_success() => Ok(Ok(response)),
            _ => read_answer(response).await.map(Err),
        }
    }

    fn prepare(&self, endpoint: &str, request: &Request<'_>) -> reqwest::RequestBuilder {
        let url = format!("{endpoint}{}", request.path);
        let mut builder = self.http.get().request(request.method.clone(), url);
        if !request.query.is_empty() {
            builder = builder.query(request.query);
        }
        if let Some(body) = request.body {
            builder = builder.json(body);
        }
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token.reveal());
        }
        if let Some(key) = request.idempotency_key {
            builder = builder.header("Idempotency-Key", key);
        }
        if let Some(version) = request.if_match {
            builder = builder.header("If-Match", format!("\"{version}\""));
        }
        builder
    }
}

async fn read_answer(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let status = response.status();
    let text = response.text().await?;
    let body = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(_) if text.is_empty() => Value::Null,
        Err(_) => Value::String(text),
    };
    Ok(Answer { status, body })
}

impl Answer {
    fn says_outcome_unknown(&self) -> bool {
        let kind = self.body.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| kind.ends_with("outcome-unknown"))
    }
}

/// A fresh key for a write: 128 random bits, so that no two writes ever share one.
pub fn new_idempotency_key() -> Result<String, ClientError> {
    let bytes: [u8; 16] = random_bytes()
        .map_err(|error| ClientError::Other(format!("cannot read /dev/urandom: {error}")))?;
    Ok(hex(&bytes))
}

/// Why a node gave no answer, in one line; reqwest alone keeps the cause to itself.
pub fn failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let kind = if error.is_connect() {
        "cannot connect"
    } else {
        "no answer"
    };
    format!("{kind}: {cause}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_differ() {
        assert_ne!(
            new_idempotency_key().unwrap(),
            new_idempotency_key().unwrap()
        );
    }

    #[test]
    fn a_problem_reads_as_title_detail_and_fields() {
        let answer = Answer {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            body: json!({
                "type": "/problems/validation", "title": "A rule is broken", "status": 422,
                "detail": "too heavy",
                "errors": [{"pointer": "/print_weight_in_grams", "detail": "100 g available"}],
            }),
        };
        assert_eq!(
            answer.problem(),
            "A rule is broken (422)\n  too heavy\n  /print_weight_in_grams: 100 g available"
        );
    }

    #[test]
    fn exit_codes_tell_the_class() {
        let refused = |status| {
            let body = Value::Null;
            ClientError::Refused(Answer { status, body }).exit_code()
        };
        assert_eq!(refused(StatusCode::NOT_FOUND), 3);
        assert_eq!(refused(StatusCode::CONFLICT), 4);
        assert_eq!(refused(StatusCode::UNPROCESSABLE_ENTITY), 4);
        assert_eq!(refused(StatusCode::INTERNAL_SERVER_ERROR), 1);
    }
}
