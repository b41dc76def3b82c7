//! What tests of the API share: `fake`, a replicated log in memory; `api`, a client of the API over it
//! that needs no network; `stream`, the events as they happen.

mod api;
mod fake;
pub mod stream;

use std::time::Duration;

pub use api::{Answer, Api, request};
pub use fake::{FAILURE, Fake, Mode, NODE_ID};

/// Longest wait for a condition that is to come true.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Paths of the lists.
pub const PRINTERS: &str = "/api/v1/printers";
pub const FILAMENTS: &str = "/api/v1/filaments";
pub const JOBS: &str = "/api/v1/print_jobs";
pub const LISTS: [&str; 3] = [PRINTERS, FILAMENTS, JOBS];
