//! Mail: what a letter is, and who carries it.

pub mod letters;

mod local;
mod sendgrid;
mod smtp;

use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;

use self::local::LocalMail;
use self::sendgrid::SendGrid;
use self::smtp::Smtp;
use super::{Outbox, Outcome, SetupError};
use crate::config::{MailCarrier, Secret};

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
    /// An SMTP server.
    Smtp(Smtp),
    /// SendGrid.
    SendGrid(SendGrid),
    /// Nobody: letters are written to the outbox.
    Local(LocalMail),
}

impl Mailer {
    /// The carrier that the settings name; if they name two, the SMTP server.
    pub fn new(settings: &MailCarrier, outbox: Outbox) -> Result<Self, SetupError> {
        if settings.is_local() {
            return Ok(Self::Local(LocalMail::new(outbox)));
        }
        let from = sender(settings)?;
        if settings.smtp_url == Secret::default() {
            return SendGrid::new(settings, from).map(Self::SendGrid);
        }
        Smtp::new(&settings.smtp_url, from, Duration::from_millis(settings.timeout_ms)).map(Self::Smtp)
    }

    /// Whether mail stays here.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Tries once to send a letter. `message_id` names it, so that a letter sent twice can be told from two; letters,
    /// digits, dots and hyphens.
    pub async fn send(&self, mail: &Mail, message_id: &str) -> Outcome {
        let Ok(to) = mail.to.trim().parse::<Address>() else {
            return Outcome::failed("the recipient has no usable address");
        };
        match self {
            Self::Smtp(smtp) => smtp.send(to, mail, message_id).await,
            Self::SendGrid(sendgrid) => sendgrid.send(&to, mail, message_id).await,
            Self::Local(local) => local.send(mail, message_id).await,
        }
    }
}

fn sender(settings: &MailCarrier) -> Result<Mailbox, SetupError> {
    let invalid = || SetupError::Invalid("CONCIERGE_MAIL__FROM is not a mail address".to_owned());
    settings.from.trim().parse().map_err(|_| invalid())
}

/// The `Message-ID` of a letter: the same each time it is tried.
fn message_id(from: &Mailbox, id: &str) -> String {
    format!("<{id}@{}>", from.email.domain())
}
