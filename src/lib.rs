//! raft3d: a replicated manager for 3D print farms.
//!
//! From the rules outward:
//!
//! * [`domain`]: the farm's objects and rules, a pure and deterministic state machine.
//! * [`identity`]: names of clusters and of data directories; [`secret`]: secrets of API tokens.
//! * [`consensus`]: what the service needs from a replicated log.
//! * [`storage`]: the durable log, term and vote, configuration and snapshots of one node.
//! * [`ffi`]: the one bridge to the C++ consensus core; [`raft`] is its safe face.
//! * [`backup`]: backups, and new clusters from them.
//! * [`service`]: submits commands, reads state at the asked consistency.
//! * [`http`]: the REST API over a service; [`metrics`], [`traces`]: what can be watched of a
//!   node.
//! * [`serve`]: one node put together; [`bootstrap`], [`join`], [`registrar`], [`supervisor`], [`config`] and [`telemetry`]
//!   beside it.
//! * [`tls`]: certificates of a node, on both ports.
//! * [`cli`]: the command line; [`client`], [`certs`], [`demo`]: its other halves.

#![deny(unsafe_code)]

pub mod backup;
pub mod bootstrap;
pub mod certs;
pub mod cli;
pub mod client;
pub mod config;
pub mod consensus;
pub mod demo;
pub mod domain;
#[expect(
    unsafe_code,
    reason = "what is shared with C++ is not the compiler's to check"
)]
pub mod ffi;
mod hex;
pub mod http;
pub mod identity;
pub mod join;
pub mod metrics;
pub mod raft;
pub mod registrar;
mod sabotage;
pub mod secret;
pub mod serve;
pub mod service;
pub mod storage;
pub mod supervisor;
pub mod telemetry;
pub mod tls;
pub mod traces;
