//! The local mailbox and push log: where the stand-ins put what they cannot send. Rows, so that every node shows the same.
//!
//! Names and words stand there in plain text, as in the mail that they stand for, until two hundred newer ones came.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgPool, Row};

use super::Outcome;

/// How many rows are kept per channel.
const KEPT: i64 = 200;

/// The local mailbox and push log. Keeps the last 200 of each; nothing leaves the desk from here.
#[derive(Clone, Debug)]
pub struct Outbox {
    pool: PgPool,
}

/// A letter that would have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMail {
    /// Counts up, over both channels.
    pub id: i64,
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The letter as plain text.
    pub text: String,
    /// What only letters have.
    pub details: MailDetails,
    /// When it would have been sent.
    pub created_at: DateTime<Utc>,
}

/// A note that would have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptNote {
    /// Counts up, over both channels.
    pub id: i64,
    /// The beginning of the device's token.
    pub device: String,
    /// The first line; empty if nothing would have been shown.
    pub title: String,
    /// The text.
    pub body: String,
    /// What only notes have.
    pub details: NoteDetails,
    /// When it would have been sent.
    pub created_at: DateTime<Utc>,
}

/// What only letters have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailDetails {
    /// The letter as HTML.
    pub html: String,
    /// What names it over all attempts.
    pub message_id: String,
}

/// What only notes have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteDetails {
    /// How the device would have taken it: `ordinary`, `callRequest`, `call` or `silent`.
    pub kind: String,
    /// What the app would have read.
    pub data: BTreeMap<String, String>,
}

/// What a stand-in stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Mail,
    Push,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Push => "push",
        }
    }
}

/// What a stand-in writes down.
pub(super) struct Entry<'a, T> {
    pub(super) channel: Channel,
    pub(super) recipient: &'a str,
    pub(super) title: &'a str,
    pub(super) body: &'a str,
    pub(super) details: T,
}

impl Outbox {
    /// An outbox in a migrated database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The newest letters, newest first; at most 200.
    pub async fn mails(&self, most: i64) -> sqlx::Result<Vec<KeptMail>> {
        self.newest(Channel::Mail, most).await?.iter().map(mail).collect()
    }

    /// The newest notes, newest first; at most 200.
    pub async fn notes(&self, most: i64) -> sqlx::Result<Vec<KeptNote>> {
        self.newest(Channel::Push, most).await?.iter().map(note).collect()
    }

    async fn newest(&self, channel: Channel, most: i64) -> sqlx::Result<Vec<PgRow>> {
        sqlx::query(
            "select id, recipient, title, body, details, created_at
             from local_outbox
             where channel = $1
             order by id desc
             limit $2",
        )
        .bind(channel.as_str())
        .bind(most.clamp(0, KEPT))
        .fetch_all(&self.pool)
        .await
    }

    /// Writes one down and forgets what is too old. Both see the rows from before: one less of those is kept.
    pub(super) async fn keep<T: Serialize + Send + Sync>(&self, entry: Entry<'_, T>) -> Outcome {
        let kept: sqlx::Result<i64> = sqlx::query_scalar(
            "with forgotten as (
                 delete from local_outbox
                 where channel = $1
                 and id <= (select id from local_outbox where channel = $1 order by id desc offset $6 limit 1)
             )
             insert into local_outbox (channel, recipient, title, body, details)
             values ($1, $2, $3, $4, $5)
             returning id",
        )
        .bind(entry.channel.as_str())
        .bind(entry.recipient)
        .bind(entry.title)
        .bind(entry.body)
        .bind(Json(entry.details))
        .bind(KEPT - 1)
        .fetch_one(&self.pool)
        .await;
        match kept {
            Ok(id) => Outcome::Sent { id: Some(format!("local-{id}")) },
            Err(_) => Outcome::later("the local outbox is unavailable"),
        }
    }
}

fn mail(row: &PgRow) -> sqlx::Result<KeptMail> {
    let Json(details) = row.try_get("details")?;
    Ok(KeptMail {
        id: row.try_get("id")?,
        to: row.try_get("recipient")?,
        subject: row.try_get("title")?,
        text: row.try_get("body")?,
        details,
        created_at: row.try_get("created_at")?,
    })
}

fn note(row: &PgRow) -> sqlx::Result<KeptNote> {
    let Json(details) = row.try_get("details")?;
    Ok(KeptNote {
        id: row.try_get("id")?,
        device: row.try_get("recipient")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        details,
        created_at: row.try_get("created_at")?,
    })
}
