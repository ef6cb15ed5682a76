//! The stand-in for a push service.

use serde_json::json;

use super::{Note, NoteKind, Target};
use crate::integrations::Outcome;
use crate::integrations::outbox::{Channel, Entry, Outbox};

/// How much of a device's token is shown: enough to tell two apart, too little to send to it.
const SHOWN: usize = 8;

/// Writes notes to the outbox instead of sending them.
#[derive(Clone, Debug)]
pub struct LocalPush {
    outbox: Outbox,
}

impl LocalPush {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox }
    }

    pub(super) async fn send(&self, target: &Target, note: &Note) -> Outcome {
        let recipient: String = target.value.expose().chars().take(SHOWN).chain(['…']).collect();
        let kind = match note.kind {
            NoteKind::Ordinary => "ordinary",
            NoteKind::CallRequest => "callRequest",
            NoteKind::Call { .. } => "call",
            NoteKind::Silent => "silent",
        };
        let entry = Entry {
            channel: Channel::Push,
            recipient: &recipient,
            title: &note.title,
            body: &note.body,
            details: json!({ "kind": kind, "data": note.data }),
        };
        match self.outbox.keep(entry).await {
            Ok(id) => Outcome::Sent { id: Some(format!("local-{id}")) },
            Err(_) => Outcome::later("the local outbox is unavailable"),
        }
    }
}
