//! Access tokens: a signed assertion is exchanged for one, which is kept until shortly before its end (RFC 7523).

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, Header};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::account::ServiceAccount;
use crate::clock;
use crate::config::Secret;
use crate::integrations::{Outcome, wire};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion holds: the longest that Google takes.
const ASSERTION: i64 = 3_600;
/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_mins(1);
/// No token lives longer, whatever a service says.
const LONGEST: u64 = 24 * 3_600;

/// Hands out access tokens. One exchange is under way at a time; whoever asks meanwhile gets what comes of it.
pub(super) struct Access {
    account: ServiceAccount,
    client: Client,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    grant: Option<Grant>,
    /// The last exchange that failed, and when it ended.
    refusal: Option<(Instant, Outcome)>,
}

struct Grant {
    token: Secret,
    until: Instant,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    expires_in: u64,
}

impl Access {
    pub(super) fn new(account: ServiceAccount, client: Client) -> Self {
        Self { account, client, kept: Mutex::default() }
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self) -> Result<Secret, Outcome> {
        let asked = Instant::now();
        let mut kept = self.kept.lock().await;
        if let Some(grant) = kept.grant.as_ref().filter(|grant| asked < grant.until) {
            return Ok(grant.token.clone());
        }
        // Those who waited for an exchange that failed do not each begin another.
        if let Some((_, outcome)) = kept.refusal.as_ref().filter(|(ended, _)| asked < *ended) {
            return Err(outcome.clone());
        }
        match self.exchange().await {
            Ok(grant) => {
                let token = grant.token.clone();
                *kept = Kept { grant: Some(grant), refusal: None };
                Ok(token)
            }
            Err(outcome) => {
                *kept = Kept { grant: None, refusal: Some((Instant::now(), outcome.clone())) };
                Err(outcome)
            }
        }
    }

    /// Drops a token that was refused, unless it has been replaced already.
    pub(super) async fn forget(&self, refused: &Secret) {
        let mut kept = self.kept.lock().await;
        kept.grant = kept.grant.take().filter(|grant| grant.token != *refused);
    }

    async fn exchange(&self) -> Result<Grant, Outcome> {
        let asked = Instant::now();
        let form = [("grant_type", GRANT_TYPE), ("assertion", &self.assertion()?)];
        let sent = self.client.post(&self.account.token_uri).form(&form).send().await;
        let unanswered = |error| wire::unanswered("the token service", &error);
        let response = sent.map_err(unanswered)?;
        let (status, after) = (response.status(), wire::retry_after(response.headers()));
        let body = wire::read(response).await.map_err(unanswered)?;
        match status {
            StatusCode::OK => {
                let answer: TokenAnswer = serde_json::from_slice(&body)
                    .map_err(|_| Outcome::later("the token service answered something else than a token"))?;
                let lifetime = Duration::from_secs(answer.expires_in.min(LONGEST)).saturating_sub(MARGIN);
                Ok(Grant { token: answer.access_token, until: asked + lifetime })
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(not_now(after, status)),
            status if status.is_server_error() => Err(not_now(after, status)),
            // A revoked key, or a clock that is wrong.
            status => {
                Err(Outcome::failed(format!("the token service refuses the service account ({})", status.as_u16())))
            }
        }
    }

    fn assertion(&self) -> Result<String, Outcome> {
        let iat = clock::now().timestamp();
        let (iss, aud) = (self.account.client_email.as_str(), self.account.token_uri.as_str());
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.account.key_id);
        let claims = Assertion { iss, scope: SCOPE, aud, iat, exp: iat + ASSERTION };
        jsonwebtoken::encode(&header, &claims, &self.account.key)
            .map_err(|_| Outcome::failed("the service account's key cannot sign"))
    }
}

fn not_now(after: Option<Duration>, status: StatusCode) -> Outcome {
    Outcome::Later { after, why: format!("the token service answered {}", status.as_u16()) }
}
