//! What commands of the client are told: where the cluster is, how to talk to it, and what all that read
//! or write have in common.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::api::{Api, ClientError};
use super::http::HttpClient;
use super::output::Format;
use crate::secret::{NotASecret, Secret};

/// The three nodes of `raft3d demo`.
pub const DEMO_ENDPOINTS: &str = "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083";

/// One client command: what to do, and the options that all of them share.
#[derive(Debug, Args)]
pub struct ClientArgs<V: Subcommand> {
    /// What to do.
    #[command(subcommand)]
    pub verb: V,
    /// Where and how.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Where the cluster is and how to talk to it.
#[derive(Debug, Clone, Args)]
pub struct ClientOptions {
    /// A node's HTTP address; repeat it or separate several by commas: they are tried in order.
    /// With http:// or https:// in front; without either, --ca decides
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "RAFT3D_ENDPOINT",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = DEMO_ENDPOINTS
    )]
    pub endpoint: Vec<String>,
    /// The CA, a PEM file, that the nodes' certificates must be of: speaks TLS with them
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RAFT3D_CA",
        hide_env_values = true
    )]
    pub ca: Option<PathBuf>,
    /// How to print the result
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    pub output: Format,
    /// How long to go on trying, in seconds, while no node can answer for the cluster
    #[arg(long, global = true, value_name = "S", default_value_t = 10)]
    pub timeout: u64,
    /// File with the token to show, which only you may read; without, the token itself is taken from
    /// the environment variable RAFT3D_TOKEN if that is set
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RAFT3D_TOKEN_FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
}

/// The environment variable that a token itself may be in.
const TOKEN_VARIABLE: &str = "RAFT3D_TOKEN";

impl ClientOptions {
    /// A client of the cluster that gives up after `timeout`.
    pub fn api(&self, timeout: Duration) -> Result<Api, ClientError> {
        let api = Api::new(&self.endpoint, timeout, self.http()?)?;
        Ok(api.with_token(self.token()?))
    }

    /// The token to show, if there is one.
    fn token(&self) -> Result<Option<Secret>, ClientError> {
        if let Some(path) = &self.token_file {
            let secret = Secret::from_file(path);
            return secret
                .map(Some)
                .map_err(|error| ClientError::Usage(error.to_string()));
        }
        let Some(text) = std::env::var_os(TOKEN_VARIABLE) else {
            return Ok(None);
        };
        let secret = text.to_str().ok_or(NotASecret).and_then(str::parse);
        secret
            .map(Some)
            .map_err(|error| ClientError::Usage(format!("{TOKEN_VARIABLE}: {error}")))
    }

    /// What speaks to the nodes.
    pub fn http(&self) -> Result<HttpClient, ClientError> {
        HttpClient::new(self.ca.as_deref())
    }
}

/// Options of verbs that read.
#[derive(Debug, Clone, Args)]
pub struct ReadOptions {
    /// linearizable: never older than a write acknowledged before; eventual: one node's own state,
    /// even without a quorum
    #[arg(long, value_name = "LEVEL", value_parser = ["linearizable", "eventual"], default_value = "linearizable")]
    pub consistency: String,
}

/// Options of verbs that write.
#[derive(Debug, Clone, Args)]
pub struct WriteOptions {
    /// Names this write: one repeated with the same key is carried out once [default: a fresh key]
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// Options of verbs that change or delete an object.
#[derive(Debug, Clone, Args)]
pub struct ChangeOptions {
    /// Only if its version, the number in its ETag, is still this one [default: whatever it is]
    #[arg(long, value_name = "VERSION")]
    pub if_match: Option<u64>,
    /// How it is written.
    #[command(flatten)]
    pub write: WriteOptions,
}
