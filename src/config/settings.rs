//! What one source, the command line with the environment or the file, says about a node.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::error::ConfigError;
use super::values::{
    CorsOrigins, ElectionTimeout, InitialCluster, JoinAddrs, OtlpEndpoint, SamplingRatio,
};
use crate::telemetry::LogFormat;

/// The command line of `raft3d serve`.
#[derive(Debug, Default, Clone, Args)]
pub struct ServeArgs {
    /// Read a TOML file; its keys are the options below without the dashes in front, such as
    /// `node-id = 1`. A flag beats the environment, which beats the file, which beats the default
    #[arg(
        long,
        value_name = "FILE",
        env = "RAFT3D_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// What flags and environment say.
    #[command(flatten)]
    pub settings: Settings,
    /// Stop when standard input ends, as if by SIGTERM: a parent that dies takes its node along.
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
    /// Behave as a program that reads commands up to this version: for tests of upgrades.
    #[arg(long, hide = true, value_name = "N")]
    pub command_version: Option<u8>,
}

/// What one source says about a node; what it leaves out is up to the next source.
#[derive(Debug, Default, Clone, PartialEq, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// This node's number in --initial-cluster, 1 or more. Required
    #[arg(long, value_name = "N", env = "RAFT3D_NODE_ID", hide_env_values = true)]
    pub node_id: Option<i32>,
    /// Directory of this node's log and snapshots, created if missing; one process at a time may
    /// use it. Required
    #[arg(
        long,
        value_name = "DIR",
        env = "RAFT3D_DATA_DIR",
        hide_env_values = true
    )]
    pub data_dir: Option<PathBuf>,
    /// Where to serve the HTTP API; port 0 lets the system choose [default: 127.0.0.1:8081]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "RAFT3D_HTTP_ADDR",
        hide_env_values = true
    )]
    pub http_addr: Option<String>,
    /// Where to listen for the other nodes, and where they reach this one; required with --join
    /// [default: this node's address in --initial-cluster]
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "RAFT3D_RAFT_ADDR",
        hide_env_values = true
    )]
    pub raft_addr: Option<String>,
    /// The nodes a new cluster starts with, the same list on each: 1=HOST:PORT,2=HOST:PORT,...
    /// A node that has data already goes by that. Required unless --join is given
    #[arg(
        long,
        value_name = "LIST",
        env = "RAFT3D_INITIAL_CLUSTER",
        hide_env_values = true
    )]
    pub initial_cluster: Option<InitialCluster>,
    /// HTTP addresses of nodes of a running cluster, any of which will do: a node with an empty
    /// data directory joins that cluster, as a learner until it has caught up. A node that has
    /// data already goes by that
    #[arg(
        long,
        value_name = "HOST:PORT,...",
        env = "RAFT3D_JOIN",
        hide_env_values = true
    )]
    pub join: Option<JoinAddrs>,
    /// Number of nodes with empty data directories that find each other and found a cluster: --join
    /// is then the list of exactly these nodes, this one among them, the same for each. If there is
    /// a cluster already, that is joined
    #[arg(
        long,
        value_name = "N",
        env = "RAFT3D_BOOTSTRAP_EXPECT",
        hide_env_values = true
    )]
    pub bootstrap_expect: Option<u32>,
    /// Stay a learner of the cluster of --join, which receives everything and never votes or leads,
    /// until somebody promotes it: `raft3d cluster promote`
    #[arg(
        long,
        value_name = "BOOL",
        env = "RAFT3D_LEARNER",
        hide_env_values = true,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub learner: Option<bool>,
    /// This node's certificate for both of its ports, in PEM, with any between it and the CA;
    /// `raft3d certs` makes one. Required, with the next two, if strangers can reach the node
    #[arg(
        long,
        value_name = "FILE",
        env = "RAFT3D_TLS_CERT",
        hide_env_values = true
    )]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM, without a pass phrase
    #[arg(
        long,
        value_name = "FILE",
        env = "RAFT3D_TLS_KEY",
        hide_env_values = true
    )]
    pub tls_key: Option<PathBuf>,
    /// The CA of all nodes of the cluster, in PEM. All three files are read again when they change
    /// and on SIGHUP
    #[arg(
        long,
        value_name = "FILE",
        env = "RAFT3D_TLS_CA",
        hide_env_values = true
    )]
    pub tls_ca: Option<PathBuf>,
    /// Start without TLS, and demand no tokens, although an address is not a loopback address:
    /// whoever reaches the node can then do and read everything
    #[arg(
        long,
        value_name = "BOOL",
        env = "RAFT3D_INSECURE",
        hide_env_values = true,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub insecure: Option<bool>,
    /// Demand a token with each request, on loopback too
    #[arg(
        long,
        value_name = "BOOL",
        env = "RAFT3D_REQUIRE_TOKENS",
        hide_env_values = true,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub require_tokens: Option<bool>,
    /// File with a token whose holder may do everything on this node, so that there is always a way
    /// in; only this node's user may read it. `raft3d tokens generate` makes one
    #[arg(
        long,
        value_name = "FILE",
        env = "RAFT3D_ADMIN_TOKEN_FILE",
        hide_env_values = true
    )]
    pub admin_token_file: Option<PathBuf>,
    /// File with an admin's token, which a node started with --join shows to the cluster
    #[arg(
        long,
        value_name = "FILE",
        env = "RAFT3D_TOKEN_FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
    /// Log entries between two snapshots, at least: an eighth to a quarter as many as the farm has
    /// objects, if that is more [default: 10000]
    #[arg(
        long,
        value_name = "N",
        env = "RAFT3D_SNAPSHOT_DISTANCE",
        hide_env_values = true
    )]
    pub snapshot_distance: Option<u32>,
    /// Seconds between two snapshots by time, each only if something was applied since the one
    /// before; 0 for none [default: 3600]
    #[arg(
        long,
        value_name = "S",
        env = "RAFT3D_SNAPSHOT_INTERVAL_S",
        hide_env_values = true
    )]
    pub snapshot_interval_s: Option<u32>,
    /// How long a follower waits for a leader before it stands for election: drawn anew each time
    /// from this range, in milliseconds [default: 300..600]
    #[arg(
        long,
        value_name = "LOW..HIGH",
        env = "RAFT3D_ELECTION_TIMEOUT_MS",
        hide_env_values = true
    )]
    pub election_timeout_ms: Option<ElectionTimeout>,
    /// Time between two heartbeats of the leader, in milliseconds [default: 75]
    #[arg(
        long,
        value_name = "MS",
        env = "RAFT3D_HEARTBEAT_MS",
        hide_env_values = true
    )]
    pub heartbeat_ms: Option<u32>,
    /// How long a request may wait for the cluster before it is answered 503, in milliseconds
    /// [default: 5000]
    #[arg(
        long,
        value_name = "MS",
        env = "RAFT3D_REQUEST_TIMEOUT_MS",
        hide_env_values = true
    )]
    pub request_timeout_ms: Option<u32>,
    /// From where web pages may use the API: origins such as `https://farm.example`, separated by commas,
    /// or * for any. From nowhere if not given
    #[arg(
        long,
        value_name = "ORIGIN,...",
        env = "RAFT3D_CORS_ORIGINS",
        hide_env_values = true
    )]
    pub cors_origins: Option<CorsOrigins>,
    /// What to log on standard error: error, warn, info, debug, trace, or a filter such as
    /// `info,raft3d::http=debug` [default: info]
    #[arg(
        long,
        value_name = "FILTER",
        env = "RAFT3D_LOG",
        hide_env_values = true
    )]
    pub log: Option<String>,
    /// How to write the log: as text for people, or as one JSON object a line [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "RAFT3D_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<LogFormat>,
    /// Where to send traces by OTLP over HTTP, as the base of an OpenTelemetry collector's URL such as
    /// `http://127.0.0.1:4318`; https takes --tls-ca. None are made if not given
    #[arg(
        long,
        value_name = "URL",
        env = "RAFT3D_OTLP_ENDPOINT",
        hide_env_values = true
    )]
    pub otlp_endpoint: Option<OtlpEndpoint>,
    /// Which part of the requests is traced, from 0 to 1, of those whose callers do not say it
    /// themselves [default: 1]
    #[arg(
        long,
        value_name = "RATIO",
        env = "RAFT3D_OTLP_SAMPLING_RATIO",
        hide_env_values = true
    )]
    pub otlp_sampling_ratio: Option<SamplingRatio>,
}

