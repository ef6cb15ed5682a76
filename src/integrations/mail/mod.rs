//! Mail: what a letter is, and who carries it.

mod local;

use self::local::LocalMail;
use super::{Outbox, Outcome, SetupError};
use crate::config::MailCarrier;

/// A letter to one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// What it is about, on one line.
    pub subject: String,
    /// The letter as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// Who carries mail. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Mailer {
    /// Nobody: letters are written to the outbox.
    Local(LocalMail),
}

impl Mailer {
    /// The carrier that the settings name.
    pub fn new(_settings: &MailCarrier, outbox: Outbox) -> Result<Self, SetupError> {
        Ok(Self::Local(LocalMail::new(outbox)))
    }

    /// Whether mail stays here.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Tries once to send a letter. `message_id` names it, so that a letter sent twice can be told from two; letters,
    /// digits, dots and hyphens.
    pub async fn send(&self, mail: &Mail, message_id: &str) -> Outcome {
        match self {
            Self::Local(local) => local.send(mail, message_id).await,
        }
    }
}
