//! Daily's meeting tokens: what one says, and how to sign one here.

use aggregates::ids::RoomName;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::Participant;
use crate::config::Secret;

/// What a token says, by the names of the REST API. Without a room it would open every room of the domain, without a
/// time it would open it for ever.
#[derive(Serialize)]
pub(super) struct TokenProperties<'a> {
    room_name: &'a RoomName,
    user_id: &'a str,
    user_name: &'a str,
    is_owner: bool,
    /// Unix seconds.
    exp: i64,
}

/// The same by the names of a token's claims, with what signing needs.
#[derive(Serialize)]
struct Claims<'a> {
    r: &'a RoomName,
    ud: &'a str,
    u: &'a str,
    o: bool,
    exp: i64,
    iat: i64,
    d: &'a str,
}

/// Signs tokens with the API key, as Daily lets its customers do: no request, no limit.
pub(super) struct Signer {
    key: EncodingKey,
    domain_id: String,
}

impl<'a> TokenProperties<'a> {
    pub(super) fn new(room: &'a RoomName, participant: &'a Participant<'_>, expires_at: DateTime<Utc>) -> Self {
        Self {
            room_name: room,
            user_id: &participant.user_id,
            user_name: participant.name,
            is_owner: participant.leads,
            exp: expires_at.timestamp(),
        }
    }
}

impl Signer {
    /// `None` if the domain's id, which `GET /` tells, is not configured.
    pub(super) fn new(api_key: &Secret, domain_id: &str) -> Option<Self> {
        let key = EncodingKey::from_secret(api_key.expose().as_bytes());
        (!domain_id.is_empty()).then(|| Self { key, domain_id: domain_id.to_owned() })
    }

    pub(super) fn sign(&self, properties: &TokenProperties<'_>, now: DateTime<Utc>) -> Secret {
        let claims = Claims {
            r: properties.room_name,
            ud: properties.user_id,
            u: properties.user_name,
            o: properties.is_owner,
            exp: properties.exp,
            iat: now.timestamp(),
            d: &self.domain_id,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key);
        Secret::new(token.expect("claims are plain JSON and HMAC cannot fail"))
    }
}
