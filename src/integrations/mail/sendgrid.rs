//! Mail by SendGrid's API, `POST /v3/mail/send`.

use std::fmt;

use lettre::Address;
use lettre::message::Mailbox;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use super::{Mail, message_id};
use crate::config::{MailCarrier, Secret};
use crate::integrations::{Outcome, SetupError, wire};

const MESSAGE_ID: HeaderName = HeaderName::from_static("x-message-id");

/// Sends letters by SendGrid.
#[derive(Clone)]
pub struct SendGrid {
    client: Client,
    url: String,
    key: Secret,
    from: Mailbox,
}

impl fmt::Debug for SendGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendGrid").field("url", &self.url).finish_non_exhaustive()
    }
}

impl SendGrid {
    pub(super) fn new(settings: &MailCarrier, from: Mailbox) -> Result<Self, SetupError> {
        let url = format!("{}/v3/mail/send", settings.sendgrid_base_url.trim_end_matches('/'));
        let client = wire::client(settings.timeout_ms)?;
        Ok(Self { client, url, key: settings.sendgrid_api_key.clone(), from })
    }

    pub(super) async fn send(&self, to: &Address, mail: &Mail, id: &str) -> Outcome {
        let body = self.body(to, mail, id);
        let sent = self.client.post(&self.url).bearer_auth(self.key.expose()).json(&body).send().await;
        match sent {
            Ok(response) => outcome(&response),
            Err(error) => wire::unanswered("SendGrid", &error),
        }
    }

    fn body(&self, to: &Address, mail: &Mail, id: &str) -> Value {
        let mut from = json!({ "email": self.from.email.to_string() });
        if let Some(name) = &self.from.name {
            from["name"] = name.as_str().into();
        }
        json!({
            "personalizations": [{ "to": [{ "email": to.to_string() }], "custom_args": { "delivery": id } }],
            "from": from,
            "subject": mail.subject,
            "headers": { "Message-ID": message_id(&self.from, id) },
            // Plain text has to come first.
            "content": [
                { "type": "text/plain", "value": mail.text },
                { "type": "text/html", "value": mail.html },
            ],
        })
    }
}

/// The body of an error is left out: it may quote what was sent.
fn outcome(response: &Response) -> Outcome {
    let status = response.status();
    let why = format!("SendGrid answered {}", status.as_u16());
    let headers = response.headers();
    if status.is_success() {
        return Outcome::Sent { id: named(headers) };
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Outcome::Later { after: wire::retry_after(headers), why }
        }
        status if status.is_server_error() => Outcome::Later { after: wire::retry_after(headers), why },
        _ => Outcome::failed(why),
    }
}

fn named(headers: &HeaderMap) -> Option<String> {
    headers.get(MESSAGE_ID)?.to_str().ok().map(str::to_owned)
}
