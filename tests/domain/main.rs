//! The farm's state machine: every rule, every byte, and random histories against a naive model.

mod changes;
mod codec;
mod events;
mod farm_hash;
mod forgery;
mod golden;
mod idempotency;
mod log;
mod naive;
mod queries;
mod random;
mod roster;
mod rules;
mod sealing;
mod snapshot;
mod support;
mod tokens;
mod values;
