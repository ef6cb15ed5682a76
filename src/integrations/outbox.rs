//! The local mailbox and push log: where the stand-ins put what they cannot send. Rows, so that every node shows the same.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

/// How many rows are kept per channel.
const KEPT: i64 = 200;

/// The local mailbox and push log. Keeps the last 200 of each; nothing leaves the desk from here.
#[derive(Clone, Debug)]
pub struct Outbox {
    pool: PgPool,
}

/// Something that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Counts up, over both channels.
    pub id: i64,
    /// A mail address, or the beginning of a device's token.
    pub recipient: String,
    /// The title of a note, the subject of a mail.
    pub title: String,
    /// The plain text.
    pub body: String,
    /// Of a note: `data` and `kind`. Of a mail: `html` and `messageId`.
    pub details: Value,
    /// When it would have been sent.
    pub created_at: DateTime<Utc>,
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
pub(super) struct Entry<'a> {
    pub(super) channel: Channel,
    pub(super) recipient: &'a str,
    pub(super) title: &'a str,
    pub(super) body: &'a str,
    pub(super) details: Value,
}

impl Outbox {
    /// An outbox in a migrated database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The mails, newest first.
    pub async fn mails(&self) -> sqlx::Result<Vec<Sent>> {
        self.newest(Channel::Mail).await
    }

    /// The notes, newest first.
    pub async fn notes(&self) -> sqlx::Result<Vec<Sent>> {
        self.newest(Channel::Push).await
    }

    async fn newest(&self, channel: Channel) -> sqlx::Result<Vec<Sent>> {
        let rows = sqlx::query(
            "select id, recipient, title, body, details, created_at
             from local_outbox
             where channel = $1
             order by id desc
             limit $2",
        )
        .bind(channel.as_str())
        .bind(KEPT)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(sent).collect()
    }

    /// Writes one down and forgets what is too old. Both see the rows from before: one less of those is kept.
    pub(super) async fn keep(&self, entry: Entry<'_>) -> sqlx::Result<i64> {
        sqlx::query_scalar(
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
        .bind(entry.details)
        .bind(KEPT - 1)
        .fetch_one(&self.pool)
        .await
    }
}

fn sent(row: &PgRow) -> sqlx::Result<Sent> {
    Ok(Sent {
        id: row.try_get("id")?,
        recipient: row.try_get("recipient")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        details: row.try_get("details")?,
        created_at: row.try_get("created_at")?,
    })
}
