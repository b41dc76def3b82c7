//! The API tokens of the cluster: who may ask for what. Secrets are never here, only their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::command::FieldProblem;
use super::outcome::Refusal;
use super::time::Timestamp;

/// Most tokens there can be, expired ones included.
pub const TOKENS_MAX: usize = 1_000;
/// The longest name of a token, in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// What a caller may do; each role may do all that those before it may. The order is the binary
/// form: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessRole {
    /// Reads.
    Viewer,
    /// Creates print jobs and changes their status.
    Submitter,
    /// Creates and changes printers and filaments.
    Operator,
    /// Changes the cluster, sees all that is stored, gives and takes tokens.
    Admin,
}

impl AccessRole {
    /// Every role, from the one that may least.
    pub const ALL: [AccessRole; 4] = [
        AccessRole::Viewer,
        AccessRole::Submitter,
        AccessRole::Operator,
        AccessRole::Admin,
    ];

    /// The name as given and shown.
    pub fn name(self) -> &'static str {
        match self {
            AccessRole::Viewer => "viewer",
            AccessRole::Submitter => "submitter",
            AccessRole::Operator => "operator",
            AccessRole::Admin => "admin",
        }
    }
}

impl fmt::Display for AccessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no role; give viewer, submitter, operator or admin")]
pub struct UnknownRole {
    /// The refused text.
    pub found: String,
}

impl FromStr for AccessRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<AccessRole, UnknownRole> {
        let named = AccessRole::ALL.into_iter().find(|role| role.name() == text);
        named.ok_or_else(|| UnknownRole {
            found: text.to_owned(),
        })
    }
}

/// SHA-256 of a token's secret. Of 256 random bits nothing can be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// Whether both are the same; takes as long whether or not they are.
    pub fn matches(&self, other: &TokenDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// A token as stored. Its binary form is part of the snapshot and outcome formats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Counts from 1; never given twice.
    pub id: u64,
    /// Unique among the tokens there are.
    pub name: String,
    /// What its holder may do.
    pub role: AccessRole,
    /// What recognises its secret.
    pub digest: TokenDigest,
    /// When its creation was accepted.
    pub created_at: Timestamp,
    /// From when on it is worth nothing; never if not given.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to a minute; never if not given.
    pub last_used_at: Option<Timestamp>,
    /// Who had it made; nothing if nobody was asked for a token.
    pub created_by: Option<String>,
}

impl Token {
    /// Whether the token is worth nothing any more at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// A token to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// Its name: 1 to [`NAME_LEN_MAX`] of the characters `a-z A-Z 0-9 - _ . @`.
    pub name: String,
    /// What its holder may do.
    pub role: AccessRole,
    /// What recognises its secret.
    pub digest: TokenDigest,
    /// From when on it is worth nothing; never if not given.
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    /// Every field that breaks a rule by itself, without looking at the other tokens.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let problem = name_problem(&self.name).map(|problem| FieldProblem {
            pointer: "/name".to_owned(),
            problem,
        });
        problem.into_iter().collect()
    }
}

/// What is wrong with a token's name.
fn name_problem(name: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !(1..=NAME_LEN_MAX).contains(&name.len()) {
        return Some(format!("must have 1 to {NAME_LEN_MAX} characters"));
    }
    let right = name.bytes().all(allowed);
    (!right).then(|| "may have letters a to z, digits, and - _ . @ only".to_owned())
}

/// Who had a command submitted, if somebody was asked who he is. The order of the variants is the
/// binary form: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Actor {
    /// The holder of the token with this id.
    Token(u64),
    /// The holder of a node's admin token file.
    AdminFile,
}

impl Actor {
    /// The token's id, if he holds one.
    pub fn token(self) -> Option<u64> {
        match self {
            Actor::Token(id) => Some(id),
            Actor::AdminFile => None,
        }
    }
}

/// Who had something done, as events name him: they may be read when the token is long gone, and its
/// name another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventActor)]
pub struct NamedActor {
    /// The id of the token that was shown, which is never given twice; none of a node's admin token
    /// file.
    #[schema(minimum = 1)]
    pub token: Option<u64>,
    /// What he was called then.
    pub name: String,
}

/// What events tell of a token: all that neither changes nor helps to forge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// The token's id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What its holder may do.
    pub role: AccessRole,
    /// When its creation was accepted.
    pub created_at: Timestamp,
    /// From when on it is worth nothing; never if not given.
    pub expires_at: Option<Timestamp>,
    /// Who had it made; nothing if nobody was asked for a token.
    pub created_by: Option<String>,
}

impl From<&Token> for TokenFacts {
    fn from(token: &Token) -> TokenFacts {
        TokenFacts {
            id: token.id,
            name: token.name.clone(),
            role: token.role,
            created_at: token.created_at,
            expires_at: token.expires_at,
            created_by: token.created_by.clone(),
        }
    }
}

