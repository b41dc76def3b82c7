//! Which role a route demands: the one table of all routes.

use axum::http::Method;

use self::Least::{AtLeast, Open};
use crate::domain::tokens::AccessRole::{self, Admin, Operator, Submitter, Viewer};

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Anybody, with a token or without.
    Open,
    /// Callers with this role or one that may more.
    AtLeast(AccessRole),
}

/// A method and path that the router takes, and whom it is for.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Never HEAD, which is as GET.
    pub method: Method,
    /// The path as the router has it.
    pub path: &'static str,
    /// Whom it is for.
    pub least: Least,
}

const fn rule(method: Method, path: &'static str, least: Least) -> Rule {
    Rule {
        method,
        path,
        least,
    }
}

/// Every route.
pub const RULES: &[Rule] = &[
    rule(Method::GET, "/", Open),
    rule(Method::GET, "/api/v1/printers", AtLeast(Viewer)),
    rule(Method::POST, "/api/v1/printers", AtLeast(Operator)),
    rule(Method::GET, "/api/v1/printers/{id}", AtLeast(Viewer)),
    rule(Method::PATCH, "/api/v1/printers/{id}", AtLeast(Operator)),
    rule(Method::DELETE, "/api/v1/printers/{id}", AtLeast(Operator)),
    rule(Method::GET, "/api/v1/filaments", AtLeast(Viewer)),
    rule(Method::POST, "/api/v1/filaments", AtLeast(Operator)),
    rule(Method::GET, "/api/v1/filaments/{id}", AtLeast(Viewer)),
    rule(Method::PATCH, "/api/v1/filaments/{id}", AtLeast(Operator)),
    rule(Method::DELETE, "/api/v1/filaments/{id}", AtLeast(Operator)),
    rule(Method::GET, "/api/v1/print_jobs", AtLeast(Viewer)),
    rule(Method::POST, "/api/v1/print_jobs", AtLeast(Submitter)),
    rule(Method::GET, "/api/v1/print_jobs/{id}", AtLeast(Viewer)),
    rule(
        Method::POST,
        "/api/v1/print_jobs/{id}/status",
        AtLeast(Submitter),
    ),
    rule(Method::GET, "/api/v1/cluster", AtLeast(Viewer)),
    rule(Method::GET, "/api/v1/cluster/introduction", Open),
    rule(Method::GET, "/api/v1/cluster/snapshots", AtLeast(Viewer)),
    rule(Method::POST, "/api/v1/cluster/snapshots", AtLeast(Admin)),
    rule(
        Method::GET,
        "/api/v1/cluster/snapshots/{index}",
        AtLeast(Admin),
    ),
    rule(Method::GET, "/api/v1/cluster/backup", AtLeast(Admin)),
    rule(Method::GET, "/api/v1/cluster/members", AtLeast(Viewer)),
    rule(Method::POST, "/api/v1/cluster/members", AtLeast(Admin)),
    rule(
        Method::DELETE,
        "/api/v1/cluster/members/{id}",
        AtLeast(Admin),
    ),
    rule(
        Method::POST,
        "/api/v1/cluster/members/{id}/promote",
        AtLeast(Admin),
    ),
    rule(
        Method::POST,
        "/api/v1/cluster/transfer-leader",
        AtLeast(Admin),
    ),
    rule(Method::GET, "/api/v1/tokens", AtLeast(Admin)),
    rule(Method::POST, "/api/v1/tokens", AtLeast(Admin)),
    rule(Method::GET, "/api/v1/tokens/self", AtLeast(Viewer)),
    rule(Method::DELETE, "/api/v1/tokens/{id}", AtLeast(Admin)),
    rule(Method::GET, "/api/v1/cluster/settings", AtLeast(Viewer)),
    rule(Method::PUT, "/api/v1/cluster/settings", AtLeast(Admin)),
    rule(Method::GET, "/api/v1/cluster/hash", AtLeast(Viewer)),
    rule(Method::GET, "/api/v1/events", AtLeast(Viewer)),
    rule(Method::GET, "/api/v1/events/export", AtLeast(Viewer)),
    rule(Method::GET, "/openapi.json", Open),
    rule(Method::GET, "/api/openapi.json", Open),
    rule(Method::GET, "/docs", Open),
    rule(Method::GET, "/docs/", Open),
    rule(Method::GET, "/docs/{file}", Open),
    rule(Method::GET, "/livez", Open),
    rule(Method::GET, "/healthz", Open),
    rule(Method::GET, "/readyz", Open),
    rule(Method::GET, "/metrics", AtLeast(Viewer)),
];

/// A path does not take the method of a request: it takes those in `allow`, as the header has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// As in `GET,HEAD,POST`.
    pub allow: String,
}

/// Whom a request is for that matched the route `path`, or none.
///
/// What the router takes and the table does not have is closed, not open: a path that somebody forgot
/// here is for admins, a method for nobody. What there is at all is no secret, `GET /` lists it, so
/// that anybody may hear that there is nothing, or nothing for this method.
pub fn least(method: &Method, path: Option<&str>) -> Result<Least, NotTaken> {
    let Some(path) = path else {
        return Ok(Open);
    };
    let method = match *method {
        Method::HEAD => &Method::GET,
        _ => method,
    };
    let of_path = || RULES.iter().filter(|rule| rule.path == path);
    if of_path().next().is_none() {
        return Ok(AtLeast(Admin));
    }
    let rule = of_path().find(|rule| rule.method == *method);
    rule.map(|rule| rule.least).ok_or_else(|| NotTaken {
        allow: methods(of_path()),
    })
}

/// The methods of `rules`, as `Allow` lists them.
fn methods<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
    let names = rules.map(|rule| match rule.method {
        Method::GET => "GET,HEAD",
        ref method => method.as_str(),
    });
    names.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_does_not_have_is_closed() {
        assert_eq!(least(&Method::GET, Some("/forgotten")), Ok(AtLeast(Admin)));
        assert_eq!(least(&Method::GET, None), Ok(Open));
        assert_eq!(least(&Method::HEAD, Some("/livez")), Ok(Open));
        let allow = "GET,HEAD,POST".to_owned();
        let forgotten = least(&Method::PUT, Some("/api/v1/printers"));
        assert_eq!(forgotten, Err(NotTaken { allow }));
    }

    #[test]
    fn each_route_is_there_once_beside_its_siblings() {
        let paths: Vec<&str> = RULES
            .chunk_by(|a, b| a.path == b.path)
            .map(|rules| rules[0].path)
            .collect();
        for (place, path) in paths.iter().enumerate() {
            assert!(!paths[..place].contains(path), "{path} is apart");
        }
        for (place, rule) in RULES.iter().enumerate() {
            let twice = RULES[..place]
                .iter()
                .any(|other| other.path == rule.path && other.method == rule.method);
            assert!(!twice, "{} {}", rule.method, rule.path);
            assert_ne!(rule.method, Method::HEAD);
        }
    }
}
