//! Who is in which room, as the provider tells. It may tell things twice and out of order.

use aggregates::ids::RoomName;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Presence;

/// The rows of `call_participants`. Cheap to clone.
#[derive(Clone)]
pub struct Roster(PgPool);

impl Roster {
    /// Rows in a database.
    pub(super) fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Somebody is there. A session that began before the one we know is old news.
    pub async fn joined(&self, room: &RoomName, presence: &Presence) -> sqlx::Result<()> {
        sqlx::query(
            "insert into call_participants as p (room_name, user_id, session_id, joined_at)
             values ($1, $2, $3, $4)
             on conflict (room_name, user_id) do update
             set session_id = excluded.session_id,
                 joined_at = excluded.joined_at,
                 left_at = null
             where excluded.joined_at > p.joined_at",
        )
        .bind(room.as_str())
        .bind(&presence.user_id)
        .bind(&presence.session_id)
        .bind(presence.joined_at)
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Somebody left. The end of a session before the one we know says nothing: they loaded the page again.
    pub async fn left(&self, room: &RoomName, presence: &Presence, at: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query(
            "insert into call_participants as p (room_name, user_id, session_id, joined_at, left_at)
             values ($1, $2, $3, $4, $5)
             on conflict (room_name, user_id) do update
             set session_id = excluded.session_id,
                 joined_at = excluded.joined_at,
                 left_at = excluded.left_at
             where excluded.session_id = p.session_id
                or excluded.joined_at > p.joined_at",
        )
        .bind(room.as_str())
        .bind(&presence.user_id)
        .bind(&presence.session_id)
        .bind(presence.joined_at)
        .bind(at)
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Everybody who was there is gone. Answers whether the room is empty: somebody may have come back since.
    pub async fn emptied(&self, room: &RoomName, at: DateTime<Utc>) -> sqlx::Result<bool> {
        sqlx::query(
            "update call_participants
             set left_at = $2
             where room_name = $1
               and left_at is null
               and joined_at <= $2",
        )
        .bind(room.as_str())
        .bind(at)
        .execute(&self.0)
        .await?;
        sqlx::query_scalar(
            "select not exists (
                 select from call_participants
                 where room_name = $1
                   and left_at is null
             )",
        )
        .bind(room.as_str())
        .fetch_one(&self.0)
        .await
    }
}
