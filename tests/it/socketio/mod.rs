//! The old clients' own library against the whole service: doors, rooms, both vocabularies, and coming back.

mod doors;
mod events;
mod resume;
mod rooms;

use serde_json::{Value, json};

use crate::support::app::Client;
use crate::support::desk::Desk;
use crate::support::socketio::{Socket, connect};

/// A socket of somebody, from the moment on at which it hears what happens.
async fn listen(desk: &Desk, who: &Client) -> Socket {
    listen_with(desk, json!({ "token": who.token() })).await
}

async fn listen_with(desk: &Desk, auth: Value) -> Socket {
    let mut socket = connect(desk.anonymous().base_url(), &auth).await;
    socket.event("position").await;
    socket
}

/// Names of events, without those that the feed says about itself.
fn names(heard: &[(String, Value)]) -> Vec<&str> {
    heard.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "position").collect()
}
