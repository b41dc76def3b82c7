//! Who asks, and what he is let through with.

use std::time::Duration;

use tokio::time::sleep;

use crate::consensus::Consensus;
use crate::domain::time::Timestamp;
use crate::domain::tokens::{AccessRole, Actor, Tokens};
use crate::service::{FarmService, now};

/// Who sent a request, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub(super) actor: Actor,
    pub(super) name: String,
    pub(super) role: AccessRole,
    pub(super) expires_at: Option<Timestamp>,
}

impl Caller {
    /// The caller, as commands name it.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The caller's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the caller may do.
    pub fn role(&self) -> AccessRole {
        self.role
    }

    /// What the caller is let through with, where tokens are demanded.
    pub(super) fn pass(&self) -> Pass {
        Pass {
            role: self.role,
            token: self.actor.token(),
            expires_at: self.expires_at,
        }
    }
}

/// What a request was let through with; an extension of each that is for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    role: AccessRole,
    /// The token without which it would not have been.
    token: Option<u64>,
    expires_at: Option<Timestamp>,
}

impl Pass {
    /// Where no tokens are demanded: everybody may do everything.
    pub(super) const FREE: Pass = Pass {
        role: AccessRole::Admin,
        token: None,
        expires_at: None,
    };

    /// Whether its holder may see what there is of tokens.
    pub fn sees_tokens(&self) -> bool {
        self.role >= AccessRole::Admin
    }

    /// Whether it still holds, as far as `tokens` and this node's clock tell; the error says why not.
    pub fn check(&self, tokens: &Tokens) -> Result<(), &'static str> {
        if self.expires_at.is_some_and(|end| end <= now()) {
            return Err("the token that was shown has expired");
        }
        match self.token {
            Some(id) if tokens.get(id).is_none() => Err("the token that was shown is revoked"),
            _ => Ok(()),
        }
    }

    /// [`Pass::check`] with what the node of `service` knows whenever it is called.
    pub fn check_in<C: Consensus>(
        self,
        service: FarmService<C>,
    ) -> impl Fn() -> Result<(), &'static str> + Send + 'static {
        move || self.check(service.local_state().tokens())
    }

    /// Resolves when the time may have come for [`Pass::check`] to fail, if the clock makes it.
    pub async fn expires(&self) {
        match self.expires_at {
            None => std::future::pending().await,
            Some(end) => {
                let left = Duration::from_millis(end.millis_since(now()));
                sleep(left).await;
            }
        }
    }
}
