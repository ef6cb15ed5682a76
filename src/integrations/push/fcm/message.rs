//! A note as Firebase wants it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::integrations::push::{Note, NoteKind, Target, TargetKind};

/// Where apps show messages, and where calls; they chose the names.
const MESSAGES: &str = "messages";
const CALLS: &str = "calls";

/// The body of a request that sends a note to a device.
pub(super) fn body(target: &Target, note: &Note, now: DateTime<Utc>) -> Value {
    let lifetime = lifetime(note.kind);
    let mut message = json!({
        "data": note.data,
        "android": android(note.kind, lifetime),
        "apns": apns(note.kind, now + lifetime),
        "webpush": { "headers": { "TTL": lifetime.as_secs().to_string(), "Urgency": "high" } },
    });
    let target_kind = match target.kind {
        TargetKind::Token => "token",
        TargetKind::Fid => "fid",
    };
    message[target_kind] = target.value.expose().into();
    if note.kind != NoteKind::Silent {
        message["notification"] = json!({ "title": note.title, "body": note.body });
    }
    json!({ "message": message })
}

/// How long a note may wait for a device that is off. A day later there is more to see than one note tells.
const fn lifetime(kind: NoteKind) -> Duration {
    match kind {
        NoteKind::Ordinary => Duration::from_hours(24),
        NoteKind::CallRequest => Duration::from_hours(1),
        NoteKind::Call { ttl } => ttl,
        NoteKind::Silent => Duration::from_mins(5),
    }
}

fn android(kind: NoteKind, lifetime: Duration) -> Value {
    let mut android = json!({ "priority": "HIGH", "ttl": format!("{}s", lifetime.as_secs()) });
    let channel = match kind {
        NoteKind::Ordinary => MESSAGES,
        NoteKind::CallRequest | NoteKind::Call { .. } => CALLS,
        NoteKind::Silent => return android,
    };
    android["notification"] = json!({ "channel_id": channel, "notification_priority": "PRIORITY_HIGH" });
    if matches!(kind, NoteKind::Call { .. }) {
        android["notification"]["sound"] = "default".into();
        android["notification"]["visibility"] = "PUBLIC".into();
    }
    android
}

/// A push that shows nothing has to be of type `background` and priority 5, or Apple refuses it.
fn apns(kind: NoteKind, expires: DateTime<Utc>) -> Value {
    let (push_type, priority, aps) = match kind {
        NoteKind::Ordinary | NoteKind::CallRequest => ("alert", "10", json!({ "sound": "default" })),
        NoteKind::Call { .. } => {
            ("alert", "10", json!({ "sound": "default", "category": "CALL", "content-available": 1 }))
        }
        NoteKind::Silent => ("background", "5", json!({ "content-available": 1 })),
    };
    json!({
        "headers": {
            "apns-push-type": push_type,
            "apns-priority": priority,
            "apns-expiration": expires.timestamp().to_string(),
        },
        "payload": { "aps": aps },
    })
}
