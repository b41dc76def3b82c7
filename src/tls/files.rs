//! The three files of a node: certificate, key and CA, in PEM.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::TlsError;

/// Where a node's certificate, its key and the CA of all nodes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The node's certificate, then any between it and the CA.
    pub cert: PathBuf,
    /// The certificate's key, without a pass phrase.
    pub key: PathBuf,
    /// The CA; several certificates while one CA takes over from another.
    pub ca: PathBuf,
}

/// What was in the files at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    /// Of the certificate's file.
    pub cert: Vec<u8>,
    /// Of the key's.
    pub key: Vec<u8>,
    /// Of the CA's.
    pub ca: Vec<u8>,
}

/// Never shows the key.
impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents")
    }
}

impl TlsFiles {
    /// Reads all three.
    pub fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
            ca: read(&self.ca)?,
        })
    }
}

/// The bytes of one file.
pub fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Io {
        path: path.to_owned(),
        source,
    })
}
