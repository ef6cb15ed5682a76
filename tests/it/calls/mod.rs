//! Calls, from the first request to the end, over real HTTP.

mod asking;
mod begin;
mod doors;
mod ending;
mod older;
mod provider;
mod reading;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Client};

/// Where calls live.
fn call(path: &str) -> String {
    format!("/api/v1/communication/call/{path}")
}

/// Posts without a body, as the dashboard does.
async fn post_nothing(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::POST, path)).await
}

/// A room's status, set by somebody.
async fn set_status(client: &Client, room: &str, status: &str) -> Answer {
    let request = client.request(Method::PUT, &call(&format!("{room}/status")));
    client.send(request.json(&json!({ "status": status }))).await
}

/// Calls about a query, and the name of the room.
async fn begin(staff: &Client, query: i64) -> String {
    let begun = staff.post(&call(&query.to_string()), &json!({})).await.expect(201);
    begun.at("/data/callSession/roomName").as_str().unwrap().to_owned()
}

/// The conversation as somebody reads it, newest first.
async fn conversation(client: &Client, query: i64) -> Vec<Value> {
    let read = client.get(&format!("/api/v1/messages/query/{query}")).await.expect(200);
    read.at("/data").as_array().unwrap().clone()
}

/// The newest message of a type.
#[track_caller]
fn newest<'a>(conversation: &'a [Value], message_type: &str) -> &'a Value {
    let found = conversation.iter().find(|message| message["messageType"] == message_type);
    found.unwrap_or_else(|| panic!("no {message_type} in {conversation:#?}"))
}

/// The claims of a token, unchecked.
fn claims(token: &Value) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
