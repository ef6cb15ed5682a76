//! What the tests stand on: servers, a database each, characters that speak HTTP, and patience with a limit.

pub(crate) mod app;
pub(crate) mod database;
pub(crate) mod desk;
pub(crate) mod eventually;
pub(crate) mod mailbox;
pub(crate) mod node;
pub(crate) mod page;
pub(crate) mod servers;
pub(crate) mod service;
pub(crate) mod socketio;
pub(crate) mod stream;
