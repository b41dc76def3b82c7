//! The table of roles: every route is in it, and does what it says to every kind of caller.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use raft3d::domain::command::Op;
use raft3d::domain::time::Timestamp;
use raft3d::domain::tokens::{AccessRole, NewToken};
use raft3d::http::access::rules::{Least, RULES};
use raft3d::http::access::{Access, ClientAddr};
use raft3d::secret::Secret;
use raft3d::service::Limits;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::support::{Answer, Api, DEADLINE, request};

/// Methods that a route could take, and some that none takes.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

/// Somebody who sends requests.
struct Client {
    what: &'static str,
    secret: Option<Secret>,
    role: Option<AccessRole>,
}

/// A node that demands tokens, and everybody who might call.
struct Door {
    api: Api,
    clients: Vec<Client>,
}

impl Door {
    fn new() -> Door {
        let api = Api::with_access(Limits::default(), Access::new(true, None));
        let mut clients = vec![Client {
            what: "no token",
            secret: None,
            role: None,
        }];
        let mut add = |what, role, expires_at| {
            let secret = Secret::generate().unwrap();
            let digest = secret.digest();
            let name = format!("t{}", clients.len());
            clients.push(Client {
                what,
                secret: Some(secret),
                role,
            });
            Op::CreateToken(NewToken {
                name,
                role: role.unwrap_or(AccessRole::Admin),
                digest,
                expires_at,
            })
        };
        for role in AccessRole::ALL {
            api.fake
                .commit_elsewhere(add(role.name(), Some(role), None));
        }
        let past = Some(Timestamp::from_millis(1));
        api.fake.commit_elsewhere(add("expired token", None, past));
        api.fake.commit_elsewhere(add("revoked token", None, None));
        api.fake.commit_elsewhere(Op::RevokeToken(6));
        // Made, and never submitted.
        add("unknown token", None, None);
        Door { api, clients }
    }

    /// Sends a request until there is room for one more look at an unknown token.
    async fn send(&self, client: &Client, method: &Method, path: &str, number: usize) -> Answer {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.send_once(client, method, path, number).await;
            if answer.json["type"] != "/problems/overloaded" {
                return answer;
            }
            assert!(Instant::now() < deadline, "{}", answer.text);
            tokio::task::yield_now().await;
        }
    }

    /// Each request comes from an address of its own: failures are not to add up.
    async fn send_once(
        &self,
        client: &Client,
        method: &Method,
        path: &str,
        number: usize,
    ) -> Answer {
        let path = path
            .replace("{id}", "4711")
            .replace("{index}", "4711")
            .replace("{file}", "index.html");
        let mut request = request(method.as_str(), &path, Body::empty());
        if let Some(secret) = &client.secret {
            let bearer = format!("Bearer {}", secret.reveal());
            request
                .headers_mut()
                .insert(AUTHORIZATION, bearer.parse().unwrap());
        }
        let number = u32::try_from(number).unwrap();
        let from = ClientAddr(IpAddr::from(number.to_be_bytes()));
        request.extensions_mut().insert(from);
        let response = self.api.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // What is not refused may be metrics, or have no end.
        let text = match parts.status.is_success() {
            true => Bytes::new(),
            false => axum::body::to_bytes(body, usize::MAX).await.unwrap(),
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_slice(&text).unwrap_or_default(),
            text: String::from_utf8(text.into()).unwrap(),
        }
    }
}

/// Whether the door opens: yes, for want of a token no, for want of a role no.
fn verdict(client: &Client, least: Least) -> Result<(), (u16, &'static str)> {
    match (least, client.role) {
        (Least::Open, _) => Ok(()),
        (Least::AtLeast(_), None) => Err((401, "unauthenticated")),
        (Least::AtLeast(needed), Some(role)) if role < needed => Err((403, "forbidden")),
        (Least::AtLeast(_), Some(_)) => Ok(()),
    }
}

