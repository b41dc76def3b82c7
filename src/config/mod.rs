//! What a node is told: flags over environment over a TOML file over defaults.
//!
//! * [`settings`]: what one source may say. Every field is optional; clap fills it from flags and
//!   environment, serde from the file.
//! * [`Config`]: the whole, checked once (`check.rs`): a value of it that came from
//!   [`ServeArgs::load`] is safe to start from.
//! * [`values`]: what single settings are made of; [`error`]: what can be wrong with them.

mod check;
pub mod error;
mod exposure;
pub mod settings;
pub mod values;

use std::path::PathBuf;
use std::time::Duration;

pub use self::error::ConfigError;
pub use self::settings::{ServeArgs, Settings};
pub use self::values::{
    CorsOrigins, ElectionTimeout, InitialCluster, JoinAddrs, Origin, OtlpEndpoint, SamplingRatio,
};
use crate::domain::command::NEWEST_VERSION;
use crate::telemetry::LogFormat;
use crate::tls::TlsFiles;

const DEFAULT_HTTP_ADDR: &str = "127.0.0.1:8081";
const DEFAULT_SNAPSHOT_DISTANCE: u32 = 10_000;
const DEFAULT_SNAPSHOT_INTERVAL_S: u32 = 3_600;
const DEFAULT_ELECTION_TIMEOUT: ElectionTimeout = ElectionTimeout {
    low_ms: 300,
    high_ms: 600,
};
const DEFAULT_HEARTBEAT_MS: u32 = 75;
const DEFAULT_REQUEST_TIMEOUT_MS: u32 = 5_000;
const DEFAULT_LOG: &str = "info";

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
    /// How many nodes, those of [`Origin::Join`], found a cluster if there is none.
    pub bootstrap_expect: Option<u32>,
    /// It joins as a learner, and does not ask to be promoted.
    pub learner: bool,
    /// The files of TLS on both ports; without, both are plain.
    pub tls: Option<TlsFiles>,
    /// TLS and tokens may be missing though strangers can reach the node.
    pub insecure: bool,
    /// Tokens are demanded on loopback too; see [`Config::demands_tokens`].
    pub require_tokens: bool,
    /// File with the token whose holder may do everything on this node.
    pub admin_token_file: Option<PathBuf>,
    /// File with the token that a node shows to the cluster it joins.
    pub token_file: Option<PathBuf>,
    /// Log entries between two snapshots, 1 or more.
    pub snapshot_distance: u32,
    /// Time between two snapshots by time; none if zero.
    pub snapshot_interval: Duration,
    /// Range from which each election timeout is drawn.
    pub election_timeout: ElectionTimeout,
    /// Time between two heartbeats, in milliseconds.
    pub heartbeat_ms: u32,
    /// How long a request may wait for the cluster.
    pub request_timeout: Duration,
    /// From where web pages may use the API, if from anywhere.
    pub cors_origins: Option<CorsOrigins>,
    /// Log filter, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// The collector of traces; none are made without.
    pub otlp_endpoint: Option<OtlpEndpoint>,
    /// Which part of the requests is traced, unless their callers say it.
    pub otlp_sampling_ratio: SamplingRatio,
    /// The newest version of commands to read.
    pub command_version: u8,
}

