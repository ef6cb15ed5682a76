//! The stand-in for a mail service.

use super::Mail;
use crate::integrations::Outcome;
use crate::integrations::outbox::{Channel, Entry, MailDetails, Outbox};

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
            details: MailDetails { html: mail.html.clone(), message_id: message_id.to_owned() },
        };
        self.outbox.keep(entry).await
    }
}
