//! What a node is told: flags over environment over a TOML file over defaults.
//!
//! [`Settings`] is what one source may say, and so every field is optional; clap fills it from flags
//! and environment, serde from the file. [`Config`] is the whole, checked once by
//! [`Config::validate`]: a value of it that came from [`ServeArgs::load`] is safe to start from.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::telemetry::LogFormat;

const DEFAULT_HTTP_ADDR: &str = "127.0.0.1:8081";
const DEFAULT_SNAPSHOT_DISTANCE: u32 = 10_000;
const DEFAULT_ELECTION_TIMEOUT: ElectionTimeout = ElectionTimeout {
    low_ms: 300,
    high_ms: 600,
};
const DEFAULT_HEARTBEAT_MS: u32 = 75;
const DEFAULT_REQUEST_TIMEOUT_MS: u32 = 5_000;
const DEFAULT_LOG: &str = "info";

/// The longest time that any timeout may be set to, in milliseconds: ten minutes.
const MAX_MS: u32 = 600_000;

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
    /// Log entries between two snapshots [default: 10000]
    #[arg(
        long,
        value_name = "N",
        env = "RAFT3D_SNAPSHOT_DISTANCE",
        hide_env_values = true
    )]
    pub snapshot_distance: Option<u32>,
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
            snapshot_distance: self.snapshot_distance.or(other.snapshot_distance),
            election_timeout_ms: self.election_timeout_ms.or(other.election_timeout_ms),
            heartbeat_ms: self.heartbeat_ms.or(other.heartbeat_ms),
            request_timeout_ms: self.request_timeout_ms.or(other.request_timeout_ms),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

/// Everything one node runs by. Get one from [`ServeArgs::load`].
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// This node's server id, 1 or more.
    pub node_id: i32,
    /// Directory of the log, the snapshots and the lock file.
    pub data_dir: PathBuf,
    /// `host:port` of the HTTP listener; port 0 lets the system choose.
    pub http_addr: String,
    /// `host:port` of the Raft listener.
    pub raft_addr: String,
    /// What this node is part of.
    pub origin: Origin,
    /// Log entries between two snapshots, 1 or more.
    pub snapshot_distance: u32,
    /// Range from which each election timeout is drawn.
    pub election_timeout: ElectionTimeout,
    /// Time between two heartbeats, in milliseconds.
    pub heartbeat_ms: u32,
    /// How long a request may wait for the cluster.
    pub request_timeout: Duration,
    /// Log filter, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
    /// How log lines are written.
    pub log_format: LogFormat,
}

impl ServeArgs {
    /// Puts flags, environment, file and defaults together and checks the whole.
    pub fn load(self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => Settings::from_file(path)?,
            None => Settings::default(),
        };
        Config::from_settings(self.settings.or(file))
    }
}

