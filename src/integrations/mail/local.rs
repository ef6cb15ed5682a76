//! The stand-in for a mail service.

use serde_json::json;

use super::Mail;
use crate::integrations::Outcome;
use crate::integrations::outbox::{Channel, Entry, Outbox};

/// Writes letters to the outbox instead of sending them.
#[derive(Clone, Debug)]
pub struct LocalMail {
    outbox: Outbox,
}

impl LocalMail {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox }
    }

    pub(super) async fn send(&self, mail: &Mail, message_id: &str) -> Outcome {
        let entry = Entry {
            channel: Channel::Mail,
            recipient: &mail.to,
            title: &mail.subject,
            body: &mail.text,
            details: json!({ "html": mail.html, "messageId": message_id }),
        };
        match self.outbox.keep(entry).await {
            Ok(id) => Outcome::Sent { id: Some(format!("local-{id}")) },
            Err(_) => Outcome::later("the local outbox is unavailable"),
        }
    }
}
