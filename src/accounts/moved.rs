//! Accounts that come from another desk, with the ids and the passwords they had there.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

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
    /// It was here before, by the same id and user name; nothing was changed.
    Before,
    /// Another account has the id or the user name.
    Taken,
}

/// Makes an account with the id and the password it had elsewhere. The pool has to be the owner's: the service may not
/// choose ids.
///
/// # Errors
/// If the database fails or a column cannot hold a value.
pub async fn move_in(pool: &PgPool, user: &MovedUser<'_>) -> sqlx::Result<MovedIn> {
    let mut transaction = pool.begin().await?;
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
        let is_same: bool = sqlx::query_scalar("select exists (select from users where id = $1 and username = $2)")
            .bind(user.id)
            .bind(user.username)
            .fetch_one(&mut *transaction)
            .await?;
        return Ok(if is_same { MovedIn::Before } else { MovedIn::Taken });
    }
    sqlx::query("select setval(pg_get_serial_sequence('users', 'id'), (select max(id) from users))")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(MovedIn::Now)
}