impl Config {
    /// Fills in the defaults and checks the whole.
    pub fn from_settings(settings: Settings) -> Result<Config, ConfigError> {
        let node_id = settings.node_id.ok_or(ConfigError::Missing("node-id"))?;
        let origin = match (settings.initial_cluster, settings.join) {
            (Some(nodes), None) => Origin::InitialCluster(nodes),
            (None, Some(addrs)) => Origin::Join(addrs),
            (None, None) => return Err(ConfigError::Missing("initial-cluster")),
            (Some(nodes), Some(addrs)) => {
                return Err(ConfigError::Clash(format!(
                    "--initial-cluster {nodes} and --join {addrs} exclude each other: give the \
                     first to the nodes of a new cluster, the second to a node that joins one"
                )));
            }
        };
        let own_addr = match &origin {
            Origin::InitialCluster(nodes) => nodes.addr_of(node_id).map(str::to_owned),
            Origin::Join(_) if settings.raft_addr.is_none() => {
                return Err(ConfigError::Missing("raft-addr"));
            }
            Origin::Join(_) => None,
        };
        let config = Config {
            node_id,
            data_dir: settings.data_dir.ok_or(ConfigError::Missing("data-dir"))?,
            http_addr: settings.http_addr.unwrap_or(DEFAULT_HTTP_ADDR.into()),
            raft_addr: settings.raft_addr.or(own_addr).unwrap_or_default(),
            origin,
            snapshot_distance: settings
                .snapshot_distance
                .unwrap_or(DEFAULT_SNAPSHOT_DISTANCE),
            election_timeout: settings
                .election_timeout_ms
                .unwrap_or(DEFAULT_ELECTION_TIMEOUT),
            heartbeat_ms: settings.heartbeat_ms.unwrap_or(DEFAULT_HEARTBEAT_MS),
            request_timeout: Duration::from_millis(u64::from(
                settings
                    .request_timeout_ms
                    .unwrap_or(DEFAULT_REQUEST_TIMEOUT_MS),
            )),
            log: settings.log.unwrap_or(DEFAULT_LOG.into()),
            log_format: settings.log_format.unwrap_or_default(),
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks each value and how the values go together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_addresses()?;
        self.validate_timing()?;
        if self.snapshot_distance == 0 {
            return Err(ConfigError::out_of_range(
                "snapshot-distance",
                0,
                1,
                u32::MAX,
            ));
        }
        tracing_subscriber::EnvFilter::try_new(&self.log).map_err(|error| ConfigError::Value {
            option: "log",
            value: self.log.clone(),
            reason: error.to_string(),
        })?;
        Ok(())
    }

    fn validate_addresses(&self) -> Result<(), ConfigError> {
        if self.node_id < 1 {
            return Err(ConfigError::Value {
                option: "node-id",
                value: self.node_id.to_string(),
                reason: "must be 1 or more".into(),
            });
        }
        match &self.origin {
            Origin::InitialCluster(nodes) => self.validate_membership(nodes)?,
            Origin::Join(_) => self.validate_reachable()?,
        }
        check_addr("http-addr", &self.http_addr)?;
        if self.http_addr == self.raft_addr {
            return Err(ConfigError::Clash(format!(
                "--http-addr {} and --raft-addr {} are the same: give each its own port",
                self.http_addr, self.raft_addr
            )));
        }
        Ok(())
    }

    fn validate_membership(&self, nodes: &InitialCluster) -> Result<(), ConfigError> {
        let Some(own_addr) = nodes.addr_of(self.node_id) else {
            return Err(ConfigError::NotAMember {
                node_id: self.node_id,
                cluster: nodes.clone(),
            });
        };
        let raft_port = check_addr("raft-addr", &self.raft_addr)?;
        if port_of(own_addr) != Ok(raft_port) {
            return Err(ConfigError::Clash(format!(
                "--raft-addr {} listens on another port than --initial-cluster gives node {} ({own_addr}): \
                 make the ports the same, or leave --raft-addr out",
                self.raft_addr, self.node_id
            )));
        }
        Ok(())
    }

    /// The others know a node that joins by its own --raft-addr.
    fn validate_reachable(&self) -> Result<(), ConfigError> {
        let port = check_addr("raft-addr", &self.raft_addr)?;
        let host = self.raft_addr.rsplit_once(':').map(|(host, _)| host);
        let everywhere = host
            .and_then(|host| host.parse::<IpAddr>().ok())
            .is_some_and(|ip| ip.is_unspecified());
        if port != 0 && !everywhere {
            return Ok(());
        }
        Err(ConfigError::Value {
            option: "raft-addr",
            value: self.raft_addr.clone(),
            reason: "a node that joins is reached by the others at this address: give its own \
                     host, and a port that is not 0"
                .into(),
        })
    }

    fn validate_timing(&self) -> Result<(), ConfigError> {
        let ElectionTimeout { low_ms, high_ms } = self.election_timeout;
        check_ms("heartbeat-ms", self.heartbeat_ms)?;
        check_ms("election-timeout-ms", low_ms)?;
        check_ms("election-timeout-ms", high_ms)?;
        let request_ms = u32::try_from(self.request_timeout.as_millis()).unwrap_or(u32::MAX);
        check_ms("request-timeout-ms", request_ms)?;
        if self.heartbeat_ms > low_ms / 2 {
            return Err(ConfigError::Clash(format!(
                "--heartbeat-ms {} is more than half of the shortest election timeout \
                 (--election-timeout-ms {}), so that one late heartbeat would start an election: \
                 lower the first to {} or raise the second",
                self.heartbeat_ms,
                self.election_timeout,
                (low_ms / 2).max(1)
            )));
        }
        Ok(())
    }
}

/// Why a node cannot be started as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file of `--config` cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of `--config` is not TOML, or has a key or value that is not known.
    #[error("the configuration file {} is not valid:\n{source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// An option without a default was given nowhere.
    #[error(
        "--{0} is missing: give the flag, set {env}, or write `{0} = ...` in the file of --config",
        env = env_name(.0)
    )]
    Missing(&'static str),
    /// One value is wrong by itself.
    #[error("--{option} {value}: {reason}")]
    Value {
        /// The option, without its dashes.
        option: &'static str,
        /// What it was set to.
        value: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// This node is not in the list of the cluster's nodes.
    #[error(
        "--node-id {node_id} is not among the nodes of --initial-cluster {cluster}: \
         use one of its numbers or add this node to the list"
    )]
    NotAMember {
        /// This node.
        node_id: i32,
        /// The list.
        cluster: InitialCluster,
    },
    /// Two values do not go together; the text names both and a way out.
    #[error("{0}")]
    Clash(String),
}

