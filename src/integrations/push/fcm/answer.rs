//! What Firebase's answers mean.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::integrations::Outcome;

/// Quotas are per minute.
const QUOTA_WAIT: Duration = Duration::from_mins(1);

/// How Firebase says that a device's token never was one. The code alone says only that something is wrong.
const NO_TOKEN: &str = "registration token is not a valid FCM registration token";

/// An answer of Firebase.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The access token has to be renewed.
    TokenRefused,
    /// It is settled.
    Is(Outcome),
}

#[derive(Deserialize)]
struct Success {
    name: String,
}

#[derive(Deserialize)]
struct Failure {
    error: Fault,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
    status: String,
    details: Vec<Detail>,
}

/// Firebase's own code and Google's general violations share a list; each leaves the other's field empty.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    error_code: String,
    field_violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    field: String,
}

impl Answer {
    /// Firebase's code says most; without one, the status of Google's error; without one, the status of the answer.
    pub(super) fn verdict(&self) -> Verdict {
        if self.status.is_success() {
            let id = serde_json::from_slice::<Success>(&self.body).ok().map(|success| success.name);
            return Verdict::Is(Outcome::Sent { id });
        }
        let fault = serde_json::from_slice::<Failure>(&self.body).map(|failure| failure.error).unwrap_or_default();
        let own = fault.details.iter().map(|detail| detail.error_code.as_str()).find(|code| !code.is_empty());
        if own.is_none() && self.status == StatusCode::UNAUTHORIZED {
            return Verdict::TokenRefused;
        }
        Verdict::Is(self.outcome(own, &fault))
    }

    fn outcome(&self, own: Option<&str>, fault: &Fault) -> Outcome {
        if self.status == StatusCode::BAD_REQUEST
            && fault.details.iter().any(|detail| !detail.field_violations.is_empty())
        {
            return self.nonsense(fault);
        }
        match own {
            Some("UNREGISTERED" | "SENDER_ID_MISMATCH") => Outcome::Gone,
            Some("INVALID_ARGUMENT") if fault.message.contains(NO_TOKEN) => Outcome::Gone,
            Some(code @ "THIRD_PARTY_AUTH_ERROR") => {
                Outcome::failed(format!("{}: the project's key for Apple or for browsers is wrong", self.said(code)))
            }
            Some(code) => self.by_code(code),
            None => self.by_code(&fault.status),
        }
    }

    /// We wrote something that Google does not take, which is no fault of the device.
    fn nonsense(&self, fault: &Fault) -> Outcome {
        let violations = fault.details.iter().flat_map(|detail| &detail.field_violations);
        let names: Vec<_> = violations.take(3).map(|violation| name(&violation.field)).collect();
        Outcome::failed(format!("{}: {}", self.said("INVALID_ARGUMENT"), names.join(", ")))
    }

    fn by_code(&self, code: &str) -> Outcome {
        let later = |after| Outcome::Later { after, why: self.said(code) };
        match code {
            "QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED" => later(self.retry_after.or(Some(QUOTA_WAIT))),
            "UNAVAILABLE" | "INTERNAL" => later(self.retry_after),
            _ => match self.status {
                StatusCode::TOO_MANY_REQUESTS => later(self.retry_after.or(Some(QUOTA_WAIT))),
                StatusCode::REQUEST_TIMEOUT => later(self.retry_after),
                status if status.is_server_error() => later(self.retry_after),
                _ => Outcome::failed(self.said(code)),
            },
        }
    }

    /// What is kept of the answer: codes, but no text, which may quote what was sent.
    fn said(&self, code: &str) -> String {
        let status = self.status.as_u16();
        let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        if is_code { format!("FCM answered {status} {code}") } else { format!("FCM answered {status}") }
    }
}

/// A field's name up to where the key of a map would stand.
fn name(field: &str) -> &str {
    field.split('[').next().unwrap_or_default()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
