//! Who asks, and whether he may: tokens and roles in front of every route.
//!
//! A token comes as `Authorization: Bearer` or as `X-Api-Key`. It is looked up in this node's own
//! state; one that is not there may be new, so the leader is asked once, within bounds. Whether a
//! token never was, was revoked or has expired shows neither in answers nor in their time. A
//! revoked one is of no use here once this node has applied that, and what it submits is refused by
//! the state machine at once.
//!
//! Invalid tokens are limited by address. Valid ones pass all the same: 256 random bits are not
//! found by guessing, and a limit on them would let one client lock out all that share its address.

mod caller;
mod failures;
pub mod rules;
pub mod upkeep;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::http::header::{ALLOW, AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{Span, debug, info};

pub use self::caller::{Caller, Pass};
use self::failures::{Allowance, Failures, Shared};
use self::rules::{Least, NotTaken};
use super::problem::{Problem, ProblemType};
use crate::consensus::Consensus;
use crate::domain::outcome::Refusal;
use crate::domain::time::Timestamp;
use crate::domain::tokens::{ADMIN_FILE_NAME, AccessRole, Actor, TokenDigest, Tokens};
use crate::secret::{NotASecret, Secret};
use crate::service::{Consistency, FarmService, now};

/// Where a token may be shown besides `Authorization`.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Most requests that wait for the leader's word about a token, at a time.
const LOOKS_AT_A_TIME: usize = 16;
/// How often the leader is asked about tokens, whoever shows them.
const LOOKS: Allowance = Allowance {
    burst: 50,
    every: Duration::from_millis(20),
};

/// The address that a request came from; an extension of each request.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddr(pub IpAddr);

/// Who may ask this node for what. Clones share everything.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    demands_tokens: bool,
    admin: Option<TokenDigest>,
    failures: Failures,
    looking: Semaphore,
    looks: Shared,
    /// When tokens were last used, by id, since that was last submitted. Of tokens that exist.
    uses: Mutex<BTreeMap<u64, Timestamp>>,
}

/// Why a token that was shown is not accepted, for the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invalid {
    Malformed,
    Unknown,
    Expired,
}

impl Access {
    /// Demands tokens of callers if so told; the holder of the secret with the digest `admin`
    /// may do everything on this node.
    pub fn new(demands_tokens: bool, admin: Option<TokenDigest>) -> Access {
        Access(Arc::new(Inner {
            demands_tokens,
            admin,
            failures: Failures::default(),
            looking: Semaphore::new(LOOKS_AT_A_TIME),
            looks: Shared::new(LOOKS),
            uses: Mutex::default(),
        }))
    }

    /// The caller that shows `secret`, as far as `tokens` tell.
    fn known(&self, tokens: &Tokens, secret: &Secret) -> Result<Caller, Invalid> {
        let digest = secret.digest();
        if self.0.admin.is_some_and(|admin| admin.matches(&digest)) {
            return Ok(Caller {
                actor: Actor::AdminFile,
                name: ADMIN_FILE_NAME.to_owned(),
                role: AccessRole::Admin,
                expires_at: None,
            });
        }
        let token = tokens.find(&digest).ok_or(Invalid::Unknown)?;
        let now = now();
        if token.is_expired(now) {
            return Err(Invalid::Expired);
        }
        self.uses().insert(token.id, now);
        Ok(Caller {
            actor: Actor::Token(token.id),
            name: token.name.clone(),
            role: token.role,
            expires_at: token.expires_at,
        })
    }

