//! TLS of one node, and how a certificate is read.
//!
//! A node has one certificate, for both of its ports, and one CA, which its certificate and those of
//! all other nodes are of. `docs/security.md` says what is checked where.
//!
//! * [`files`]: the three files of a node, as they are on disk.
//! * [`credentials`]: what was read from them, checked and ready for use.
//! * [`renewal`]: the credentials of a running node, read again when the files change.
//! * [`certificate`]: what a certificate says; [`audit`]: whose was refused.
//! * [`authority`]: a development CA.

pub mod audit;
pub mod authority;
pub mod certificate;
pub mod credentials;
pub mod files;
pub mod renewal;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use files::TlsFiles;
pub use renewal::Tls;

/// The name that the certificate of node `id` must have: what makes it a node's, and which.
pub fn node_name(id: i32) -> String {
    format!("node-{id}.raft3d")
}

/// Why certificates cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has something else in it than it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate, key and CA do not go together, or are not this node's.
    #[error("{0}")]
    Mismatch(String),
}

/// The cryptography behind all of HTTP's TLS here; nothing is installed for the whole process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
