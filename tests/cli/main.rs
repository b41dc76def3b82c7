//! The command line: by itself, against a server made for the test, and what is generated from it.

mod client;
mod generated;
mod usage;