impl Settings {
    /// Reads the TOML file at `path`; an unknown key is an error that names it.
    pub fn from_file(path: &Path) -> Result<Settings, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// These settings, with `other`'s wherever these say nothing.
    pub fn or(self, other: Settings) -> Settings {
        Settings {
            node_id: self.node_id.or(other.node_id),
            data_dir: self.data_dir.or(other.data_dir),
            http_addr: self.http_addr.or(other.http_addr),
            raft_addr: self.raft_addr.or(other.raft_addr),
            initial_cluster: self.initial_cluster.or(other.initial_cluster),
            join: self.join.or(other.join),
            bootstrap_expect: self.bootstrap_expect.or(other.bootstrap_expect),
            learner: self.learner.or(other.learner),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            tls_ca: self.tls_ca.or(other.tls_ca),
            insecure: self.insecure.or(other.insecure),
            require_tokens: self.require_tokens.or(other.require_tokens),
            admin_token_file: self.admin_token_file.or(other.admin_token_file),
            token_file: self.token_file.or(other.token_file),
            snapshot_distance: self.snapshot_distance.or(other.snapshot_distance),
            snapshot_interval_s: self.snapshot_interval_s.or(other.snapshot_interval_s),
            election_timeout_ms: self.election_timeout_ms.or(other.election_timeout_ms),
            heartbeat_ms: self.heartbeat_ms.or(other.heartbeat_ms),
            request_timeout_ms: self.request_timeout_ms.or(other.request_timeout_ms),
            cors_origins: self.cors_origins.or(other.cors_origins),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            otlp_endpoint: self.otlp_endpoint.or(other.otlp_endpoint),
            otlp_sampling_ratio: self.otlp_sampling_ratio.or(other.otlp_sampling_ratio),
        }
    }
}