/// What the holder of a node's admin token file is called.
pub const ADMIN_FILE_NAME: &str = "admin token file";

/// All tokens. Equal sets have equal bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Ids given so far.
    last_id: u64,
    by_id: BTreeMap<u64, Token>,
}

impl Tokens {
    /// How many there are, expired ones included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Token> {
        self.by_id.values()
    }

    /// The token with this id.
    pub fn get(&self, id: u64) -> Option<&Token> {
        self.by_id.get(&id)
    }

    /// The token whose secret has this digest, expired or not. Every token is looked at, whichever
    /// it is: how long that takes tells nothing.
    pub fn find(&self, digest: &TokenDigest) -> Option<&Token> {
        let matching = self.iter().filter(|token| token.digest.matches(digest));
        matching.last()
    }

    /// What `actor` is called, if there is such an actor.
    pub fn name_of(&self, actor: Actor) -> Option<&str> {
        match actor {
            Actor::Token(id) => self.get(id).map(|token| token.name.as_str()),
            Actor::AdminFile => Some(ADMIN_FILE_NAME),
        }
    }

    /// `actor` as events name him, if there is such an actor.
    pub(super) fn named(&self, actor: Option<Actor>) -> Option<NamedActor> {
        let actor = actor?;
        Some(NamedActor {
            token: actor.token(),
            name: self.name_of(actor)?.to_owned(),
        })
    }

    /// Refuses what the holder of a token that is gone, or has expired at log time `now`, had
    /// submitted: a node that has not heard of it yet lets nothing through.
    pub(super) fn check(&self, actor: Option<Actor>, now: Timestamp) -> Result<(), Refusal> {
        let Some(Actor::Token(id)) = actor else {
            return Ok(());
        };
        match self.get(id) {
            Some(token) if !token.is_expired(now) => Ok(()),
            _ => Err(Refusal::InvalidToken),
        }
    }

    /// Adds a token at log time `now`, stamped `created_at`.
    pub(super) fn create(
        &mut self,
        new: &NewToken,
        actor: Option<Actor>,
        created_at: Timestamp,
        now: Timestamp,
    ) -> Result<Token, Refusal> {
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::InvalidField {
                pointer: "/expires_at".to_owned(),
                problem: format!("must be after {now}"),
            });
        }
        if self.iter().any(|token| token.name == new.name) {
            let name = new.name.clone();
            return Err(Refusal::TokenNameTaken { name });
        }
        // Random secrets never meet: somebody has sent another's digest.
        if self.find(&new.digest).is_some() {
            return Err(Refusal::TokenSecretTaken);
        }
        let max = TOKENS_MAX as u64;
        let id = self.last_id.saturating_add(1);
        if self.len() >= TOKENS_MAX || id == self.last_id {
            return Err(Refusal::TooManyTokens { max });
        }
        let token = Token {
            id,
            name: new.name.clone(),
            role: new.role,
            digest: new.digest,
            created_at,
            expires_at: new.expires_at,
            last_used_at: None,
            created_by: actor
                .and_then(|actor| self.name_of(actor))
                .map(str::to_owned),
        };
        self.last_id = id;
        self.by_id.insert(id, token.clone());
        Ok(token)
    }

    /// Removes a token and gives it.
    pub(super) fn revoke(&mut self, id: u64) -> Result<Token, Refusal> {
        self.by_id.remove(&id).ok_or(Refusal::TokenNotFound { id })
    }

    /// Notes uses at log time `now`, which none can be after. Those of tokens that are gone are
    /// nobody's any more.
    pub(super) fn note_uses(&mut self, uses: &[(u64, Timestamp)], now: Timestamp) {
        for (id, used_at) in uses {
            if let Some(token) = self.by_id.get_mut(id) {
                token.last_used_at = token.last_used_at.max(Some(now.min(*used_at)));
            }
        }
    }

    /// What in a set that was read from a snapshot cannot be, in a log that ends at `log_time`.
    pub(super) fn contradiction(&self, log_time: Timestamp) -> Option<String> {
        if self.len() > TOKENS_MAX {
            return Some(format!("{} tokens, of at most {TOKENS_MAX}", self.len()));
        }
        let (mut names, mut digests) = (BTreeSet::new(), BTreeSet::new());
        for (key, token) in &self.by_id {
            let id = token.id;
            let problem = if *key != id || id == 0 || id > self.last_id {
                format!("has the id {key} of {} given", self.last_id)
            } else if let Some(problem) = name_problem(&token.name) {
                format!("has a name that {problem}")
            } else if !names.insert(&token.name) {
                "has the name of another".to_owned()
            } else if !digests.insert(&token.digest.0) {
                "has the secret of another".to_owned()
            } else if token.last_used_at.max(Some(token.created_at)) > Some(log_time) {
                "is newer than the log".to_owned()
            } else {
                continue;
            };
            return Some(format!("token {id} {problem}"));
        }
        None
    }
}
