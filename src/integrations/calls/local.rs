//! The provider that needs no outside service. Its rooms are rows and its tokens are signed, but no media flows.

use std::sync::Arc;

use aggregates::ids::RoomName;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sqlx::PgPool;

use super::{Participant, Provider, ProviderError, Room, RoomSpec, names};
use crate::config::{Config, Secret};

/// What the key is derived for: it signs nothing that opens the API.
const LABEL: &[u8] = b"proof-concierge local call grants";

/// Whom a grant is for; tokens of staff and donors name nobody.
const AUDIENCE: &str = "proof-concierge-calls";

/// Rooms in the desk's own database. Cheap to clone.
#[derive(Clone)]
pub(super) struct Local {
    pool: PgPool,
    key: Arc<EncodingKey>,
    base_url: String,
}

/// What a grant says.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'static str,
    provider: &'static str,
    room: &'a RoomName,
    role: &'static str,
    sub: &'a str,
    name: &'a str,
    iat: i64,
    exp: i64,
}

impl Local {
    pub(super) fn new(config: &Config, pool: PgPool) -> Self {
        let key = EncodingKey::from_secret(&names::derive(&config.jwt_secret, LABEL));
        Self { pool, key: Arc::new(key), base_url: config.public_base_url() }
    }

    pub(super) async fn create_room(&self, spec: &RoomSpec) -> Result<Room, ProviderError> {
        sqlx::query(
            "insert into call_rooms (name, call_id, mode, expires_at)
             values ($1, $2, $3, $4)
             on conflict (name) do nothing",
        )
        .bind(spec.name.as_str())
        .bind(spec.call.get())
        .bind(spec.mode.as_str())
        .bind(spec.expires_at)
        .execute(&self.pool)
        .await?;
        let url = format!("{}/calls/{}", self.base_url, spec.name);
        Ok(Room { name: spec.name.clone(), url, provider: Provider::Local })
    }

    /// A token for an open room.
    pub(super) async fn token(
        &self,
        room: &RoomName,
        participant: &Participant<'_>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Secret, ProviderError> {
        let is_open: Option<bool> = sqlx::query_scalar(
            "select closed_at is null and expires_at > $2
             from call_rooms
             where name = $1",
        )
        .bind(room.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        if is_open != Some(true) {
            return Err(ProviderError::RoomClosed);
        }
        Ok(self.sign(room, participant, now, expires_at))
    }

    pub(super) async fn close_room(&self, room: &RoomName) -> Result<(), ProviderError> {
        sqlx::query(
            "update call_rooms
             set closed_at = now()
             where name = $1
               and closed_at is null",
        )
        .bind(room.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    fn sign(
        &self,
        room: &RoomName,
        participant: &Participant<'_>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Secret {
        let claims = Claims {
            aud: AUDIENCE,
            provider: Provider::Local.as_str(),
            room,
            role: if participant.leads { "staff" } else { "donor" },
            sub: &participant.user_id,
            name: participant.name,
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key);
        Secret::new(token.expect("claims are plain JSON and HMAC cannot fail"))
    }
}

impl From<sqlx::Error> for ProviderError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
