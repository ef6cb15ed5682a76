//! Accounts that come from another desk, with the ids and the passwords they had there.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::database;

/// An account of another desk.
#[derive(Clone, Debug)]
pub struct MovedUser<'a> {
    /// Its id there, and here.
    pub id: i64,
    /// Its user name.
    pub username: &'a str,
    /// An argon2id string in PHC form: the password keeps working.
    pub password_hash: &'a str,
    /// The display name.
    pub name: &'a str,
    /// The address for mail.
    pub email: Option<&'a str>,
    /// `SUPER_ADMIN` or `ADMIN`.
    pub role: &'a str,
    /// A picture as a data URL, or an address.
    pub avatar: Option<&'a str>,
    /// Whether it may log in.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What became of a [`MovedUser`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedIn {
    /// It is here now.
    Now,
    /// It was here before, by the same id and user name, and is as it is there.
    Before,
    /// It was here before and is not as it is there; it was left so.
    Differs,
    /// Another account has the id or the user name.
    Taken,
}

/// Makes an account with the id and the password it had elsewhere, or brings it up to date unless `keep` says that what is
/// here counts. The pool has to be the owner's: the service may not choose ids.
///
/// # Errors
/// If the database fails or a column cannot hold a value.
pub async fn move_in(pool: &PgPool, user: &MovedUser<'_>, keep: bool) -> sqlx::Result<MovedIn> {
    let mut transaction = database::begin(pool).await?;
    let inserted = sqlx::query(
        "insert into users (id, username, password, name, email, role, avatar, is_active, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict do nothing",
    )
    .bind(user.id)
    .bind(user.username)
    .bind(user.password_hash)
    .bind(user.name)
    .bind(user.email)
    .bind(user.role)
    .bind(user.avatar)
    .bind(user.is_active)
    .bind(user.created_at)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if inserted == 0 {
        let moved = bring_up_to_date(&mut transaction, user, keep).await?;
        transaction.commit().await?;
        return Ok(moved);
    }
    sqlx::query("select setval(pg_get_serial_sequence('users', 'id'), (select max(id) from users))")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(MovedIn::Now)
}

async fn bring_up_to_date(connection: &mut PgConnection, user: &MovedUser<'_>, keep: bool) -> sqlx::Result<MovedIn> {
    let differs: Option<bool> = sqlx::query_scalar(
        "select (password, name, email, role, is_active) is distinct from ($3, $4, $5, $6, $7)
         from users
         where id = $1
         and username = $2",
    )
    .bind(user.id)
    .bind(user.username)
    .bind(user.password_hash)
    .bind(user.name)
    .bind(user.email)
    .bind(user.role)
    .bind(user.is_active)
    .fetch_optional(&mut *connection)
    .await?;
    match differs {
        None => return Ok(MovedIn::Taken),
        Some(false) => return Ok(MovedIn::Before),
        Some(true) if keep => return Ok(MovedIn::Differs),
        Some(true) => {}
    }
    sqlx::query(
        "update users
         set password = $2, name = $3, email = $4, role = $5, is_active = $6, version = version + 1
         where id = $1",
    )
    .bind(user.id)
    .bind(user.password_hash)
    .bind(user.name)
    .bind(user.email)
    .bind(user.role)
    .bind(user.is_active)
    .execute(connection)
    .await?;
    Ok(MovedIn::Before)
}
