//! Rooms to talk in: who makes them, who may enter, and when they close.
//!
//! A room is made first, by the provider that the configuration names, and closes by itself when its time is up. Its
//! name and provider are stored with the call, so that a call outlives a change of provider. What a participant needs to
//! join is made when it is asked for and never stored.

mod daily;
mod local;
mod names;
mod roster;

use aggregates::ids::{CallId, DonorId, RoomName};
use aggregates::people::StaffRef;
use aggregates::vocabulary::CallMode;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use thiserror::Error;

use self::daily::Daily;
use self::local::Local;
use self::names::Names;
use crate::clock;
use crate::config::{Calls, Config, Secret};

pub use self::daily::webhook::{DailyWebhooks, Delivery, Notice, Presence, WebhookError};
pub use self::roster::Roster;

/// Makes rooms, admits people to them and closes them. Cheap to clone.
#[derive(Clone)]
pub struct CallRooms {
    daily: Option<Daily>,
    local: Local,
    names: Names,
    roster: Roster,
    webhooks: Option<DailyWebhooks>,
    expiry: TimeDelta,
}

/// Who makes rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Daily.co.
    Daily,
    /// The desk itself: rooms and grants are real, but no media flows.
    Local,
}

/// The room that a call is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSpec {
    /// The call.
    pub call: CallId,
    /// Always the same for the same call, and not to be guessed.
    pub name: RoomName,
    /// How the call is held.
    pub mode: CallMode,
    /// When the room closes by itself.
    pub expires_at: DateTime<Utc>,
}

/// A room that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// Its address; by itself it lets nobody in.
    pub url: String,
    /// Who made it.
    pub provider: Provider,
}

/// Who wants to join, as the other side will see them.
#[derive(Clone, Copy, Debug)]
pub enum Seat<'a> {
    /// A staff member, who leads the call.
    Staff(&'a StaffRef),
    /// The donor.
    Donor {
        /// Their identity; the provider gets a keyed hash of it.
        id: &'a DonorId,
        /// What the other side sees.
        name: &'a str,
    },
}

/// What one participant needs to join one room. Never stored, never shown to anybody else.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who made the room.
    pub provider: Provider,
    /// The room.
    pub room: RoomName,
    /// The address of the room.
    pub url: String,
    /// Opens the room.
    pub token: Secret,
    /// When the token no longer does.
    pub expires_at: DateTime<Utc>,
}

/// Why there is no room, or no way in.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// It does not answer, or has too much to do. Worth trying again.
    #[error("the call provider is unavailable")]
    Unavailable(#[source] Cause),
    /// It does not know this desk. Somebody has to look at the settings.
    #[error("the call provider is not set up: {0}")]
    Misconfigured(String),
    /// It does not do what it was asked.
    #[error("the call provider refused: {0}")]
    Refused(String),
    /// The room is closed, or its time is up.
    #[error("the room is closed")]
    RoomClosed,
}

/// What lies behind an error; holds neither key nor token.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A participant as a provider is told of them.
struct Participant<'a> {
    user_id: String,
    name: &'a str,
    leads: bool,
}

impl CallRooms {
    /// The rooms of a desk. The pool acts as the service.
    pub fn new(config: &Config, pool: PgPool) -> Result<Self, ProviderError> {
        Ok(Self {
            daily: Daily::new(&config.calls)?,
            local: Local::new(config, pool.clone()),
            roster: Roster::new(pool),
            webhooks: webhooks(&config.calls)?,
            names: Names::new(&config.jwt_secret),
            expiry: TimeDelta::minutes(i64::from(config.calls.expiry_minutes)),
        })
    }

    /// Who makes new rooms.
    pub fn provider(&self) -> Provider {
        if self.daily.is_some() { Provider::Daily } else { Provider::Local }
    }

    /// The room that a call is to get if it begins now.
    pub fn spec(&self, call: CallId, mode: CallMode, now: DateTime<Utc>) -> RoomSpec {
        RoomSpec { call, name: self.names.room(call), mode, expires_at: now + self.expiry }
    }

    /// Makes a room; one that exists already under the same name is taken as it is. Takes seconds at most.
    pub async fn create_room(&self, spec: &RoomSpec) -> Result<Room, ProviderError> {
        match &self.daily {
            Some(daily) => daily.create_room(spec).await,
            None => self.local.create_room(spec).await,
        }
    }

    /// Lets somebody into a room until `expires_at`. `provider` and `url` are as the call's facts have them.
    pub async fn grant(
        &self,
        provider: &str,
        room: &RoomName,
        url: &str,
        seat: Seat<'_>,
        expires_at: DateTime<Utc>,
    ) -> Result<Grant, ProviderError> {
        let (provider, now) = (Provider::parse(provider)?, clock::now());
        if expires_at <= now {
            return Err(ProviderError::RoomClosed);
        }
        let participant = self.participant(seat);
        let token = match provider {
            Provider::Daily => self.daily()?.token(room, &participant, now, expires_at).await?,
            Provider::Local => self.local.token(room, &participant, now, expires_at).await?,
        };
        Ok(Grant { provider, room: room.clone(), url: url.to_owned(), token, expires_at })
    }

    /// Closes a room; one that is gone already is closed. Whoever is in it is sent away.
    pub async fn close_room(&self, provider: &str, room: &RoomName) -> Result<(), ProviderError> {
        match Provider::parse(provider)? {
            Provider::Daily => self.daily()?.close_room(room).await,
            Provider::Local => self.local.close_room(room).await,
        }
    }

    /// Reads what Daily tells; `None` if it was not asked to.
    pub fn webhooks(&self) -> Option<&DailyWebhooks> {
        self.webhooks.as_ref()
    }

    /// Who is in which room.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether a room was named here.
    pub fn is_ours(&self, room: &RoomName) -> bool {
        self.names.is_room(room)
    }

    /// Daily, for a call that was begun there.
    fn daily(&self) -> Result<&Daily, ProviderError> {
        self.daily.as_ref().ok_or_else(|| ProviderError::Misconfigured("there is no key for Daily".to_owned()))
    }

    fn participant<'a>(&self, seat: Seat<'a>) -> Participant<'a> {
        match seat {
            Seat::Staff(staff) => Participant { user_id: names::staff(staff.id), name: &staff.name, leads: true },
            Seat::Donor { id, name } => Participant { user_id: self.names.donor(id), name, leads: false },
        }
    }
}

impl Provider {
    /// Who makes new rooms under these settings.
    pub fn configured(settings: &Calls) -> Self {
        if settings.daily_api_key.expose().is_empty() { Self::Local } else { Self::Daily }
    }

    /// The word that facts and answers have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Local => "local",
        }
    }

    /// What people ought to know about its rooms.
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Daily => None,
            Self::Local => Some("local stand-in: the room and the token are real, but no sound and no picture"),
        }
    }

    /// Reads the word of a fact.
    pub fn parse(word: &str) -> Result<Self, ProviderError> {
        [Self::Daily, Self::Local]
            .into_iter()
            .find(|provider| provider.as_str() == word)
            .ok_or_else(|| ProviderError::Misconfigured(format!("no provider is called {word:?}")))
    }
}

fn webhooks(settings: &Calls) -> Result<Option<DailyWebhooks>, ProviderError> {
    if settings.daily_webhook_hmac.expose().is_empty() {
        return Ok(None);
    }
    let webhooks = DailyWebhooks::new(&settings.daily_webhook_hmac);
    webhooks.map(Some).ok_or_else(|| ProviderError::Misconfigured("the webhook's secret is not base64".to_owned()))
}
