//! What secures the connections of the core.

use cxx::SharedPtr;

use super::bridge;
use crate::tls::audit::TlsAudit;

/// What this node shows to the others on its Raft connections, and whom it believes. Clones are
/// the same.
#[derive(Clone)]
pub struct RaftTls(pub(super) SharedPtr<bridge::tls_credentials>);

impl RaftTls {
    /// From this node's chain, its key, and the CA of all nodes, in PEM. The error is what OpenSSL
    /// says of them.
    pub fn new(chain: &[u8], key: &[u8], roots: &[u8]) -> Result<RaftTls, String> {
        let audit = Box::new(TlsAudit::new());
        let made = bridge::new_tls_credentials(chain, key, roots, audit);
        made.map(RaftTls).map_err(|e| e.what().to_owned())
    }

    /// Has handshakes that begin from now on use these instead. After an error nothing has changed.
    pub fn replace(&self, chain: &[u8], key: &[u8], roots: &[u8]) -> Result<(), String> {
        self.0
            .replace(chain, key, roots)
            .map_err(|e| e.what().to_owned())
    }
}