#[tokio::test]
async fn every_caller_gets_what_the_table_says_on_every_route() {
    let door = Door::new();
    let mut number = 0;
    for rule in RULES {
        for client in &door.clients {
            number += 1;
            let what = format!("{} {} with {}", rule.method, rule.path, client.what);
            let answer = door.send(client, &rule.method, rule.path, number).await;
            match verdict(client, rule.least) {
                Ok(()) => assert!(
                    !matches!(answer.status.as_u16(), 401 | 403 | 405),
                    "{what}: {}",
                    answer.text
                ),
                Err((status, name)) => {
                    let detail = answer.expect_problem(status, name);
                    let Least::AtLeast(needed) = rule.least else {
                        panic!("{what} is open");
                    };
                    for part in [Some(needed), client.role].into_iter().flatten() {
                        let named = detail.contains(part.name());
                        assert!(
                            named || client.secret.is_some() && status == 401,
                            "{what}: {detail}"
                        );
                    }
                }
            }
        }
    }
    assert!(number >= 27 * 8, "{number} combinations");
}

/// The door refuses what the table does not have; what the router does not take would be 405 too,
/// and fails [`every_caller_gets_what_the_table_says_on_every_route`].
#[tokio::test]
async fn the_router_takes_what_the_table_has_and_nothing_else() {
    let door = Door::new();
    let paths: BTreeSet<&str> = RULES.iter().map(|rule| rule.path).collect();
    // The router lists its paths only where it describes itself to programmers.
    let described = format!("{:?}", door.api.router);
    let in_router: BTreeSet<&str> = described
        .split('"')
        .filter(|part| part.starts_with('/') && !part.contains("__private"))
        .collect();
    assert_eq!(in_router, paths);
}

/// What there is at all is public: it is said before anybody is asked for a token.
#[tokio::test]
async fn what_there_is_not_is_told_to_everybody() {
    let door = Door::new();
    for client in &door.clients {
        let answer = door.send(client, &Method::GET, "/nothing", 1).await;
        answer.expect_problem(404, "no-such-endpoint");
    }
    let paths: BTreeSet<&str> = RULES.iter().map(|rule| rule.path).collect();
    for path in &paths {
        let of_path = RULES.iter().filter(|rule| rule.path == *path);
        let taken: Vec<&Method> = of_path.map(|rule| &rule.method).collect();
        for method in METHODS.iter().filter(|method| !taken.contains(method)) {
            for client in &door.clients {
                let answer = door.send(client, method, path, 1).await;
                let detail = answer.expect_problem(405, "method-not-allowed");
                assert!(detail.contains(method.as_str()), "{detail}");
                let allow = answer.header("allow").unwrap_or_default();
                let allowed: Vec<&str> = allow.split(',').filter(|name| *name != "HEAD").collect();
                assert_eq!(allowed, taken, "{method} {path}");
            }
        }
    }
}

/// The table for readers: who gets what on each route.
fn markdown() -> String {
    let door = [
        ("none", None),
        ("viewer", Some(AccessRole::Viewer)),
        ("submitter", Some(AccessRole::Submitter)),
        ("operator", Some(AccessRole::Operator)),
        ("admin", Some(AccessRole::Admin)),
    ];
    let mut text = String::from("| route |");
    door.iter()
        .for_each(|(name, _)| write!(text, " {name} |").unwrap());
    text += "\n|---|---|---|---|---|---|\n";
    for rule in RULES {
        write!(text, "| `{} {}` |", rule.method, rule.path).unwrap();
        for (what, role) in door {
            let secret = None;
            let client = Client { what, secret, role };
            match verdict(&client, rule.least) {
                Ok(()) => text += " yes |",
                Err((status, _)) => write!(text, " {status} |").unwrap(),
            }
        }
        text += "\n";
    }
    text
}

#[test]
fn the_documented_table_is_this_one() {
    const BEGIN: &str = "<!-- generated: make docs -->\n";
    const END: &str = "<!-- end of what is generated -->\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/tokens.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("where it begins");
    let (_, after) = rest.split_once(END).expect("where it ends");
    let expected = [before, BEGIN, &markdown(), END, after].concat();
    if std::env::var_os("RAFT3D_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "`make docs` writes it anew:\n{expected}");
}
