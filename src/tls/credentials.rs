//! A node's certificate, key and CA, checked and ready for use.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::certificate::{Certificate, chain_of};
use super::files::Contents;
use super::{TlsError, TlsFiles, node_name, provider};
use crate::client::http;

/// All that one set of files amounts to. Immutable: new files make new credentials.
pub struct Credentials {
    /// How the HTTP port answers a handshake.
    pub server: Arc<ServerConfig>,
    /// For calls to other nodes' APIs: believes certificates of the CA only.
    pub client: reqwest::Client,
    /// The node's own certificate.
    pub certificate: Certificate,
    /// When the node's chain ends to count.
    pub chain_valid_until: Timestamp,
    /// When the last CA of the file ends to count.
    pub ca_valid_until: Timestamp,
}

impl Credentials {
    /// Checks what is in `files`, from which `contents` came: the key is the certificate's, the
    /// certificate is of the CA, counts now, for clients and servers, and is node `node_id`'s.
    pub fn check(
        files: &TlsFiles,
        contents: &Contents,
        node_id: i32,
    ) -> Result<Credentials, TlsError> {
        let chain = chain_of(&contents.cert, &files.cert)?;
        let cas = chain_of(&contents.ca, &files.ca)?;
        let key =
            PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| TlsError::Content {
                path: files.key.clone(),
                // Not all of the error: it may quote what should be secret.
                reason: match error {
                    rustls::pki_types::pem::Error::NoItemsFound => "there is no PEM key in it",
                    _ => "its PEM is malformed",
                }
                .into(),
            })?;
        let roots = Arc::new(roots_in(&cas, &files.ca)?);
        let clients = client_verifier(&roots, files)?;
        check_own(&chain, &roots, clients.as_ref(), files, node_id)?;
        let ends = |certificates: &[Certificate]| -> Vec<Timestamp> {
            certificates.iter().map(|c| c.valid_until).collect()
        };
        let ca_ends = ends(&parsed(&cas, &files.ca)?);
        let mut parsed = parsed(&chain, &files.cert)?;
        let chain_ends = ends(&parsed);
        Ok(Credentials {
            server: Arc::new(server_config(chain, key, clients, files)?),
            client: http::believing((*roots).clone())
                .map_err(|error| TlsError::Mismatch(error.to_string()))?,
            // `chain_of` gives at least one.
            chain_valid_until: chain_ends.into_iter().min().unwrap_or(Timestamp::MIN),
            ca_valid_until: ca_ends.into_iter().max().unwrap_or(Timestamp::MIN),
            certificate: parsed.swap_remove(0),
        })
    }
}

/// The CAs of a PEM file.
pub fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    roots_in(&chain_of(&super::files::read(path)?, path)?, path)
}

fn roots_in(cas: &[CertificateDer<'static>], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(|error| TlsError::Content {
            path: path.to_owned(),
            reason: format!("a certificate in it is no CA: {error}"),
        })?;
    }
    Ok(roots)
}

fn parsed(chain: &[CertificateDer<'_>], path: &Path) -> Result<Vec<Certificate>, TlsError> {
    let parsed: Result<Vec<_>, _> = chain.iter().map(Certificate::parse).collect();
    parsed.map_err(|reason| TlsError::Content {
        path: path.to_owned(),
        reason,
    })
}

/// Clients need not show a certificate; one that is shown must be of the CA.
fn client_verifier(
    roots: &Arc<RootCertStore>,
    files: &TlsFiles,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Content {
            path: files.ca.clone(),
            reason: error.to_string(),
        })
}

/// The others will look at the node's certificate like this: a mistake is better found here.
fn check_own(
    chain: &[CertificateDer<'_>],
    roots: &Arc<RootCertStore>,
    clients: &dyn ClientCertVerifier,
    files: &TlsFiles,
    node_id: i32,
) -> Result<(), TlsError> {
    let refuse = |reason: String| {
        TlsError::Mismatch(format!(
            "the certificate of {} cannot be node {node_id}'s with the CA of {}: {reason}; raft3d \
             certs node makes one",
            files.cert.display(),
            files.ca.display()
        ))
    };
    let Some((own, others)) = chain.split_first() else {
        return Err(refuse("there is none".into()));
    };
    let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider())
        .build()
        .map_err(|error| refuse(error.to_string()))?;
    let name =
        ServerName::try_from(node_name(node_id)).map_err(|error| refuse(error.to_string()))?;
    let now = UnixTime::now();
    servers
        .verify_server_cert(own, others, &name, &[], now)
        .map_err(|error| refuse(error.to_string()))?;
    clients
        .verify_client_cert(own, others, now)
        .map_err(|error| refuse(format!("as a client's, {error}")))?;
    Ok(())
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Arc<dyn ClientCertVerifier>,
    files: &TlsFiles,
) -> Result<ServerConfig, TlsError> {
    let unusable = |error: rustls::Error| {
        TlsError::Mismatch(format!(
            "the key of {} and the certificate of {} do not go together: {error}",
            files.key.display(),
            files.cert.display()
        ))
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
