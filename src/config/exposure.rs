//! Who can reach a node, and what it does not start without if strangers can.

use std::net::IpAddr;
use std::path::PathBuf;

use super::{Config, ConfigError, Origin};
use crate::tls::TlsFiles;

/// The three files of TLS, or none of them.
pub(super) fn tls_files(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (cert, key, ca) {
        (None, None, None) => Ok(None),
        (Some(cert), Some(key), Some(ca)) => Ok(Some(TlsFiles { cert, key, ca })),
        (None, ..) => Err(ConfigError::Missing("tls-cert")),
        (_, None, _) => Err(ConfigError::Missing("tls-key")),
        (.., None) => Err(ConfigError::Missing("tls-ca")),
    }
}

impl Config {
    /// Whether requests must bring a token: where strangers can send some, or where it is asked for.
    pub fn demands_tokens(&self) -> bool {
        self.require_tokens || (!self.insecure && self.exposed_addr().is_some())
    }

    /// A node that strangers can reach has TLS, or is told that it need not.
    pub(super) fn validate_exposure(&self) -> Result<(), ConfigError> {
        match self.exposed_addr() {
            Some((option, addr)) if self.tls.is_none() && !self.insecure => {
                Err(ConfigError::Exposed {
                    option,
                    addr: addr.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The first address of the cluster, with its option, that more than this machine may reach.
    fn exposed_addr(&self) -> Option<(&'static str, &str)> {
        let own = [
            ("http-addr", self.http_addr.as_str()),
            ("raft-addr", self.raft_addr.as_str()),
        ];
        let nodes = match &self.origin {
            Origin::InitialCluster(nodes) => nodes.nodes(),
            Origin::Join(_) => &[],
        };
        let others = nodes
            .iter()
            .map(|(_, addr)| ("initial-cluster", addr.as_str()));
        let mut all = own.into_iter().chain(others);
        all.find(|(_, addr)| !is_loopback(addr))
    }
}

/// Whether the host of a `host:port` is this machine for itself only.
fn is_loopback(addr: &str) -> bool {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn settings(http: &str, raft: &str) -> Settings {
        Settings {
            node_id: Some(1),
            data_dir: Some("data".into()),
            http_addr: Some(http.into()),
            initial_cluster: Some(format!("1={raft},2=127.0.0.1:9082").parse().unwrap()),
            ..Settings::default()
        }
    }

    fn with_tls(settings: Settings) -> Settings {
        Settings {
            tls_cert: Some("c".into()),
            tls_key: Some("k".into()),
            tls_ca: Some("a".into()),
            ..settings
        }
    }

    #[test]
    fn loopback_is_told_from_what_strangers_reach() {
        for addr in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1"] {
            assert!(is_loopback(addr), "{addr}");
        }
        for addr in [
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:1",
            "node1:1",
            "localhost.farm:1",
        ] {
            assert!(!is_loopback(addr), "{addr}");
        }
    }

    #[test]
    fn a_node_that_strangers_reach_wants_tls_or_to_be_told() {
        let exposed = || {
            [
                ("--http-addr", settings("0.0.0.0:8081", "127.0.0.1:9081")),
                ("--raft-addr", settings("127.0.0.1:8081", "10.0.0.1:9081")),
                (
                    "--initial-cluster",
                    Settings {
                        initial_cluster: Some("1=127.0.0.1:9081,2=n2:9082".parse().unwrap()),
                        ..settings("127.0.0.1:8081", "127.0.0.1:9081")
                    },
                ),
            ]
        };
        for (option, settings) in exposed() {
            let text = Config::from_settings(settings).unwrap_err().to_string();
            for part in [option, "raft3d certs init", "--tls-cert", "--insecure"] {
                assert!(text.contains(part), "`{part}` is not in `{text}`");
            }
        }
        for (_, settings) in exposed() {
            let config = Config::from_settings(with_tls(settings)).unwrap();
            assert!(config.demands_tokens());
        }
        for (_, settings) in exposed() {
            let insecure = Some(true);
            let config = Config::from_settings(Settings {
                insecure,
                ..settings
            })
            .unwrap();
            assert!(!config.demands_tokens());
        }
    }

    #[test]
    fn tokens_are_demanded_on_loopback_only_when_asked_for() {
        let settings = || settings("127.0.0.1:8081", "127.0.0.1:9081");
        assert!(!Config::from_settings(settings()).unwrap().demands_tokens());
        let require_tokens = Some(true);
        let config = Config::from_settings(Settings {
            require_tokens,
            ..settings()
        });
        assert!(config.unwrap().demands_tokens());
    }

    #[test]
    fn tls_takes_all_three_files() {
        for missing in ["--tls-cert", "--tls-key", "--tls-ca"] {
            let mut settings = with_tls(settings("127.0.0.1:8081", "127.0.0.1:9081"));
            match missing {
                "--tls-cert" => settings.tls_cert = None,
                "--tls-key" => settings.tls_key = None,
                _ => settings.tls_ca = None,
            }
            let text = Config::from_settings(settings).unwrap_err().to_string();
            assert!(text.contains(missing), "{text}");
        }
    }
}