    /// The caller, if a valid token was shown; nobody if none was, or none is demanded.
    async fn caller<C: Consensus>(
        &self,
        service: &FarmService<C>,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Option<Caller>, Response> {
        let Some(shown) = shown(headers) else {
            return Ok(None);
        };
        let found = match &shown {
            Ok(secret) => self.known(service.local_state().tokens(), secret),
            Err(NotASecret) => Err(Invalid::Malformed),
        };
        let invalid = match found {
            Ok(caller) => return Ok(Some(caller)),
            Err(_) if !self.0.demands_tokens => return Ok(None),
            Err(invalid) => invalid,
        };
        if let Err(wait) = self.0.failures.count(address, Instant::now()) {
            debug!(%address, ?invalid, "an invalid token, of too many");
            return Err(too_many_failures(wait));
        }
        // A malformed secret is nobody's; the others are looked up the same way, whatever they are.
        let invalid = match &shown {
            Err(NotASecret) => invalid,
            Ok(secret) => match self.look(service, secret).await {
                Ok(Err(invalid)) => invalid,
                Ok(Ok(caller)) => {
                    self.0.failures.forgive(address);
                    return Ok(Some(caller));
                }
                // It may be valid yet.
                Err(undecided) => {
                    self.0.failures.forgive(address);
                    return Err(undecided.into_response());
                }
            },
        };
        info!(%address, ?invalid, "an invalid token");
        Err(Problem::from(Refusal::InvalidToken).into_response())
    }

    /// Asks the leader: the token may have been made a moment ago, through another node.
    async fn look<C: Consensus>(
        &self,
        service: &FarmService<C>,
        secret: &Secret,
    ) -> Result<Result<Caller, Invalid>, Problem> {
        let overloaded = || {
            let detail = "too many tokens that this node does not know are looked up; try again";
            Problem::new(ProblemType::Overloaded, detail)
        };
        let _place = self.0.looking.try_acquire().map_err(|_| overloaded())?;
        self.0
            .looks
            .take(Instant::now())
            .map_err(|_| overloaded())?;
        let state = service.read(Consistency::Linearizable).await;
        let state = state.map_err(|error| {
            let detail = format!("it is not known whether the token is valid: {error}");
            Problem::new(ProblemType::NoQuorum, detail)
        })?;
        Ok(self.known(state.tokens(), secret))
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<u64, Timestamp>> {
        // Whole after each step, so a panic elsewhere does not spoil it.
        self.0.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request through if its caller may, and tells the handlers who that is. The error is the
/// answer.
pub async fn check<C: Consensus>(
    service: &FarmService<C>,
    access: &Access,
    request: &mut Request,
) -> Result<(), Response> {
    let path = request.extensions().get::<MatchedPath>();
    let needed = match rules::least(request.method(), path.map(MatchedPath::as_str)) {
        Ok(Least::AtLeast(role)) => role,
        Ok(Least::Open) => return Ok(()),
        Err(not_taken) => return Err(method_not_allowed(request, &not_taken)),
    };
    let address = address_of(request);
    let caller = access.caller(service, request.headers(), address).await?;
    let mut pass = Pass::FREE;
    match caller {
        Some(caller) => {
            Span::current().record("caller", caller.name());
            if access.0.demands_tokens {
                if caller.role < needed {
                    return Err(forbidden(&caller, needed).into_response());
                }
                pass = caller.pass();
            }
            request.extensions_mut().insert(caller);
        }
        None if access.0.demands_tokens => return Err(nobody(needed).into_response()),
        None => {}
    }
    request.extensions_mut().insert(pass);
    Ok(())
}

/// What a request shows as its token, if anything.
fn shown(headers: &HeaderMap) -> Option<Result<Secret, NotASecret>> {
    let of_scheme = |value: &HeaderValue| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        is_bearer.then(|| token.trim().parse())
    };
    let bearer = headers.get(AUTHORIZATION).and_then(of_scheme);
    bearer.or_else(|| {
        let key = headers.get(API_KEY)?;
        Some(key.to_str().map_err(|_| NotASecret).and_then(str::parse))
    })
}

/// Requests that came over no connection, as those of tests, share one address.
fn address_of(request: &Request) -> IpAddr {
    let addr = request.extensions().get::<ClientAddr>();
    addr.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |addr| addr.0)
}

fn method_not_allowed(request: &Request, not_taken: &NotTaken) -> Response {
    let detail = format!(
        "{} does not take {}, only {}",
        request.uri().path(),
        request.method(),
        not_taken.allow
    );
    let mut response = Problem::new(ProblemType::MethodNotAllowed, detail).into_response();
    // Names of methods are always a header value.
    if let Ok(allow) = HeaderValue::try_from(&not_taken.allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

fn nobody(needed: AccessRole) -> Problem {
    let detail = format!(
        "this needs a token with the role {needed}; send it as `Authorization: Bearer TOKEN`"
    );
    Problem::new(ProblemType::Unauthenticated, detail)
}

fn forbidden(caller: &Caller, needed: AccessRole) -> Problem {
    let detail = format!(
        "this needs the role {needed}, and {} is {}",
        caller.name, caller.role
    );
    Problem::new(ProblemType::Forbidden, detail)
}

fn too_many_failures(wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let detail = format!(
        "this address has shown too many invalid tokens; the next one is looked at in {seconds} s"
    );
    let mut response = Problem::new(ProblemType::TooManyFailures, detail).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}
