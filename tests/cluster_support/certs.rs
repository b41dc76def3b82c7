//! The certificates of a cluster under TLS.

use std::fs;
use std::path::PathBuf;

use raft3d::demo::nodes::Layout;
use raft3d::tls::authority::{Authority, Pair, Validity};

/// Where all nodes of a test are.
pub const HOST: &str = "127.0.0.1";
/// How long their certificates count.
pub const DAYS: u32 = 30;

/// The files of a cluster's TLS, and the CA behind them.
pub struct Certs {
    pub dir: PathBuf,
    pub authority: Authority,
}

impl Certs {
    /// A new CA and the certificates of nodes 1 to 3, where the nodes of `layout` look for theirs.
    pub fn prepare(layout: &mut Layout) -> Certs {
        let certs = Certs {
            dir: layout.dir.join("certs"),
            authority: Authority::create(Validity::days(DAYS)).unwrap(),
        };
        fs::create_dir(&certs.dir).unwrap();
        fs::write(certs.dir.join("ca.crt"), &certs.authority.pair().cert).unwrap();
        for id in 1..=3 {
            certs.install(id, &certs.of_node(id));
        }
        layout.certs = Some(certs.dir.clone());
        certs
    }

    /// A new pair for node `id`.
    pub fn of_node(&self, id: i32) -> Pair {
        self.node_until(id, Validity::days(DAYS))
    }

    /// The same, for some other time.
    pub fn node_until(&self, id: i32, validity: Validity) -> Pair {
        let hosts = [HOST.to_owned()];
        self.authority.node(id, &hosts, validity).unwrap()
    }

    /// Puts a pair where node `id` looks for its own.
    pub fn install(&self, id: i32, pair: &Pair) {
        let at = |kind: &str| self.dir.join(format!("node-{id}.{kind}"));
        fs::write(at("key"), &pair.key).unwrap();
        fs::write(at("crt"), &pair.cert).unwrap();
    }

    /// The CA's file.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }
}
