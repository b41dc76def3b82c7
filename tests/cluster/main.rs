//! Clusters of real processes, one at a time. Those that take long, or more than processes, are in programs of
//! their own: `cluster_*.rs`.

mod alerts;
mod backup;
mod bootstrap;
mod cli;
#[path = "../cluster_support/mod.rs"]
mod cluster_support;
mod day;
mod docs;
#[path = "../exposition/mod.rs"]
mod exposition;
mod failover;
mod hostility;
mod membership;
mod metrics;
mod races;
mod rules;
mod shutdown;
mod snapshot;
mod startup;
mod tls;
mod tokens;
mod traces;
mod upgrade;
