//! Daily's webhooks: what they tell, once it is certain that Daily says so.
//!
//! A delivery may come twice, late, or before an earlier one. Whatever we do not act on is accepted all the same: Daily
//! gives up on a webhook that refuses deliveries.

use std::time::Duration;

use aggregates::ids::RoomName;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::Sha256;
use thiserror::Error;
use tracing::warn;

use crate::config::Secret;

/// How far a delivery's time may be from ours. Daily sets no limit; without one a delivery could be replayed for ever.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// The longest text we keep of a delivery.
const LONGEST: usize = 128;

/// From here on a number is milliseconds, which other versions of Daily's documentation show.
const MILLISECONDS: f64 = 1e11;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads deliveries signed with the secret that Daily gave out with the webhook.
#[derive(Clone)]
pub struct DailyWebhooks(Hmac<Sha256>);

/// Something that happened in a room.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The same whenever this is told again.
    pub id: String,
    /// The room.
    pub room: RoomName,
    /// What happened.
    pub notice: Notice,
}

/// What happened in a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The first participant is there.
    MeetingStarted,
    /// The last participant left.
    MeetingEnded {
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody is there.
    Joined(Presence),
    /// Somebody left.
    Left {
        /// Who, and which of their sessions.
        presence: Presence,
        /// When.
        at: DateTime<Utc>,
    },
}

/// One connection of one participant.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Who, as their token named them.
    pub user_id: String,
    /// Changes when they load the page again.
    pub session_id: String,
    /// When this connection began.
    pub joined_at: DateTime<Utc>,
}

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WebhookError {
    /// There is no signature, or it does not fit.
    #[error("the signature does not fit")]
    Forged,
    /// It was signed too long ago, or too far ahead.
    #[error("the delivery is not of now")]
    Stale,
}

/// What every delivery has. `payload` differs.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    /// Unix seconds.
    event_ts: f64,
}

/// What Daily sends, unsigned, when a webhook is set up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    #[serde(rename = "test")]
    _test: String,
}

#[derive(Deserialize)]
struct Meeting {
    room: String,
    /// Unix seconds.
    end_ts: Option<f64>,
}

#[derive(Deserialize)]
struct Attendance {
    room: String,
    session_id: String,
    user_id: Option<String>,
    /// Unix seconds.
    joined_at: f64,
}

impl DailyWebhooks {
    /// Reads deliveries under a secret in base64; `None` if it is not.
    pub(in crate::integrations::calls) fn new(secret: &Secret) -> Option<Self> {
        let key = BASE64.decode(secret.expose().trim()).ok().filter(|key| !key.is_empty())?;
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    /// Reads a delivery: the headers `X-Webhook-Timestamp` and `X-Webhook-Signature`, and the body byte by byte. `None` if
    /// there is nothing to do about it.
    pub fn read(
        &self,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<Delivery>, WebhookError> {
        if serde_json::from_slice::<Probe>(body).is_ok() {
            return Ok(None);
        }
        let (timestamp, signature) = timestamp.zip(signature).ok_or(WebhookError::Forged)?;
        self.check(timestamp, signature, body)?;
        let signed_at = timestamp.trim().parse().ok().and_then(moment).ok_or(WebhookError::Stale)?;
        if (now - signed_at).abs() > WINDOW {
            return Err(WebhookError::Stale);
        }
        Ok(understood(body).unwrap_or_else(|Unreadable| {
            warn!("A delivery of Daily cannot be read");
            None
        }))
    }

    /// Takes the same time for every wrong signature.
    fn check(&self, timestamp: &str, signature: &str, body: &[u8]) -> Result<(), WebhookError> {
        let signature = BASE64.decode(signature.trim()).map_err(|_| WebhookError::Forged)?;
        let signed = self.0.clone().chain_update(timestamp).chain_update(b".").chain_update(body);
        signed.verify_slice(&signature).map_err(|_| WebhookError::Forged)
    }
}

/// A signed delivery cannot be read.
struct Unreadable;

fn understood(body: &[u8]) -> Result<Option<Delivery>, Unreadable> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| Unreadable)?;
    let event_at = moment(envelope.event_ts).ok_or(Unreadable)?;
    let (room, notice) = match envelope.kind.as_str() {
        "meeting.started" => (payload::<Meeting>(&envelope)?.room, Notice::MeetingStarted),
        "meeting.ended" => {
            let meeting: Meeting = payload(&envelope)?;
            let at = meeting.end_ts.and_then(moment).unwrap_or(event_at);
            (meeting.room, Notice::MeetingEnded { at })
        }
        "participant.joined" => {
            let (room, presence) = payload::<Attendance>(&envelope)?.split()?;
            (room, Notice::Joined(presence))
        }
        "participant.left" => {
            let (room, presence) = payload::<Attendance>(&envelope)?.split()?;
            (room, Notice::Left { presence, at: event_at })
        }
        _ => return Ok(None),
    };
    if !is_storable(&room) || !is_storable(&envelope.id) {
        return Err(Unreadable);
    }
    Ok(Some(Delivery { id: envelope.id, room: RoomName::new(room), notice }))
}

