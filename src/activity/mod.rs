//! What people did at the desk: what staff caused in the log, and the requests worth remembering.
//!
//! The log is asked as it is; requests are noted in a bounded table off the request's path ([`Recorder`]), and both are
//! read as one ([`Activity`]). Neither holds anything that people wrote: events by their name only, paths without values.

mod read;
mod recorder;

use aggregates::ids::{QueryId, UserId};
use chrono::{DateTime, NaiveDate, Utc};

pub use self::read::{Activity, Search};
pub use self::recorder::{Noted, Recorder, RequestKind, keep, recorder};

/// For how many days requests are kept, and days are listed.
pub const KEPT_DAYS: u16 = 30;

/// Which part of the activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// All of it.
    Application,
    /// What was refused and what failed.
    Errors,
    /// What staff did: on queries, to accounts, and logging in.
    UserActivity,
}

impl Journal {
    /// Every journal.
    pub const ALL: [Self; 3] = [Self::Application, Self::Errors, Self::UserActivity];

    /// Its name on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Errors => "errors",
            Self::UserActivity => "user-activity",
        }
    }

    /// The journal of a name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|journal| journal.word() == word)
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// `staff_action`, `log_in`, `account`, `refused` or `error`.
    pub kind: String,
    /// The staff member who did it, if it was one.
    pub staff: Option<UserId>,
    /// The name they had then, where a fact tells it.
    pub staff_name: Option<String>,
    /// What the path named, or the account that was tried at a log-in.
    pub subject: Option<i64>,
    /// The query that a fact is about.
    pub query: Option<QueryId>,
    /// The name of a fact.
    pub fact: Option<String>,
    /// The place of a fact in the log.
    pub position: Option<i64>,
    /// The request, as log lines and error bodies name it.
    pub request_id: String,
    /// The request's method.
    pub method: Option<String>,
    /// The request's route, without values.
    pub route: Option<String>,
    /// What it was answered with.
    pub status: Option<i16>,
    /// The code of the error it was answered with.
    pub code: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// With which client.
    pub user_agent: Option<String>,
    /// How long the answer took.
    pub took_ms: Option<i32>,
}

/// The part of a journal that one day (UTC) makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which day.
    pub day: NaiveDate,
    /// Which journal.
    pub journal: Journal,
    /// Roughly how many bytes its entries have.
    pub bytes: i64,
    /// When its first entry happened.
    pub first: DateTime<Utc>,
    /// When its last entry happened.
    pub last: DateTime<Utc>,
}

/// How much happened in the days that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overview {
    /// All entries.
    pub total: i64,
    /// Those of [`Journal::Errors`].
    pub errors: i64,
    /// Those of [`Journal::UserActivity`].
    pub user_activities: i64,
    /// Those of [`Journal::Errors`] since midnight (UTC).
    pub errors_today: i64,
    /// Bytes that the noted requests take on disk.
    pub bytes: i64,
}
