//! How integrations speak HTTP: bounded in time and in size, and without following anybody elsewhere.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use super::{Outcome, SetupError};
use crate::clock;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that is read of an answer; what services say fits many times.
const MOST: usize = 64 * 1024;
/// The longest that a service may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// A client whose every attempt ends in time. Credentials go where they were sent and nowhere else: no redirects.
pub(super) fn client(timeout_ms: u64) -> Result<Client, SetupError> {
    Client::builder()
        .connect_timeout(CONNECT)
        .timeout(Duration::from_millis(timeout_ms))
        .redirect(Policy::none())
        .user_agent(concat!("proof-concierge/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| SetupError::Invalid(format!("no HTTP client can be made: {error}")))
}

/// What came of a request that had no answer.
pub(super) fn unanswered(service: &str, error: &reqwest::Error) -> Outcome {
    let what = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
    Outcome::later(format!("{service} {what}"))
}

/// The beginning of an answer's body.
pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MOST - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body)
}

/// How long a service wants to be left alone: seconds or a date, as RFC 9110 has it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse::<u64>().ok().or_else(|| seconds_until(value))?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// A date that is past is now.
fn seconds_until(date: &str) -> Option<u64> {
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(u64::try_from((date.to_utc() - clock::now()).num_seconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use reqwest::header::HeaderValue;

    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).expect("a header"))]))
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        assert_eq!(asked("17"), Some(Duration::from_secs(17)));
        let soon = asked(&(clock::now() + TimeDelta::seconds(90)).to_rfc2822()).expect("a date");
        assert!((80..=90).contains(&soon.as_secs()), "{soon:?}");
        assert_eq!(asked("Mon, 06 Nov 2000 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(asked("soon"), None);
    }
}
