//! Why a node cannot be started as it was told.

use std::path::PathBuf;

use super::values::InitialCluster;

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
    /// Strangers can reach the node, and it has no TLS.
    #[error(
        "--{option} {addr} is not a loopback address, so that others than this machine may reach \
         the node, and it has no TLS: give it --tls-cert, --tls-key and --tls-ca, which `raft3d \
         certs init` makes, or start it with --insecure if whoever reaches it may do and read \
         everything"
    )]
    Exposed {
        /// The option, without its dashes.
        option: &'static str,
        /// The address.
        addr: String,
    },
    /// Two values do not go together; the text names both and a way out.
    #[error("{0}")]
    Clash(String),
}

impl ConfigError {
    pub(super) fn out_of_range(
        option: &'static str,
        value: u32,
        low: u32,
        high: u32,
    ) -> ConfigError {
        ConfigError::Value {
            option,
            value: value.to_string(),
            reason: format!("must be from {low} to {high}"),
        }
    }
}

fn env_name(option: &str) -> String {
    format!("RAFT3D_{}", option.to_uppercase().replace('-', "_"))
}
