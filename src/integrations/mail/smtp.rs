//! Mail by an SMTP server. One connection per letter: a letter is rare, and a connection given up half-way is of no use.

use std::fmt;
use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::timeout;

use super::{Mail, message_id};
use crate::config::Secret;
use crate::integrations::{Outcome, SetupError};

/// A whole attempt may take so many times as long as connecting.
const STEPS: u32 = 3;

/// Sends letters by an SMTP server.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    limit: Duration,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").finish_non_exhaustive()
    }
}

impl Smtp {
    pub(super) fn new(url: &Secret, from: Mailbox, step: Duration) -> Result<Self, SetupError> {
        // What lettre says may quote the password.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            .map_err(|_| {
                SetupError::Invalid("CONCIERGE_MAIL__SMTP_URL is not the address of an SMTP server".to_owned())
            })?
            .timeout(Some(step))
            .build();
        Ok(Self { transport, from, limit: step * STEPS })
    }

    pub(super) async fn send(&self, to: Address, mail: &Mail, id: &str) -> Outcome {
        let message_id = message_id(&self.from, id);
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .message_id(Some(message_id.clone()))
            // No content type here: it would take the place of the one with the parts' boundary.
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()));
        let Ok(message) = message else { return Outcome::failed("the letter cannot be written") };
        // lettre's own limit covers connecting only.
        match timeout(self.limit, self.transport.send(message)).await {
            Ok(Ok(_)) => Outcome::Sent { id: Some(message_id) },
            Ok(Err(error)) => outcome(&error),
            Err(_) => Outcome::later("the SMTP server did not answer in time"),
        }
    }
}

/// What the server said is left out: it may name the recipient.
fn outcome(error: &Error) -> Outcome {
    let code = error.status().map(|code| code.to_string());
    match code {
        Some(code) if error.is_permanent() => Outcome::failed(format!("the SMTP server answered {code}")),
        Some(code) => Outcome::later(format!("the SMTP server answered {code}")),
        None if error.is_timeout() => Outcome::later("the SMTP server did not answer in time"),
        None if error.is_client() => Outcome::failed("the SMTP server lacks what the settings ask for"),
        None => Outcome::later("the SMTP server cannot be reached"),
    }
}
