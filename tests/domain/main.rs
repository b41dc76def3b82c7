//! The farm's state machine: every rule, every byte, and random histories against a naive model.

mod codec;
mod golden;
mod idempotency;
mod naive;
mod random;
mod rules;
mod snapshot;
mod support;
mod values;
