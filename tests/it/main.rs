//! Everything that is tested from the outside, in one binary: it links once and starts its servers once.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test is where time, ids and panics come from")]
#![allow(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod support;
#[allow(dead_code, reason = "some of it is for the torture run only")]
#[path = "../world/mod.rs"]
mod world;

mod audit;
mod backup;
mod calls;
mod chats;
mod contract;
mod costs;
mod deploy;
mod faults;
mod feed;
mod import;
mod journeys;
mod log;
mod nodes;
mod notify;
mod partitions;
mod people;
mod plans;
mod projections;
mod projector;
mod reactions;
mod rebuild;
mod relay;
mod roles;
mod rooms;
mod serve;
mod servers;
mod shared_feed;
mod sharing;
mod socketio;
mod stubs;
mod tail;
mod tidy;
mod webhooks;