impl ConfigError {
    fn out_of_range(option: &'static str, value: u32, low: u32, high: u32) -> ConfigError {
        ConfigError::Value {
            option,
            value: value.to_string(),
            reason: format!("must be from {low} to {high}"),
        }
    }
}

/// Range from which election timeouts are drawn, in milliseconds; written `LOW..HIGH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ElectionTimeout {
    /// The shortest.
    pub low_ms: u32,
    /// The longest; above the shortest, or nodes would keep standing at the same moment.
    pub high_ms: u32,
}

impl fmt::Display for ElectionTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.low_ms, self.high_ms)
    }
}

impl FromStr for ElectionTimeout {
    type Err = String;

    fn from_str(text: &str) -> Result<ElectionTimeout, String> {
        let (low, high) = text
            .split_once("..")
            .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)))
            .ok_or_else(|| format!("`{text}` is not a range of milliseconds such as 300..600"))?;
        if low >= high {
            return Err(format!(
                "`{text}` must go from a lower to a higher number, such as 300..600"
            ));
        }
        Ok(ElectionTimeout {
            low_ms: low,
            high_ms: high,
        })
    }
}

impl TryFrom<String> for ElectionTimeout {
    type Error = String;

    fn try_from(text: String) -> Result<ElectionTimeout, String> {
        text.parse()
    }
}

/// What a node is part of, unless its data directory says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A new cluster of these members; this node is one of them.
    InitialCluster(InitialCluster),
    /// The running cluster of the nodes with these HTTP addresses.
    Join(JoinAddrs),
}

/// HTTP addresses of a cluster's nodes; written `host:port,host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct JoinAddrs(Vec<String>);

impl JoinAddrs {
    /// The addresses, in the order given.
    pub fn addrs(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for JoinAddrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl FromStr for JoinAddrs {
    type Err = String;

    fn from_str(text: &str) -> Result<JoinAddrs, String> {
        let mut addrs = Vec::new();
        for addr in text.split(',').map(str::trim) {
            if port_of(addr)? == 0 {
                return Err(format!(
                    "`{addr}` needs the port that the node listens on, not 0"
                ));
            }
            addrs.push(addr.to_owned());
        }
        Ok(JoinAddrs(addrs))
    }
}

impl TryFrom<String> for JoinAddrs {
    type Error = String;

    fn try_from(text: String) -> Result<JoinAddrs, String> {
        text.parse()
    }
}

/// The nodes a new cluster starts with, by id; written `1=host:port,2=host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct InitialCluster(Vec<(i32, String)>);

impl InitialCluster {
    /// The nodes and their Raft addresses, in rising order of id.
    pub fn nodes(&self) -> &[(i32, String)] {
        &self.0
    }

    /// The Raft address of one node.
    pub fn addr_of(&self, node_id: i32) -> Option<&str> {
        let position = self.0.iter().position(|(id, _)| *id == node_id)?;
        Some(&self.0[position].1)
    }
}

impl fmt::Display for InitialCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (id, addr)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{id}={addr}")?;
        }
        Ok(())
    }
}

impl FromStr for InitialCluster {
    type Err = String;

