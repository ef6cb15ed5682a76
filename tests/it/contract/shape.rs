//! The shapes that clients rely on: which keys are there, and of which type.
//!
//! A shape is JSON with the names of types in place of values. A key that ends in `?` may be null but is there; one that
//! ends in `*` may be missing. Keys beyond the shape are no trouble here: [`super::described`] looks at those.

use serde_json::{Value, json};

/// Insists that a value has a shape.
#[track_caller]
pub(super) fn insist(value: &Value, shape: &Value) {
    let mut wrongs = Vec::new();
    compare(value, shape, "", &mut wrongs);
    assert!(wrongs.is_empty(), "{wrongs:#?} in {value:#}");
}

fn compare(value: &Value, shape: &Value, at: &str, wrongs: &mut Vec<String>) {
    match (shape, value) {
        (Value::String(name), value) if is_a(name, value) => {}
        (Value::Array(shapes), Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                compare(value, &shapes[0], &format!("{at}/{index}"), wrongs);
            }
        }
        (Value::Object(keys), Value::Object(fields)) => {
            for (key, shape) in keys {
                let name = key.trim_end_matches(['?', '*']);
                let at = format!("{at}/{name}");
                match fields.get(name) {
                    None if key.ends_with('*') => {}
                    None => wrongs.push(format!("{at} is missing")),
                    Some(Value::Null) if key.ends_with('?') => {}
                    Some(value) => compare(value, shape, &at, wrongs),
                }
            }
        }
        (shape, value) => wrongs.push(format!("{at} is {value}, and should be {shape}")),
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    let is_one_of = |words: &[&str]| value.as_str().is_some_and(|text| words.contains(&text));
    match name {
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_i64(),
        "number" => value.is_number(),
        "str" => value.is_string(),
        "object" => value.is_object(),
        "time" => value.as_str().is_some_and(is_time),
        "role" => is_one_of(&["SUPER_ADMIN", "ADMIN"]),
        "query status" => is_one_of(&["IN_PROGRESS", "PENDING_REPLY", "RESOLVED", "TRANSFERRED"]),
        "message type" => is_one_of(&["QUERY", "CHAT", "SYSTEM", "CALL_STARTED", "CALL_ENDED"]),
        "sender type" => is_one_of(&["ADMIN", "DONOR", "SYSTEM"]),
        "call status" => is_one_of(&["CREATED", "STARTED", "ENDED"]),
        "request status" => is_one_of(&["PENDING", "ACCEPTED", "REJECTED", "CANCELLED"]),
        "call type" => is_one_of(&["video", "audio"]),
        "mode" => is_one_of(&["VIDEO", "AUDIO", "SCREEN"]),
        other => panic!("no such type: {other}"),
    }
}

