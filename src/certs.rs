//! `raft3d certs`: makes a development CA and the nodes' certificates, and shows certificates.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::client::api::ClientError;
use crate::client::output::print_line;
use crate::tls::authority::{Authority, Pair, Validity, is_host};
use crate::tls::certificate::Certificate;
use crate::tls::files;

/// Readable and writable by the owner only; and readable by all.
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const PRIVATE_DIR: u32 = 0o700;
/// A hundred years: certificates end with the year 9999.
const DAYS_MAX: i64 = 36_500;

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub enum CertsVerb {
    /// Make a development CA and a certificate for each node; overwrites nothing
    Init {
        /// Where to: ca.crt, ca.key, and node-N.crt, node-N.key for each node
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// A node and all host names and addresses under which clients and other nodes reach its
        /// HTTP port; repeat for each node
        #[arg(long, value_name = "N=HOST[,HOST...]", required = true)]
        node: Vec<NodeHosts>,
        #[command(flatten)]
        days: Days,
        /// How long the CA counts, in days
        #[arg(long, value_name = "DAYS", default_value_t = 3_650, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
        ca_days: u32,
    },
    /// Make one more node's certificate, or a new one to take an old one's place
    Node {
        /// Where the CA is: ca.crt and ca.key
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The node and its host names and addresses
        #[arg(long, value_name = "N=HOST[,HOST...]", required = true)]
        node: Vec<NodeHosts>,
        /// Where to put node-N.crt and node-N.key [default: where the CA is]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[command(flatten)]
        days: Days,
    },
    /// Show whose the certificates in files are, what they are for and when they end
    Show {
        /// PEM files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// How long nodes' certificates count.
#[derive(Debug, Clone, Copy, Args)]
pub struct Days {
    /// How long a node's certificate counts, in days
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    pub days: u32,
}

/// A node and the hosts its certificate is for; written `1=host,host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHosts {
    /// The node's id.
    pub id: i32,
    /// Names and addresses, one at least.
    pub hosts: Vec<String>,
}

impl FromStr for NodeHosts {
    type Err = String;

    fn from_str(text: &str) -> Result<NodeHosts, String> {
        let malformed = || format!("`{text}` is not N=HOST[,HOST...] with a number from 1");
        let (id, hosts) = text.split_once('=').ok_or_else(malformed)?;
        let id = id.trim().parse().ok().filter(|id| *id > 0);
        let id: i32 = id.ok_or_else(malformed)?;
        let hosts: Vec<String> = hosts.split(',').map(|host| host.trim().into()).collect();
        match hosts.iter().find(|host| !is_host(host)) {
            Some(host) => Err(format!(
                "`{host}` is no host name or address; leave the port out"
            )),
            None => Ok(NodeHosts { id, hosts }),
        }
    }
}

/// Runs one command of `raft3d certs`.
pub fn run(verb: CertsVerb) -> Result<(), ClientError> {
    match verb {
        CertsVerb::Init {
            dir,
            node,
            days,
            ca_days,
        } => {
            let authority = Authority::create(Validity::days(ca_days)).map_err(unmade)?;
            let ca = [(dir.join("ca.crt"), dir.join("ca.key"))];
            refuse_existing(ca.iter().cloned().chain(places(&node, &dir)))?;
            make_dir(&dir)?;
            for (cert, key) in &ca {
                save(cert, key, authority.pair())?;
            }
            issue(&authority, &node, &dir, days)
        }
        CertsVerb::Node {
            dir,
            node,
            out,
            days,
        } => {
            let out = out.unwrap_or_else(|| dir.clone());
            let authority =
                Authority::load(&read(&dir.join("ca.crt"))?, &read(&dir.join("ca.key"))?)
                    .map_err(unmade)?;
            refuse_existing(places(&node, &out))?;
            make_dir(&out)?;
            issue(&authority, &node, &out, days)
        }
        CertsVerb::Show { files } => files.iter().try_for_each(|file| show(file)),
    }
}

fn issue(
    authority: &Authority,
    nodes: &[NodeHosts],
    dir: &Path,
    Days { days }: Days,
) -> Result<(), ClientError> {
    for (node, (cert, key)) in nodes.iter().zip(places(nodes, dir)) {
        let pair = authority.node(node.id, &node.hosts, Validity::days(days));
        save(&cert, &key, &pair.map_err(unmade)?)?;
    }
    Ok(())
}

/// Where the certificates and keys of nodes are.
fn places(nodes: &[NodeHosts], dir: &Path) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    nodes.iter().map(move |NodeHosts { id, .. }| {
        let file = |kind| dir.join(format!("node-{id}.{kind}"));
        (file("crt"), file("key"))
    })
}

/// Before anything is written, so that a second run leaves no half of a set behind.
fn refuse_existing(places: impl Iterator<Item = (PathBuf, PathBuf)>) -> Result<(), ClientError> {
    let mut wanted = std::collections::BTreeSet::new();
    for path in places.flat_map(|(cert, key)| [cert, key]) {
        if path.exists() {
            let text = format!("{} exists already and stays as it is", path.display());
            return Err(ClientError::Usage(text));
        }
        if !wanted.insert(path.clone()) {
            let text = format!(
                "{} would be made twice: name each node once",
                path.display()
            );
            return Err(ClientError::Usage(text));
        }
    }
    Ok(())
}

fn make_dir(dir: &Path) -> Result<(), ClientError> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_DIR)
        .create(dir);
    made.map_err(|error| failed(dir, &error))
}

fn save(cert: &Path, key: &Path, pair: &Pair) -> Result<(), ClientError> {
    for (path, text, mode) in [(key, &pair.key, SECRET), (cert, &pair.cert, PUBLIC)] {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| failed(path, &error))?;
    }
    print_line(&format!("{}\n{}", cert.display(), key.display()))
}

fn show(path: &Path) -> Result<(), ClientError> {
    let certificates =
        Certificate::of_file(path).map_err(|error| ClientError::Other(error.to_string()))?;
    for certificate in certificates {
        let kind = if certificate.is_ca { "CA" } else { "no CA" };
        let names = match certificate.names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        print_line(&format!(
            "{}\n  subject  {} ({kind})\n  issuer   {}\n  names    {names}\n  from     {}\n  until    {}",
            path.display(),
            certificate.subject,
            certificate.issuer,
            certificate.valid_from,
            certificate.valid_until,
        ))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, ClientError> {
    let bytes = files::read(path).map_err(|error| ClientError::Other(error.to_string()))?;
    String::from_utf8(bytes)
        .map_err(|_| ClientError::Other(format!("{} is not PEM", path.display())))
}

fn failed(path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::Other(format!("{}: {error}", path.display()))
}

fn unmade(error: rcgen::Error) -> ClientError {
    ClientError::Other(format!("the CA makes no certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_and_its_hosts_are_read() {
        let read: NodeHosts = "2=10.0.0.2, n2.farm,::1".parse().unwrap();
        assert_eq!(read.id, 2);
        assert_eq!(read.hosts, ["10.0.0.2", "n2.farm", "::1"]);
        for bad in ["", "1", "1=", "0=a", "x=a", "1=a:8081", "1=a,,b", "1=-a"] {
            assert!(bad.parse::<NodeHosts>().is_err(), "`{bad}` was taken");
        }
    }
}
