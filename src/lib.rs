//! Proof Concierge: a support desk where every step is a fact that can be proven later.

pub mod accounts;
pub mod app;
pub mod bus;
pub mod clock;
pub mod config;
pub mod database;
pub mod dev;
pub mod dispatch;
pub mod http;
pub mod lease;
pub mod log;
pub mod migrate;
pub mod projector;
pub mod push;
pub mod relay;
pub mod tail;