/// `2025-04-04T12:00:00.000Z`, and nothing else that ISO 8601 knows.
fn is_time(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// A shape with more keys.
pub(super) fn with(mut shape: Value, more: &Value) -> Value {
    let more = more.as_object().expect("keys");
    shape.as_object_mut().expect("keys").extend(more.clone());
    shape
}

/// The envelope of donor queries and messages.
pub(super) fn enveloped(data: &Value) -> Value {
    json!({ "status": "int", "data": data, "message*": "str" })
}

/// The envelope of a list of donor queries, with what tells how much there is.
pub(super) fn listed(row: &Value) -> Value {
    json!({ "status": "int", "data": [row], "total": "int", "totalExact": "bool", "limit": "int", "nextCursor?": "str" })
}

/// The envelope of calls.
pub(super) fn about_call(data: &Value) -> Value {
    json!({ "success": "bool", "data": data, "message*": "str" })
}

/// A staff account.
pub(super) fn user() -> Value {
    with(public_user(), &json!({ "isActive": "bool", "createdAt": "time", "updatedAt": "time", "fcmToken": "null" }))
}

/// A staff account inside another answer.
pub(super) fn public_user() -> Value {
    json!({ "id": "int", "username": "str", "name": "str", "email?": "str", "role": "role", "avatar?": "str" })
}

/// A staff member as donors see them.
pub(super) fn staff_member() -> Value {
    json!({ "id": "int", "name": "str", "avatar?": "str" })
}

/// A query by itself.
pub(super) fn query() -> Value {
    json!({
        "id": "int", "donor": "str", "donorId": "str", "test": "str", "stage": "str", "device": "str",
        "status": "query status", "createdAt": "time", "updatedAt": "time", "transferredTo?": "str",
        "transferredToUserId?": "int", "resolvedById?": "int", "transferNote?": "str", "assignedToId?": "int",
        "fcmToken": "null",
    })
}

/// A query, with the people around it, for staff.
pub(super) fn staff_query() -> Value {
    with(
        query(),
        &json!({
            "transferredToUser?": public_user(), "resolvedByUser?": public_user(), "assignedToUser?": public_user(),
        }),
    )
}

/// A query with its conversation, for staff.
pub(super) fn staff_query_with_messages() -> Value {
    with(staff_query(), &json!({ "messages": [message()] }))
}

/// A query with its conversation, for its donor.
pub(super) fn donor_query() -> Value {
    with(
        query(),
        &json!({
            "transferredToUser?": staff_member(), "resolvedByUser?": staff_member(), "messages": [message()],
        }),
    )
}

/// A message by itself, with the keys of both generations.
pub(super) fn message() -> Value {
    json!({
        "id": "int", "content": "str", "isFromAdmin": "bool", "senderType": "sender type", "createdAt": "time",
        "updatedAt": "time", "queryId?": "int", "callSessionId?": "int", "callRequestId?": "int", "fcmToken": "null",
        "recipientId?": "int", "senderId?": "int", "donorId?": "str", "donorName?": "str", "donorInfo": "null",
        "roomName?": "str", "messageType": "message type", "userToken?": "str", "adminToken?": "str",
        "callMode?": "mode", "callSession?": message_call(),
    })
}

/// The call that a message is about.
fn message_call() -> Value {
    json!({
        "id": "int", "status": "call status", "roomName": "str", "roomUrl": "str", "userToken?": "str",
        "adminToken?": "str", "startedAt?": "time", "endedAt?": "time", "callType": "call type", "mode": "mode",
    })
}

/// A message of a list, for staff.
pub(super) fn message_view() -> Value {
    let sender = json!({
        "id": "int", "name": "str", "username": "str", "avatar?": "str", "role": "role", "isActive": "bool",
    });
    let query = json!({
        "id": "int", "donor": "str", "donorId": "str", "test": "str", "stage": "str", "status": "query status",
        "assignedToUser?": { "id": "int", "name": "str", "role": "role" },
    });
    with(message(), &json!({ "sender?": sender, "recipient?": sender, "query?": query }))
}

/// A message that was just said, for staff.
pub(super) fn message_created() -> Value {
    with(message_view(), &json!({ "query": query() }))
}

/// A message, for the donor whose query it is about.
pub(super) fn donor_message() -> Value {
    with(message(), &json!({ "sender?": staff_member(), "recipient?": staff_member(), "query": query() }))
}

/// A call by itself, with the keys of both generations.
pub(super) fn call_session() -> Value {
    with(message_call(), &json!({ "queryId": "int", "adminId?": "int", "createdAt": "time", "updatedAt": "time" }))
}

/// A call request by itself, with the keys of both generations.
pub(super) fn call_request() -> Value {
    json!({
        "id": "int", "queryId": "int", "adminId?": "int", "message?": "str", "status": "request status",
        "createdAt": "time", "updatedAt": "time", "mode": "mode",
    })
}

/// What somebody needs to join a call.
pub(super) fn way_in(token: &str) -> Value {
    json!({ "roomUrl": "str", "roomToken": token, "roomName": "str", "mode": "mode" })
}

/// A call that staff may join.
pub(super) fn staff_call() -> Value {
    json!({
        "callSession": with(call_session(), &json!({ "query": query(), "admin?": public_user() })),
        "room": { "name": "str", "url": "str" },
        "tokens": { "admin": "str", "user": "null" },
        "adminToken": "str", "userToken": "null", "roomUrl": "str", "callType": "call type",
        "admin": way_in("str"), "user": way_in("null"),
        "notificationData": { "fcmToken": "null", "adminName?": "str" },
    })
}

/// A call that its donor may join.
pub(super) fn donor_call() -> Value {
    json!({
        "callSession": with(call_session(), &json!({ "query": query(), "admin?": staff_member() })),
        "room": { "name": "str", "url": "str" },
        "tokens": { "user": "str" },
        "userToken": "str", "roomUrl": "str", "callType": "call type", "user": way_in("str"),
        "notificationData": { "fcmToken": "null", "adminName?": "str" },
    })
}

#[test]
fn a_shape_names_what_is_missing_and_what_is_odd() {
    let shape = json!({ "id": "int", "name?": "str", "rows": [{ "at": "time" }], "note*": "str" });
    insist(&json!({ "id": 1, "name": null, "rows": [{ "at": "2025-04-04T12:00:00.000Z" }], "more": true }), &shape);
    let mut wrongs = Vec::new();
    compare(&json!({ "id": "1", "rows": [{ "at": "2025-04-04T12:00:00Z" }], "note": 1 }), &shape, "", &mut wrongs);
    let places: Vec<_> = wrongs.iter().map(|wrong| wrong.split(' ').next().unwrap()).collect();
    assert_eq!(places, ["/id", "/name", "/note", "/rows/0/at"]);
}
