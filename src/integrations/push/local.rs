//! The stand-in for a push service.

use super::{Note, NoteKind, Target};
use crate::integrations::Outcome;
use crate::integrations::outbox::{Channel, Entry, NoteDetails, Outbox};

/// How much of a device's token is shown: enough to tell two apart, too little to send to it.
const SHOWN: usize = 8;

/// Writes notes to the outbox instead of sending them; those that are private without their text, because more people read
/// the outbox than the note is for.
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
        let data = note.data.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let entry = Entry {
            channel: Channel::Push,
            recipient: &recipient,
            title: &note.title,
            body: if note.is_private { "" } else { &note.body },
            details: NoteDetails { kind: kind.to_owned(), data },
        };
        self.outbox.keep(entry).await
    }
}
