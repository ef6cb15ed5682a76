//! Daily.co: private rooms by its REST API, and what its webhooks tell.
//!
//! Names, limits and errors are those of <https://docs.daily.co/reference/rest-api>.

mod rest;
mod token;
pub(super) mod webhook;

use std::sync::Arc;

use aggregates::ids::RoomName;
use aggregates::vocabulary::CallMode;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::rest::Rest;
use self::token::{Signer, TokenProperties};
use super::{Participant, Provider, ProviderError, Room, RoomSpec};
use crate::config::{Calls, Secret};

/// Two people, and one seat that a lost connection may hold for some seconds.
const MAX_PARTICIPANTS: u8 = 3;

/// Rooms at Daily. Cheap to clone.
#[derive(Clone)]
pub(super) struct Daily(Arc<Inner>);

struct Inner {
    rest: Rest,
    signer: Option<Signer>,
    domain: Option<String>,
}

#[derive(Serialize)]
struct NewRoom<'a> {
    name: &'a RoomName,
    privacy: &'static str,
    properties: RoomProperties,
}

/// Times are Unix seconds. Daily refuses a property it does not know.
#[derive(Serialize)]
struct RoomProperties {
    exp: i64,
    eject_at_room_exp: bool,
    max_participants: u8,
    start_video_off: bool,
}

/// What we read of a room; `config` has only what differs from the defaults and is left alone.
#[derive(Deserialize)]
struct MadeRoom {
    url: String,
    privacy: String,
}

#[derive(Serialize)]
struct NewToken<'a> {
    properties: &'a TokenProperties<'a>,
}

#[derive(Deserialize)]
struct MadeToken {
    token: Secret,
}

impl Daily {
    /// The client of a desk; `None` without a key.
    pub(super) fn new(settings: &Calls) -> Result<Option<Self>, ProviderError> {
        if Provider::configured(settings) != Provider::Daily {
            return Ok(None);
        }
        let signer = Signer::new(&settings.daily_api_key, &settings.daily_domain_id);
        Ok(Some(Self(Arc::new(Inner { rest: Rest::new(settings)?, signer, domain: domain(&settings.daily_domain) }))))
    }

    /// Makes a room. A name that is taken is this room, made by an attempt whose answer was lost.
    pub(super) async fn create_room(&self, spec: &RoomSpec) -> Result<Room, ProviderError> {
        let wanted = NewRoom { name: &spec.name, privacy: "private", properties: RoomProperties::of(spec) };
        let deadline = self.0.rest.deadline();
        let reply = self.0.rest.call(Method::POST, &["rooms"], Some(&wanted), deadline).await?;
        let made = if reply.status == StatusCode::BAD_REQUEST {
            self.existing(&spec.name, deadline).await?.ok_or_else(|| reply.refusal())?
        } else {
            reply.read::<MadeRoom>()?
        };
        if made.privacy != "private" {
            return Err(ProviderError::Refused("the room is open to everybody".to_owned()));
        }
        let url = match &self.0.domain {
            Some(domain) => format!("https://{domain}/{}", spec.name),
            None => made.url,
        };
        Ok(Room { name: spec.name.clone(), url, provider: Provider::Daily })
    }

    /// A token for one participant and one room, made here if the domain's id is known.
    pub(super) async fn token(
        &self,
        room: &RoomName,
        participant: &Participant<'_>,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Secret, ProviderError> {
        let properties = TokenProperties::new(room, participant, expires_at);
        if let Some(signer) = &self.0.signer {
            return Ok(signer.sign(&properties, now));
        }
        let wanted = NewToken { properties: &properties };
        let reply = self.0.rest.call(Method::POST, &["meeting-tokens"], Some(&wanted), self.0.rest.deadline()).await?;
        Ok(reply.read::<MadeToken>()?.token)
    }

    /// Deletes a room, which sends everybody away.
    pub(super) async fn close_room(&self, room: &RoomName) -> Result<(), ProviderError> {
        let deadline = self.0.rest.deadline();
        let reply = self.0.rest.call(Method::DELETE, &["rooms", room.as_str()], None::<&()>, deadline).await?;
        if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND { Ok(()) } else { Err(reply.refusal()) }
    }

    async fn existing(&self, name: &RoomName, deadline: Instant) -> Result<Option<MadeRoom>, ProviderError> {
        let reply = self.0.rest.call(Method::GET, &["rooms", name.as_str()], None::<&()>, deadline).await?;
        if reply.status == StatusCode::NOT_FOUND { Ok(None) } else { reply.read().map(Some) }
    }
}

impl RoomProperties {
    fn of(spec: &RoomSpec) -> Self {
        let start_video_off = match spec.mode {
            CallMode::Video => false,
            CallMode::Audio | CallMode::Screen => true,
        };
        Self {
            exp: spec.expires_at.timestamp(),
            eject_at_room_exp: true,
            max_participants: MAX_PARTICIPANTS,
            start_video_off,
        }
    }
}

/// The host of the rooms; like the old system, which took `acme` for `acme.daily.co`.
fn domain(configured: &str) -> Option<String> {
    match configured.trim() {
        "" => None,
        host if host.contains('.') => Some(host.to_owned()),
        name => Some(format!("{name}.daily.co")),
    }
}