    fn from_str(text: &str) -> Result<InitialCluster, String> {
        let mut nodes = Vec::new();
        let (mut ids, mut addrs) = (BTreeSet::new(), BTreeSet::new());
        for part in text.split(',') {
            let (id, addr) = part
                .split_once('=')
                .and_then(|(id, addr)| Some((id.trim().parse::<i32>().ok()?, addr.trim())))
                .filter(|(id, _)| *id > 0)
                .ok_or_else(|| {
                    format!("`{part}` is not ID=HOST:PORT with a whole number from 1 as the id")
                })?;
            if port_of(addr)? == 0 {
                return Err(format!(
                    "`{part}` needs a port that the other nodes can know, not 0"
                ));
            }
            if !ids.insert(id) {
                return Err(format!(
                    "node {id} is there twice: give each node its own number"
                ));
            }
            if !addrs.insert(addr) {
                return Err(format!(
                    "{addr} is there twice: give each node its own address"
                ));
            }
            nodes.push((id, addr.to_owned()));
        }
        nodes.sort();
        Ok(InitialCluster(nodes))
    }
}

impl TryFrom<String> for InitialCluster {
    type Error = String;

    fn try_from(text: String) -> Result<InitialCluster, String> {
        text.parse()
    }
}

fn env_name(option: &str) -> String {
    format!("RAFT3D_{}", option.to_uppercase().replace('-', "_"))
}

/// The port of a `host:port`.
fn port_of(addr: &str) -> Result<u16, String> {
    addr.rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .and_then(|(_, port)| port.parse().ok())
        .ok_or_else(|| format!("`{addr}` is not HOST:PORT, such as 127.0.0.1:9081"))
}

fn check_addr(option: &'static str, value: &str) -> Result<u16, ConfigError> {
    port_of(value).map_err(|reason| ConfigError::Value {
        option,
        value: value.to_owned(),
        reason,
    })
}

