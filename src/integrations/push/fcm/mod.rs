//! Firebase Cloud Messaging, HTTP v1: one request per device, many at a time over one connection.
//!
//! Endpoints, fields and errors as in Google's reference for `projects.messages.send`.

mod access;
mod account;
mod answer;
mod message;

use std::fmt;
use std::sync::Arc;

use reqwest::Client;
use serde_json::Value;
use tokio::sync::Semaphore;

use self::access::Access;
use self::account::ServiceAccount;
use self::answer::{Answer, Verdict};
use super::{Note, Target};
use crate::clock;
use crate::config::{PushCarrier, Secret};
use crate::integrations::{Outcome, SetupError, wire};

/// How many messages are on their way at once, of the thousand that Google allows.
const AT_ONCE: usize = 64;

/// Sends notes by Firebase.
#[derive(Clone)]
pub struct Fcm(Arc<Inner>);

struct Inner {
    client: Client,
    url: String,
    access: Access,
    turns: Semaphore,
}

impl fmt::Debug for Fcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fcm").field("url", &self.0.url).finish_non_exhaustive()
    }
}

impl Fcm {
    /// A client for the service account in the settings.
    pub(super) fn new(settings: &PushCarrier) -> Result<Self, SetupError> {
        let account = ServiceAccount::read(settings)?;
        let client = wire::client(settings.timeout_ms)?;
        let base_url = settings.fcm_base_url.trim_end_matches('/');
        let url = format!("{base_url}/v1/projects/{}/messages:send", account.project_id);
        let access = Access::new(account, client.clone());
        Ok(Self(Arc::new(Inner { client, url, access, turns: Semaphore::new(AT_ONCE) })))
    }

    /// Tries once. A token that Google no longer accepts is renewed once.
    pub(super) async fn send(&self, target: &Target, note: &Note) -> Outcome {
        self.attempt(target, note).await.unwrap_or_else(|outcome| outcome)
    }

    async fn attempt(&self, target: &Target, note: &Note) -> Result<Outcome, Outcome> {
        let _turn = self.0.turns.acquire().await.map_err(|_| Outcome::later("the client is closed"))?;
        let body = message::body(target, note, clock::now());
        let token = self.0.access.token().await?;
        match self.post(&token, &body).await?.verdict() {
            Verdict::Is(outcome) => Ok(outcome),
            Verdict::TokenRefused => {
                self.0.access.forget(&token).await;
                let token = self.0.access.token().await?;
                match self.post(&token, &body).await?.verdict() {
                    Verdict::Is(outcome) => Ok(outcome),
                    Verdict::TokenRefused => Ok(Outcome::failed("FCM refuses the service account")),
                }
            }
        }
    }

    async fn post(&self, token: &Secret, body: &Value) -> Result<Answer, Outcome> {
        let sent = self.0.client.post(&self.0.url).bearer_auth(token.expose()).json(body).send().await;
        let response = sent.map_err(|error| wire::unanswered("FCM", &error))?;
        let (status, retry_after) = (response.status(), wire::retry_after(response.headers()));
        let body = wire::read(response).await.map_err(|error| wire::unanswered("FCM", &error))?;
        Ok(Answer { status, retry_after, body })
    }
}
