//! Applies facts to the read models, and tells who waits how far it got.

mod checkpoints;
mod freshness;

pub use freshness::Freshness;