fn check_ms(option: &'static str, value: u32) -> Result<(), ConfigError> {
    if (1..=MAX_MS).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::out_of_range(option, value, 1, MAX_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083";

    fn settings() -> Settings {
        Settings {
            node_id: Some(1),
            data_dir: Some("data".into()),
            initial_cluster: Some(CLUSTER.parse().unwrap()),
            ..Settings::default()
        }
    }

    fn refusal(settings: Settings) -> String {
        Config::from_settings(settings).unwrap_err().to_string()
    }

    #[test]
    fn defaults_fill_what_no_source_says() {
        let config = Config::from_settings(settings()).unwrap();
        assert_eq!(config.http_addr, "127.0.0.1:8081");
        assert_eq!(config.raft_addr, "127.0.0.1:9081");
        assert_eq!(config.snapshot_distance, 10_000);
        assert_eq!(config.election_timeout.to_string(), "300..600");
        assert_eq!(config.heartbeat_ms, 75);
        assert_eq!(config.request_timeout, Duration::from_secs(5));
        assert_eq!(config.log, "info");
        assert_eq!(config.log_format, LogFormat::Text);
    }

    #[test]
    fn a_file_may_say_everything_and_loses_to_flags() {
        let file: Settings = toml::from_str(
            r#"
            node-id = 2
            data-dir = "/var/lib/raft3d"
            http-addr = "127.0.0.1:7001"
            raft-addr = "0.0.0.0:9082"
            initial-cluster = "1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083"
            snapshot-distance = 500
            election-timeout-ms = "1000..2000"
            heartbeat-ms = 100
            request-timeout-ms = 2500
            log = "debug"
            log-format = "json"
            "#,
        )
        .unwrap();
        let flags = Settings {
            heartbeat_ms: Some(50),
            ..Settings::default()
        };
        let config = Config::from_settings(flags.or(file)).unwrap();
        assert_eq!(config.heartbeat_ms, 50);
        assert_eq!(config.node_id, 2);
        assert_eq!(config.raft_addr, "0.0.0.0:9082");
        assert_eq!(config.election_timeout.high_ms, 2000);
        assert_eq!(config.request_timeout, Duration::from_millis(2500));
        assert_eq!(config.log_format, LogFormat::Json);
    }

    #[test]
    fn an_unknown_key_of_the_file_is_named() {
        let error = toml::from_str::<Settings>("heartbeat = 5").unwrap_err();
        assert!(error.to_string().contains("heartbeat"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named_with_every_way_to_give_it() {
        let text = refusal(Settings {
            data_dir: None,
            ..settings()
        });
        assert!(
            text.contains("--data-dir") && text.contains("RAFT3D_DATA_DIR"),
            "{text}"
        );
    }

    #[test]
    fn clashes_show_both_values() {
        let cases = [
            (
                Settings {
                    node_id: Some(4),
                    ..settings()
                },
                ["--node-id 4", CLUSTER],
            ),
            (
                Settings {
                    heartbeat_ms: Some(200),
                    ..settings()
                },
                ["--heartbeat-ms 200", "300..600"],
            ),
            (
                Settings {
                    raft_addr: Some("127.0.0.1:9999".into()),
                    ..settings()
                },
                ["127.0.0.1:9999", "127.0.0.1:9081"],
            ),
            (
                Settings {
                    http_addr: Some("127.0.0.1:9081".into()),
                    ..settings()
                },
                ["--http-addr 127.0.0.1:9081", "--raft-addr 127.0.0.1:9081"],
            ),
        ];
        for (settings, parts) in cases {
            let text = refusal(settings);
            for part in parts {
                assert!(text.contains(part), "`{part}` is not in `{text}`");
            }
        }
    }

    fn joining(raft_addr: Option<&str>) -> Settings {
        Settings {
            initial_cluster: None,
            join: Some("127.0.0.1:8081,127.0.0.1:8082".parse().unwrap()),
            raft_addr: raft_addr.map(str::to_owned),
            ..settings()
        }
    }

    #[test]
    fn a_node_that_joins_says_where_it_is_reached() {
        let config = Config::from_settings(joining(Some("127.0.0.1:9084"))).unwrap();
        let Origin::Join(addrs) = config.origin else {
            panic!("{:?}", config.origin);
        };
        assert_eq!(addrs.addrs(), ["127.0.0.1:8081", "127.0.0.1:8082"]);
        for (addr, told) in [
            (None, "--raft-addr is missing"),
            (Some("0.0.0.0:9084"), "--raft-addr 0.0.0.0:9084"),
            (Some("127.0.0.1:0"), "--raft-addr 127.0.0.1:0"),
        ] {
            let text = refusal(joining(addr));
            assert!(text.contains(told), "`{told}` is not in `{text}`");
        }
    }

    #[test]
    fn a_node_founds_a_cluster_or_joins_one() {
        let text = refusal(Settings {
            initial_cluster: settings().initial_cluster,
            ..joining(Some("127.0.0.1:9081"))
        });
        assert!(
            text.contains("--initial-cluster") && text.contains("--join"),
            "{text}"
        );
        for list in ["", "a", "a:0", "a:1,", ":1"] {
            assert!(list.parse::<JoinAddrs>().is_err(), "`{list}` was taken");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (settings, option) in [
            (
                Settings {
                    snapshot_distance: Some(0),
                    ..settings()
                },
                "--snapshot-distance 0",
            ),
            (
                Settings {
                    request_timeout_ms: Some(0),
                    ..settings()
                },
                "--request-timeout-ms 0",
            ),
            (
                Settings {
                    heartbeat_ms: Some(0),
                    ..settings()
                },
                "--heartbeat-ms 0",
            ),
            (
                Settings {
                    http_addr: Some("here".into()),
                    ..settings()
                },
                "--http-addr here",
            ),
            (
                Settings {
                    log: Some("raft3d=loud".into()),
                    ..settings()
                },
                "--log raft3d=loud",
            ),
        ] {
            let text = refusal(settings);
            assert!(text.contains(option), "`{option}` is not in `{text}`");
        }
    }

    #[test]
    fn malformed_lists_and_ranges_are_refused() {
        for text in [
            "",
            "1",
            "0=a:1",
            "x=a:1",
            "1=a",
            "1=a:0",
            "1=a:1,1=b:2",
            "1=a:1,2=a:1",
            "1=a:1,",
        ] {
            assert!(
                text.parse::<InitialCluster>().is_err(),
                "`{text}` was taken"
            );
        }
        for text in ["", "300", "600..300", "300..300", "a..b", "-1..5"] {
            assert!(
                text.parse::<ElectionTimeout>().is_err(),
                "`{text}` was taken"
            );
        }
    }
}
