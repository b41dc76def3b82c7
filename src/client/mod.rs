//! The command line's client: printers, filaments, jobs, the cluster and its events over HTTP, and
//! backups.
//!
//! * [`printers`], [`filaments`], [`jobs`], [`cluster`], [`tokens`], [`events`], [`backup`], [`bench`](mod@bench),
//!   [`health`]: what can be done, a file for each command.
//! * [`options`]: what all of them are told; `console`: what those have in common that ask and print.
//! * [`api`], [`http`]: requests to a cluster of which any node will do; [`follow`]: its events.
//! * [`output`]: how answers are printed.

pub mod api;
pub mod backup;
pub mod bench;
pub mod cluster;
mod console;
pub mod events;
pub mod filaments;
pub mod follow;
pub mod health;
pub mod http;
pub mod jobs;
pub mod options;
pub mod output;
pub mod printers;
mod replay;
pub mod tokens;

const PRINTERS_PATH: &str = "/api/v1/printers";
const FILAMENTS_PATH: &str = "/api/v1/filaments";
const JOBS_PATH: &str = "/api/v1/print_jobs";
