//! Requests to Daily: bounded in time and size, tried again where that can help.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use metrics::counter;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::ProviderError;
use crate::config::{Calls, Secret};
use crate::integrations::calls::Cause;
use crate::integrations::wire;

/// How often a request is sent again at most.
const RETRIES: usize = 4;

/// Sends requests.
pub(super) struct Rest {
    http: reqwest::Client,
    base_url: Url,
    key: Secret,
    /// How long a caller waits in all.
    patience: Duration,
}

/// An answer that is final, good or bad.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

/// Why one attempt failed.
enum Failure {
    /// Trying again may help, after the time that Daily named.
    Passing { cause: Cause, wait: Option<Duration> },
    /// It will not.
    Final(ProviderError),
}

/// The body of every error. The word is stable; its explanation is not, and stays unread.
#[derive(Default, Deserialize)]
struct Refusal {
    error: String,
}

impl Rest {
    pub(super) fn new(settings: &Calls) -> Result<Self, ProviderError> {
        let wrong = |what: &str| ProviderError::Misconfigured(what.to_owned());
        let base_url = Url::parse(&settings.daily_base_url).map_err(|_| wrong("Daily's address is not a URL"))?;
        if base_url.cannot_be_a_base() {
            return Err(wrong("Daily's address is not a base of others"));
        }
        let http = wire::client(settings.daily_patience_ms).map_err(|error| wrong(&error.to_string()))?;
        let patience = Duration::from_millis(settings.daily_patience_ms);
        Ok(Self { http, base_url, key: settings.daily_api_key.clone(), patience })
    }

    /// When a caller who comes now has waited long enough.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Sends a request until there is a final answer or the time is up. Every request we make may be repeated: rooms are
    /// named by us, and one token more or less does no harm.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&impl Serialize>,
        deadline: Instant,
    ) -> Result<Reply, ProviderError> {
        let url = self.url(path);
        let attempts = (|| self.attempt(&method, &url, body))
            .retry(
                ExponentialBuilder::new()
                    .with_min_delay(Duration::from_millis(250))
                    .with_jitter()
                    .with_max_times(RETRIES),
            )
            .when(|failure| matches!(failure, Failure::Passing { .. }))
            .adjust(|failure, backoff| pause(failure, backoff?, deadline))
            .notify(|failure, wait| warn!("Daily is asked again in {wait:?}: {failure}"));
        match timeout_at(deadline, attempts).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Failure::Passing { cause, .. })) => Err(ProviderError::Unavailable(cause)),
            Ok(Err(Failure::Final(error))) => Err(error),
            Err(elapsed) => Err(ProviderError::Unavailable(elapsed.into())),
        }
    }

    async fn attempt(&self, method: &Method, url: &Url, body: Option<&impl Serialize>) -> Result<Reply, Failure> {
        let request = self.http.request(method.clone(), url.clone()).bearer_auth(self.key.expose());
        let request = request.timeout(self.patience * 3 / 8);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let sent = request.send().await;
        let outcome =
            sent.as_ref().map_or_else(|_| "none".to_owned(), |response| response.status().as_u16().to_string());
        counter!("daily_requests_total", "status" => outcome).increment(1);
        let response = sent.map_err(Failure::network)?;
        let (status, wait) = (response.status(), wire::retry_after(response.headers()));
        let reply = Reply { status, body: wire::read(response).await.map_err(Failure::network)? };
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(Failure::Passing { cause: reply.refused_with().into(), wait });
        }
        if reply.is_about_the_key() {
            return Err(Failure::Final(ProviderError::Misconfigured(reply.refused_with())));
        }
        Ok(reply)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl Reply {
    /// The body of a success.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        if !self.status.is_success() {
            return Err(self.refusal());
        }
        // What serde says may repeat the body, which may hold a token.
        serde_json::from_slice(&self.body)
            .map_err(|_| ProviderError::Refused("Daily's answer cannot be read".to_owned()))
    }

    /// This answer as an error.
    pub(super) fn refusal(&self) -> ProviderError {
        ProviderError::Refused(self.refused_with())
    }

    fn is_about_the_key(&self) -> bool {
        let forbids = self.status == StatusCode::UNAUTHORIZED || self.status == StatusCode::FORBIDDEN;
        forbids || (self.status == StatusCode::BAD_REQUEST && self.word() == "authorization-header-error")
    }

    fn refused_with(&self) -> String {
        format!("Daily answered {} {}", self.status.as_u16(), self.word()).trim_end().to_owned()
    }

    /// Daily's word for an error; nothing if it is not one of Daily's.
    fn word(&self) -> String {
        let refusal: Refusal = serde_json::from_slice(&self.body).unwrap_or_default();
        let is_word =
            refusal.error.len() <= 64 && refusal.error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if is_word { refusal.error } else { String::new() }
    }
}

impl Failure {
    /// The address is left out: nothing in it helps, and a token may one day be part of one.
    fn network(error: reqwest::Error) -> Self {
        Self::Passing { cause: error.without_url().into(), wait: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passing { cause, .. } => cause.fmt(f),
            Self::Final(error) => error.fmt(f),
        }
    }
}

/// How long to wait before the next attempt; `None` if the time would be up.
fn pause(failure: &Failure, backoff: Duration, deadline: Instant) -> Option<Duration> {
    let named = match failure {
        Failure::Passing { wait, .. } => *wait,
        Failure::Final(_) => None,
    };
    let wait = named.unwrap_or(backoff);
    (wait < deadline.saturating_duration_since(Instant::now())).then_some(wait)
}
