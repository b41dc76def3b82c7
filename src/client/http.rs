//! HTTP to nodes, plain or by TLS: whose certificate is believed, and which scheme an address has.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

use super::api::{ClientError, failure};
use crate::tls::{Tls, credentials, provider};

/// Longest wait for a connection, and for its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Whom to believe. Clones share their connections.
#[derive(Clone)]
pub struct HttpClient(Belief);

#[derive(Clone)]
enum Belief {
    /// Nobody: no TLS.
    Nobody(reqwest::Client),
    /// Certificates of a CA.
    Ca(reqwest::Client),
    /// Certificates of a node's own CA, which may be renewed; nothing else is spoken to.
    NodesCa(Arc<Tls>),
}

impl HttpClient {
    /// For the command line: with a `ca` file, addresses without a scheme are https.
    pub fn new(ca: Option<&Path>) -> Result<HttpClient, ClientError> {
        let belief = match ca {
            None => Belief::Nobody(believing(RootCertStore::empty())?),
            Some(path) => {
                let roots = credentials::roots(path);
                let roots = roots.map_err(|error| ClientError::Usage(format!("--ca {error}")))?;
                Belief::Ca(believing(roots)?)
            }
        };
        Ok(HttpClient(belief))
    }

    /// For a node's calls to others.
    pub fn of_node(tls: Option<&Arc<Tls>>) -> Result<HttpClient, ClientError> {
        match tls {
            Some(tls) => Ok(HttpClient(Belief::NodesCa(Arc::clone(tls)))),
            None => HttpClient::new(None),
        }
    }

    /// The client for the next request.
    pub fn get(&self) -> reqwest::Client {
        match &self.0 {
            Belief::Nobody(client) | Belief::Ca(client) => client.clone(),
            Belief::NodesCa(tls) => tls.current().client.clone(),
        }
    }

    /// `host:port`, `http://host:port` or `https://host:port` as the start of a URL. The error says
    /// why there is no talking to that address.
    pub fn origin(&self, address: &str) -> Result<String, String> {
        let address = address.trim().trim_end_matches('/');
        let scheme = match &self.0 {
            Belief::Nobody(_) => "http",
            Belief::Ca(_) | Belief::NodesCa(_) => "https",
        };
        let url = match address.contains("://") {
            true => address.to_owned(),
            false => format!("{scheme}://{address}"),
        };
        let parsed = reqwest::Url::parse(&url).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/"
        });
        let Some(parsed) = parsed else {
            return Err(format!(
                "`{address}` is not HOST:PORT, http://HOST:PORT or https://HOST:PORT"
            ));
        };
        match (&self.0, parsed.scheme()) {
            (Belief::Nobody(_), "https") => Err(format!(
                "{address} wants TLS, and no CA is known to believe it by: give --ca FILE"
            )),
            (Belief::NodesCa(_), "http") => {
                Err(format!("{address} is without TLS, and this node is not"))
            }
            _ => Ok(url),
        }
    }
}

/// A client that believes certificates of `roots` only, follows nothing and goes through no proxy.
pub fn believing(roots: RootCertStore) -> Result<reqwest::Client, ClientError> {
    let tls = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Other(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| ClientError::Other(failure(&error)))
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_leave_out_the_scheme() {
        let client = HttpClient::new(None).unwrap();
        assert_eq!(
            client.origin("127.0.0.1:8081").unwrap(),
            "http://127.0.0.1:8081"
        );
        assert_eq!(client.origin("http://h:1/").unwrap(), "http://h:1");
        for bad in ["", "https://h:1", "http://h:1/api", "h:port", "ftp://h:1"] {
            assert!(client.origin(bad).is_err(), "`{bad}` was taken");
        }
    }
}