impl Attendance {
    fn split(self) -> Result<(String, Presence), Unreadable> {
        // Somebody whose token names nobody is told apart by their connection.
        let user_id = self.user_id.unwrap_or_else(|| self.session_id.clone());
        if !is_storable(&user_id) || !is_storable(&self.session_id) {
            return Err(Unreadable);
        }
        let joined_at = moment(self.joined_at).ok_or(Unreadable)?;
        Ok((self.room, Presence { user_id, session_id: self.session_id, joined_at }))
    }
}

/// Whether a text of a delivery can be kept: PostgreSQL takes no NUL.
fn is_storable(text: &str) -> bool {
    text.len() <= LONGEST && !text.contains('\0')
}

fn payload<T: DeserializeOwned>(envelope: &Envelope<'_>) -> Result<T, Unreadable> {
    serde_json::from_str(envelope.payload.get()).map_err(|_| Unreadable)
}

/// A time in Unix seconds.
fn moment(number: f64) -> Option<DateTime<Utc>> {
    let seconds = if number > MILLISECONDS { number / 1e3 } else { number };
    let since_1970 = Duration::try_from_secs_f64(seconds).ok()?;
    DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::from_std(since_1970).ok()?)
}

#[cfg(test)]
mod tests {
    use aggregates::ids::RoomName;
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{DailyWebhooks, Delivery, Notice, WebhookError};
    use crate::config::Secret;

    /// Made with Python's hmac and base64 from the secret, `TIMESTAMP`, a dot and `BODY`.
    const SIGNATURE: &str = "C5twekCC+lhPPuRowhXdOO9RQdQc/51E1HXFgVeqCes=";
    const SECRET: &str = "NqWQ9yLzfr8GwpqEYHcMVJVkOyl4FzGwR5A1SZzaGs8=";
    const TIMESTAMP: &str = "1750000000";
    const BODY: &str = r#"{"version":"1.0.0","type":"meeting.started","id":"evt-1","event_ts":1750000000.25,"payload":{"start_ts":1750000000,"meeting_id":"m-1","room":"call-17-0123456789abcdef"}}"#;

    fn webhooks() -> DailyWebhooks {
        DailyWebhooks::new(&Secret::new(SECRET)).expect("a secret in base64")
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).expect("a valid second")
    }

    #[test]
    fn a_signature_made_elsewhere_fits() {
        let delivery = Delivery {
            id: "evt-1".to_owned(),
            room: RoomName::new("call-17-0123456789abcdef"),
            notice: Notice::MeetingStarted,
        };
        let read = webhooks().read(Some(TIMESTAMP), Some(SIGNATURE), BODY.as_bytes(), noon());
        assert_eq!(read, Ok(Some(delivery)));
    }

    #[test]
    fn a_delivery_is_believed_within_five_minutes() {
        let at = |now| webhooks().read(Some(TIMESTAMP), Some(SIGNATURE), BODY.as_bytes(), now).map(|_| ());
        for minutes in [-5, 5] {
            assert_eq!(at(noon() + TimeDelta::minutes(minutes)), Ok(()));
            let beyond = noon() + TimeDelta::minutes(minutes) + TimeDelta::seconds(minutes.signum());
            assert_eq!(at(beyond), Err(WebhookError::Stale));
        }
    }

    #[test]
    fn nothing_is_believed_without_the_fitting_signature() {
        let body = BODY.as_bytes();
        let cases = [
            (None, None, body),
            (Some(TIMESTAMP), None, body),
            (Some("1750000001"), Some(SIGNATURE), body),
            (Some(TIMESTAMP), Some("AAAA"), body),
            (Some(TIMESTAMP), Some("not base64!"), body),
            (Some(TIMESTAMP), Some(SIGNATURE), &body[1..]),
        ];
        for (timestamp, signature, body) in cases {
            assert_eq!(webhooks().read(timestamp, signature, body, noon()), Err(WebhookError::Forged));
        }
    }

    #[test]
    fn the_probe_needs_no_signature_and_nothing_passes_for_it() {
        assert_eq!(webhooks().read(None, None, br#"{"test":"test"}"#, noon()), Ok(None));
        let disguised = br#"{"test":"test","type":"meeting.ended"}"#;
        assert_eq!(webhooks().read(None, None, disguised, noon()), Err(WebhookError::Forged));
    }

    #[test]
    fn a_secret_is_base64() {
        for wrong in ["", "not base64!"] {
            assert!(DailyWebhooks::new(&Secret::new(wrong)).is_none());
        }
    }
}