impl ServeArgs {
    /// Puts flags, environment, file and defaults together and checks the whole.
    pub fn load(self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => Settings::from_file(path)?,
            None => Settings::default(),
        };
        let config = Config::from_settings(self.settings.or(file))?;
        Ok(Config {
            command_version: self.command_version.unwrap_or(config.command_version),
            ..config
        })
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
            bootstrap_expect: settings.bootstrap_expect,
            learner: settings.learner.unwrap_or_default(),
            tls: exposure::tls_files(settings.tls_cert, settings.tls_key, settings.tls_ca)?,
            insecure: settings.insecure.unwrap_or_default(),
            require_tokens: settings.require_tokens.unwrap_or_default(),
            admin_token_file: settings.admin_token_file,
            token_file: settings.token_file,
            snapshot_distance: settings
                .snapshot_distance
                .unwrap_or(DEFAULT_SNAPSHOT_DISTANCE),
            snapshot_interval: Duration::from_secs(u64::from(
                settings
                    .snapshot_interval_s
                    .unwrap_or(DEFAULT_SNAPSHOT_INTERVAL_S),
            )),
            election_timeout: settings
                .election_timeout_ms
                .unwrap_or(DEFAULT_ELECTION_TIMEOUT),
            heartbeat_ms: settings.heartbeat_ms.unwrap_or(DEFAULT_HEARTBEAT_MS),
            request_timeout: Duration::from_millis(u64::from(
                settings
                    .request_timeout_ms
                    .unwrap_or(DEFAULT_REQUEST_TIMEOUT_MS),
            )),
            cors_origins: settings.cors_origins,
            log: settings.log.unwrap_or(DEFAULT_LOG.into()),
            log_format: settings.log_format.unwrap_or_default(),
            otlp_endpoint: settings.otlp_endpoint,
            otlp_sampling_ratio: settings.otlp_sampling_ratio.unwrap_or(SamplingRatio::ALL),
            command_version: NEWEST_VERSION,
        };
        config.validate()?;
        Ok(config)
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
        assert_eq!(config.snapshot_interval, Duration::from_secs(3_600));
        assert_eq!(config.election_timeout.to_string(), "300..600");
        assert_eq!(config.heartbeat_ms, 75);
        assert_eq!(config.request_timeout, Duration::from_secs(5));
        assert_eq!(config.log, "info");
        assert_eq!(config.log_format, LogFormat::Text);
        assert!(!config.demands_tokens());
    }

    #[test]
    fn a_file_may_say_everything_and_loses_to_flags() {
        let file: Settings = toml::from_str(
            r#"
            node-id = 2
            data-dir = "/var/lib/raft3d"
            http-addr = "127.0.0.1:7001"
            raft-addr = "0.0.0.0:9082"
            tls-cert = "/etc/raft3d/node-2.crt"
            tls-key = "/etc/raft3d/node-2.key"
            tls-ca = "/etc/raft3d/ca.crt"
            insecure = false
            require-tokens = true
            admin-token-file = "/etc/raft3d/admin.token"
            token-file = "/etc/raft3d/join.token"
            initial-cluster = "1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083"
            snapshot-distance = 500
            snapshot-interval-s = 0
            election-timeout-ms = "1000..2000"
            heartbeat-ms = 100
            request-timeout-ms = 2500
            log = "debug"
            log-format = "json"
            otlp-endpoint = "https://collector:4318/farm"
            otlp-sampling-ratio = 0
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
        assert_eq!(config.snapshot_interval, Duration::ZERO);
        assert!(config.demands_tokens());
        assert_eq!(
            config.admin_token_file,
            Some("/etc/raft3d/admin.token".into())
        );
        assert_eq!(config.token_file, Some("/etc/raft3d/join.token".into()));
        assert_eq!(config.election_timeout.high_ms, 2000);
        assert_eq!(config.tls.unwrap().ca.to_str(), Some("/etc/raft3d/ca.crt"));
        assert!(!config.insecure && config.require_tokens);
        assert_eq!(config.request_timeout, Duration::from_millis(2500));
        assert_eq!(config.log_format, LogFormat::Json);
        let collector = config.otlp_endpoint.unwrap().traces_url();
        assert_eq!(collector, "https://collector:4318/farm/v1/traces");
        assert_eq!(config.otlp_sampling_ratio.get(), 0.0);
    }

    #[test]
    fn where_traces_go_and_how_many_is_checked() {
        for url in [
            "collector:4318",
            "ftp://c",
            "http://me:secret@c",
            "http://c?k=v",
        ] {
            let refused = url.parse::<OtlpEndpoint>().unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
        for ratio in ["-0.1", "1.1", "NaN", "half"] {
            assert!(ratio.parse::<SamplingRatio>().is_err(), "{ratio}");
        }
        let secured = Settings {
            otlp_endpoint: Some("https://c:4318".parse().unwrap()),
            ..settings()
        };
        let text = refusal(secured);
        assert!(text.contains("--otlp-endpoint https://c:4318") && text.contains("--tls-ca"));
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
    fn nodes_that_found_a_cluster_together_are_all_listed() {
        let settings = |join: &str, expect| Settings {
            join: Some(join.parse().unwrap()),
            bootstrap_expect: Some(expect),
            ..joining(Some("127.0.0.1:9081"))
        };
        let config = Config::from_settings(settings("a:1,b:1,c:1", 3)).unwrap();
        assert_eq!(config.bootstrap_expect, Some(3));
        for (join, expect) in [("a:1,b:1", 3), ("a:1,b:1,c:1", 2), ("a:1,b:1,a:1", 3)] {
            let text = refusal(settings(join, expect));
            let told = format!("--bootstrap-expect {expect}");
            assert!(text.contains(&told) && text.contains(join), "{text}");
        }
        let founded_otherwise = Settings {
            bootstrap_expect: Some(3),
            ..self::settings()
        };
        assert!(refusal(founded_otherwise).contains("--initial-cluster"));
    }

    #[test]
    fn a_learner_joins_and_founds_nothing() {
        let learner = Some(true);
        let joins = joining(Some("127.0.0.1:9081"));
        let config = Config::from_settings(Settings { learner, ..joins });
        assert!(config.unwrap().learner);
        let founds = Settings {
            learner,
            ..settings()
        };
        assert!(refusal(founds).contains("--learner needs --join"));
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
