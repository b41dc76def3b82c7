//! Values of settings that are more than a number or a text.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderValue, Uri};
use serde::Deserialize;

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

/// From where web pages may use the API; written `https://farm.example,http://127.0.0.1:3000`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum CorsOrigins {
    /// From anywhere.
    Any,
    /// From these origins.
    These(Vec<HeaderValue>),
}

impl FromStr for CorsOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<CorsOrigins, String> {
        if text.trim() == "*" {
            return Ok(CorsOrigins::Any);
        }
        let origins = text.split(',').map(|origin| origin_of(origin.trim()));
        Ok(CorsOrigins::These(origins.collect::<Result<_, _>>()?))
    }
}

impl TryFrom<String> for CorsOrigins {
    type Error = String;

    fn try_from(text: String) -> Result<CorsOrigins, String> {
        text.parse()
    }
}

/// An origin as browsers send it: scheme and host, and the port if it is not the scheme's own.
fn origin_of(text: &str) -> Result<HeaderValue, String> {
    let wrong = || {
        format!("`{text}` is not an origin such as https://farm.example or http://127.0.0.1:3000")
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let host = uri.authority().filter(|host| !host.as_str().contains('@'));
    let plain = match (uri.scheme_str(), host) {
        (Some(scheme @ ("http" | "https")), Some(host)) => format!("{scheme}://{host}"),
        _ => return Err(wrong()),
    };
    if plain != text || text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(wrong());
    }
    HeaderValue::try_from(plain).map_err(|_| wrong())
}

/// The base of a collector's URL; traces go to `/v1/traces` below it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OtlpEndpoint(reqwest::Url);

impl OtlpEndpoint {
    /// Whether the collector is reached by TLS.
    pub fn is_secured(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Where traces are sent.
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OtlpEndpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<OtlpEndpoint, String> {
        let url = reqwest::Url::parse(text).ok();
        let fit = |url: &reqwest::Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        url.filter(fit).map(OtlpEndpoint).ok_or_else(|| {
            "not http://HOST:PORT or https://HOST:PORT, with at most a path behind it; what a \
             collector asks for beside that goes into OTEL_EXPORTER_OTLP_HEADERS"
                .into()
        })
    }
}

impl TryFrom<String> for OtlpEndpoint {
    type Error = String;

    fn try_from(text: String) -> Result<OtlpEndpoint, String> {
        text.parse()
    }
}

/// A part of all requests, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct SamplingRatio(f64);

impl SamplingRatio {
    /// All of them.
    pub const ALL: SamplingRatio = SamplingRatio(1.0);

    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for SamplingRatio {
    type Err = String;

    fn from_str(text: &str) -> Result<SamplingRatio, String> {
        let ratio: f64 = text.trim().parse().map_err(|_| not_a_ratio(text))?;
        ratio.try_into()
    }
}

impl TryFrom<f64> for SamplingRatio {
    type Error = String;

    fn try_from(ratio: f64) -> Result<SamplingRatio, String> {
        let fits = (0.0..=1.0).contains(&ratio);
        fits.then_some(SamplingRatio(ratio))
            .ok_or_else(|| not_a_ratio(&ratio.to_string()))
    }
}

fn not_a_ratio(text: &str) -> String {
    format!("`{text}` is not a number from 0 to 1, such as 0.1")
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

/// The port of a `host:port`.
pub(super) fn port_of(addr: &str) -> Result<u16, String> {
    addr.rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .and_then(|(_, port)| port.parse().ok())
        .ok_or_else(|| format!("`{addr}` is not HOST:PORT, such as 127.0.0.1:9081"))
}
