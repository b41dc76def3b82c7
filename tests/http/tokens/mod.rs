//! Tokens over HTTP: how they are made, shown and revoked, and what becomes of those that are shown.

mod callers;
mod events;
mod lifecycle;

use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HeaderName};
use raft3d::domain::command::Op;
use raft3d::domain::time::Timestamp;
use raft3d::domain::tokens::{AccessRole, NewToken};
use raft3d::http::access::{Access, ClientAddr};
use raft3d::secret::Secret;
use raft3d::service::Limits;
use serde_json::{Value, json};

use crate::support::{Answer, Api, PRINTERS, request};

const TOKENS: &str = "/api/v1/tokens";
const OWN: &str = "/api/v1/tokens/self";

/// A node that demands tokens, and the secret in its admin token file.
struct Node {
    api: Api,
    access: Access,
    admin: Secret,
}

impl Node {
    fn new() -> Node {
        Node::that(true)
    }

    fn that(demands_tokens: bool) -> Node {
        let admin = Secret::generate().unwrap();
        let access = Access::new(demands_tokens, Some(admin.digest()));
        Node {
            api: Api::with_access(Limits::default(), access.clone()),
            access,
            admin,
        }
    }

    /// Sends a request with `secret` in `header`, as if from 127.0.0.`from`.
    async fn call_with(
        &self,
        (method, path, body): (&str, &str, Value),
        (header, secret): (HeaderName, &str),
        from: u8,
    ) -> Answer {
        let body = match body {
            Value::Null => Body::empty(),
            body => body.to_string().into(),
        };
        let mut request = request(method, path, body);
        request
            .headers_mut()
            .insert(header, secret.parse().unwrap());
        let from = ClientAddr(IpAddr::from([127, 0, 0, from]));
        request.extensions_mut().insert(from);
        self.api.send(request).await
    }

    async fn call(&self, secret: &Secret, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", secret.reveal());
        self.call_with((method, path, body), (AUTHORIZATION, &bearer), 1)
            .await
    }

    async fn get(&self, secret: &Secret, path: &str) -> Answer {
        self.call(secret, "GET", path, Value::Null).await
    }

    /// Shows `secret` from 127.0.0.`from`.
    async fn show(&self, secret: &Secret, from: u8) -> Answer {
        let bearer = format!("Bearer {}", secret.reveal());
        let look = ("GET", PRINTERS, Value::Null);
        self.call_with(look, (AUTHORIZATION, &bearer), from).await
    }

    /// A new token, made with the admin token file.
    async fn token(&self, name: &str, role: &str) -> (u64, Secret) {
        let body = json!({"name": name, "role": role});
        let created = self
            .call(&self.admin, "POST", TOKENS, body)
            .await
            .expect(201);
        let secret = created.json["secret"].as_str().unwrap().parse().unwrap();
        (created.json["id"].as_u64().unwrap(), secret)
    }

    async fn revoke(&self, id: u64) -> Answer {
        let path = format!("{TOKENS}/{id}");
        self.call(&self.admin, "DELETE", &path, Value::Null).await
    }
}

fn new_token(secret: &Secret, expires_at: Option<Timestamp>) -> Op {
    Op::CreateToken(NewToken {
        name: "elsewhere".into(),
        role: AccessRole::Operator,
        digest: secret.digest(),
        expires_at,
    })
}

fn printer() -> Value {
    json!({"company": "Prusa", "model": "MK4"})
}
