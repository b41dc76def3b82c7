//! The API and the service under it, over a scripted log: every route, what all of them have in common,
//! and what only shows on the wire.

mod access;
mod api;
mod backup;
mod changes;
mod events;
#[path = "../exposition/mod.rs"]
mod exposition;
mod fuzz;
mod idempotency;
mod lists;
mod members;
mod metrics;
mod objects;
mod openapi;
mod service;
mod support;
mod tokens;
mod transfer;
mod wire;
