//! What can be typed on the command line, and what is generated from it: completions, manual pages,
//! and in [`settings`] the tables and files of a node's settings.

pub mod settings;

use std::io;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::backup::recover::RecoverArgs;
use crate::backup::restore::RestoreArgs;
use crate::certs::CertsVerb;
use crate::client::backup::BackupArgs;
use crate::client::bench::BenchArgs;
use crate::client::cluster::ClusterVerb;
use crate::client::events::EventsVerb;
use crate::client::filaments::FilamentVerb;
use crate::client::health::HealthArgs;
use crate::client::jobs::JobVerb;
use crate::client::options::ClientArgs;
use crate::client::printers::PrinterVerb;
use crate::client::tokens::TokenVerb;
use crate::config::ServeArgs;
use crate::demo::DemoArgs;

const EXAMPLES: &str = "\
Examples:
  raft3d demo                              three nodes on this machine, until Ctrl-C
  raft3d demo --tour                       watch a cluster lose its leader and nothing else
  raft3d serve --node-id 1 --data-dir n1 --http-addr 127.0.0.1:8081 \\
      --initial-cluster 1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083
  raft3d printers add --company Prusa --model MK4
  raft3d filaments add --type PLA --color red --total 1000
  raft3d jobs add --printer 1 --filament 1 --file cube.gcode --grams 120
  raft3d jobs start 1
  raft3d cluster status
  raft3d events tail --follow
  raft3d serve --node-id 4 --data-dir n4 --http-addr 127.0.0.1:8084 \\
      --raft-addr 127.0.0.1:9084 --join 127.0.0.1:8081
  raft3d cluster remove 2
  raft3d backup --out farm.backup
  raft3d restore farm.backup --data-dir new1 --node-id 1 --cluster-token 2026-01-31 \\
      --initial-cluster 1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083
  raft3d tokens create --name ci --role submitter --out ci.token

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 unavailable";

/// A replicated manager for 3D print farms: printers, filaments and print jobs on three or five
/// nodes that agree by Raft.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one node of a cluster
    Serve(Box<ServeArgs>),
    /// Run a whole cluster on this machine, to try it out
    Demo(DemoArgs),
    /// List, show and add printers
    Printers(ClientArgs<PrinterVerb>),
    /// List, show and add filaments
    Filaments(ClientArgs<FilamentVerb>),
    /// List, show, add, start, finish and cancel print jobs
    Jobs(ClientArgs<JobVerb>),
    /// Show the cluster; change its members or its leader; have a snapshot taken
    Cluster(ClientArgs<ClusterVerb>),
    /// Ask nodes whether they are ready: code 0 if all of them are, else 5 and why
    Health(HealthArgs),
    /// Fetch a backup from a running cluster, or verify one
    Backup(BackupArgs),
    /// Make a data directory for a node of a new cluster out of a backup
    Restore(RestoreArgs),
    /// Found a new cluster from one directory of one whose majority is gone for good
    Recover(RecoverArgs),
    /// Follow what happens; keep the events in a file, and rebuild the farm from it
    Events(ClientArgs<EventsVerb>),
    /// List, create and revoke API tokens
    Tokens(ClientArgs<TokenVerb>),
    /// Measure how many print jobs a second a running cluster takes
    Bench(BenchArgs),
    /// Make a development CA and certificates for TLS, and show certificates
    #[command(subcommand)]
    Certs(CertsVerb),
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    Man {
        /// Directory to write them to, created if missing
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// Writes what lets `shell` complete the program's commands and options.
pub fn write_completions(shell: Shell, sink: &mut impl io::Write) -> io::Result<()> {
    // What clap_complete cannot write, it panics at: a reader that went away must not cause that.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "raft3d", &mut script);
    sink.write_all(&script)
}

/// Writes a manual page for the program and for each of its commands to `dir`.
pub fn write_man_pages(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}
