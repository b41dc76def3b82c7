//! What makes settings right: each value by itself, and how they go together.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Config;
use super::error::ConfigError;
use super::values::{ElectionTimeout, InitialCluster, Origin, port_of};

/// The longest time that any timeout may be set to, in milliseconds: ten minutes.
const MAX_MS: u32 = 600_000;

impl Config {
    /// Checks each value and how the values go together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_addresses()?;
        self.validate_exposure()?;
        self.validate_timing()?;
        if self.snapshot_distance == 0 {
            return Err(ConfigError::out_of_range(
                "snapshot-distance",
                0,
                1,
                u32::MAX,
            ));
        }
        if let Some(endpoint) = self.otlp_endpoint.as_ref().filter(|e| e.is_secured())
            && self.tls.is_none()
        {
            return Err(ConfigError::Clash(format!(
                "--otlp-endpoint {endpoint} wants TLS, and no CA is known to believe the collector \
                 by: give --tls-cert, --tls-key and --tls-ca, or an http URL"
            )));
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
        if let Some(expected) = self.bootstrap_expect {
            self.validate_bootstrap(expected)?;
        }
        if let (true, Origin::InitialCluster(nodes)) = (self.learner, &self.origin) {
            return Err(ConfigError::Clash(format!(
                "--learner needs --join: the nodes of --initial-cluster {nodes} vote"
            )));
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

    /// Two lists of fewer nodes than those of --join could found two clusters.
    fn validate_bootstrap(&self, expected: u32) -> Result<(), ConfigError> {
        let listed = match &self.origin {
            Origin::Join(addrs) => addrs.addrs(),
            Origin::InitialCluster(nodes) => {
                return Err(ConfigError::Clash(format!(
                    "--bootstrap-expect {expected} and --initial-cluster {nodes} exclude each \
                     other: give --join with the first"
                )));
            }
        };
        let distinct: BTreeSet<&String> = listed.iter().collect();
        if distinct.len() == listed.len() && u32::try_from(listed.len()) == Ok(expected) {
            return Ok(());
        }
        Err(ConfigError::Clash(format!(
            "--bootstrap-expect {expected} needs the HTTP addresses of exactly these nodes in \
             --join, this node's among them and each once, and it is {}",
            listed.join(",")
        )))
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
