//! Where pushes go: a bounded number of devices per person, each known by a token of Firebase or an installation id.
//!
//! Ordinary rows: a device never enters a fact, a log line or the answer to anybody else. A device that registers for
//! another person stops being the first one's.

use aggregates::ids::{DonorId, UserId};
use aggregates::people::DonorSession;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use tracing::debug;

use crate::config::Secret;
use crate::database;

/// The most devices of a staff member, and of a donor's session; the one that was not seen for longest makes room.
const OF_STAFF: i64 = 10;
const OF_DONOR: i64 = 5;

/// How long a token may be, in bytes. Those of Firebase have about 160.
const LENGTH: std::ops::RangeInclusive<usize> = 20..=2_048;

/// What a device is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A registration token.
    Token,
    /// A Firebase installation id.
    Fid,
}

/// A device that can be pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The row, for [`Devices::forget`].
    pub id: i64,
    /// What `value` is.
    pub kind: DeviceKind,
    /// The token or id; whoever has it can push to the device.
    pub value: Secret,
}

/// Why a device could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Nothing that Firebase could have handed out.
    #[error("not a push token")]
    Implausible,
    /// The devices could not be written.
    #[error("devices are unavailable")]
    Unavailable(#[from] sqlx::Error),
}

/// Every device. Cheap to clone.
#[derive(Clone)]
pub struct Devices {
    pool: PgPool,
}

impl Devices {
    /// The devices in a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Notes a device of a staff member, as seen now.
    pub async fn register_staff(&self, id: UserId, kind: DeviceKind, value: &str) -> Result<(), DeviceError> {
        plausible(value)?;
        let mut transaction = database::begin(&self.pool).await?;
        take_turn(&mut transaction, &format!("staff {id}")).await?;
        sqlx::query(
            "insert into devices (staff_id, kind, value)
             values ($1, $2, $3)
             on conflict (value) do update
             set staff_id = excluded.staff_id, donor_id = null, donor_session = null, kind = excluded.kind,
                 last_seen_at = clock_timestamp()",
        )
        .bind(id.get())
        .bind(kind.word())
        .bind(value)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "delete from devices
             where id in (
                 select id
                 from devices
                 where staff_id = $1
                 order by last_seen_at desc, id desc
                 offset $2
             )",
        )
        .bind(id.get())
        .bind(OF_STAFF)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        debug!(user.id = %id, "Registered a device of staff member {id}");
        Ok(())
    }

    /// Forgets every device of a staff member.
    pub async fn clear_staff(&self, id: UserId) -> sqlx::Result<()> {
        sqlx::query("delete from devices where staff_id = $1").bind(id.get()).execute(&self.pool).await?;
        Ok(())
    }

    /// The devices of those staff members whose accounts are active, the ones seen last first.
    pub async fn of_staff(&self, ids: &[UserId]) -> sqlx::Result<Vec<(UserId, Device)>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        let rows = sqlx::query(
            "select d.staff_id, d.id, d.kind, d.value
             from devices d
             join users u on u.id = d.staff_id
             where d.staff_id = any($1) and u.is_active
             order by d.staff_id, d.last_seen_at desc",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((UserId::new(row.try_get("staff_id")?), device(row)?))).collect()
    }

    /// Notes a device of a donor, as seen now. It hears of the queries of this session only.
    pub async fn register_donor(
        &self,
        donor: &DonorId,
        session: DonorSession,
        kind: DeviceKind,
        value: &str,
    ) -> Result<(), DeviceError> {
        plausible(value)?;
        let mut transaction = database::begin(&self.pool).await?;
        take_turn(&mut transaction, &format!("donor {}", session.0)).await?;
        sqlx::query(
            "insert into devices (donor_id, donor_session, kind, value)
             values ($1, $2, $3, $4)
             on conflict (value) do update
             set staff_id = null, donor_id = excluded.donor_id, donor_session = excluded.donor_session,
                 kind = excluded.kind, last_seen_at = clock_timestamp()",
        )
        .bind(donor.as_str())
        .bind(session.0)
        .bind(kind.word())
        .bind(value)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "delete from devices
             where id in (
                 select id
                 from devices
                 where donor_id = $1 and donor_session = $2
                 order by last_seen_at desc, id desc
                 offset $3
             )",
        )
        .bind(donor.as_str())
        .bind(session.0)
        .bind(OF_DONOR)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        debug!("Registered a device of a donor");
        Ok(())
    }

    /// The devices of donors, each in one session, the ones seen last first. The session is the one that a query was opened
    /// in, as its first fact and its row say.
    pub async fn of_donors(&self, donors: &[(&DonorId, DonorSession)]) -> sqlx::Result<Vec<(DonorSession, Device)>> {
        let rows = sqlx::query(
            "select d.donor_session, d.id, d.kind, d.value
             from unnest($1::text[], $2::uuid[]) as asked (donor_id, donor_session)
             join devices d on d.donor_id = asked.donor_id and d.donor_session = asked.donor_session
             order by d.last_seen_at desc",
        )
        .bind(donors.iter().map(|(donor, _)| donor.as_str()).collect::<Vec<_>>())
        .bind(donors.iter().map(|(_, session)| session.0).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((DonorSession(row.try_get("donor_session")?), device(row)?))).collect()
    }

    /// Forgets a device: the push service said that it is gone.
    pub async fn forget(&self, id: i64) -> sqlx::Result<()> {
        sqlx::query("delete from devices where id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

impl DeviceKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Fid => "fid",
        }
    }
}

/// Two devices of one person that register at once are counted one after the other.
async fn take_turn(connection: &mut PgConnection, person: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('devices of ' || $1, 0))")
        .bind(person)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a text can be a push token at all: at least 20 letters, digits, colons, hyphens and underscores.
pub fn plausible(value: &str) -> Result<(), DeviceError> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
    if LENGTH.contains(&value.len()) && value.bytes().all(is_known) { Ok(()) } else { Err(DeviceError::Implausible) }
}

fn device(row: &PgRow) -> sqlx::Result<Device> {
    let kind: String = row.try_get("kind")?;
    Ok(Device {
        id: row.try_get("id")?,
        // The table admits two words only.
        kind: if kind == DeviceKind::Fid.word() { DeviceKind::Fid } else { DeviceKind::Token },
        value: Secret::new(row.try_get::<String, _>("value")?),
    })
}

#[cfg(test)]
mod tests {
    use super::plausible;

    #[test]
    fn only_what_firebase_could_have_handed_out_is_kept() {
        assert!(plausible("dGhlIHRva2Vu:APA91b-_0123456789").is_ok());
        for odd in ["", "short", "a token with some spaces", "https://example.org/0123456789", &"x".repeat(2_049)] {
            assert!(plausible(odd).is_err(), "{odd}");
        }
    }
}
