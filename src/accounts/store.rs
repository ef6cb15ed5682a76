//! The rows of `users`. The only place that reads a password's hash.

use aggregates::ids::UserId;
use aggregates::people::Role;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::user::{NewUser, User, role_word};

const COLUMNS: &str = "id, username, name, email, role, avatar, is_active, version, created_at, updated_at";

/// What tells one state of the table from another: its rows, and how often they changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    rows: i64,
    newest: i64,
    revisions: i64,
}

pub(super) async fn fingerprint(pool: &PgPool) -> sqlx::Result<Fingerprint> {
    let row = sqlx::query(
        "select count(*) as rows, coalesce(max(id), 0) as newest, coalesce(sum(revision), 0)::bigint as revisions
         from users",
    )
    .fetch_one(pool)
    .await?;
    Ok(Fingerprint { rows: row.try_get("rows")?, newest: row.try_get("newest")?, revisions: row.try_get("revisions")? })
}

pub(super) async fn all(pool: &PgPool) -> sqlx::Result<Vec<User>> {
    let sql = format!("select {COLUMNS} from users order by id");
    sqlx::query(&sql).fetch_all(pool).await?.iter().map(user).collect()
}

/// The account of a user name, with its password's hash.
pub(super) async fn by_username(pool: &PgPool, username: &str) -> sqlx::Result<Option<(User, String)>> {
    let sql = format!("select {COLUMNS}, password from users where username = $1");
    let row = sqlx::query(&sql).bind(username).fetch_optional(pool).await?;
    row.map(|row| Ok((user(&row)?, row.try_get("password")?))).transpose()
}

/// Makes an account; `None` if the user name is taken.
pub(super) async fn insert(pool: &PgPool, new: &NewUser, password_hash: &str) -> sqlx::Result<Option<User>> {
    let sql = format!(
        "insert into users (username, password, name, email, role)
         values ($1, $2, $3, $4, $5)
         on conflict (username) do nothing
         returning {COLUMNS}"
    );
    let row = sqlx::query(&sql)
        .bind(&new.username)
        .bind(password_hash)
        .bind(&new.name)
        .bind(&new.email)
        .bind(role_word(new.role))
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(user).transpose()
}

/// Switches an account on or off. Its tokens die with either change.
pub(super) async fn set_active(pool: &PgPool, id: UserId, active: bool) -> sqlx::Result<Option<User>> {
    let sql = format!(
        "update users
         set is_active = $2, version = version + 1
         where id = $1
         returning {COLUMNS}"
    );
    let row = sqlx::query(&sql).bind(id.get()).bind(active).fetch_optional(pool).await?;
    row.as_ref().map(user).transpose()
}

/// Changes a role. Tokens live on: the role in force is looked up, never read from them.
pub(super) async fn set_role(pool: &PgPool, id: UserId, role: Role) -> sqlx::Result<Option<User>> {
    let sql = format!(
        "update users
         set role = $2
         where id = $1
         returning {COLUMNS}"
    );
    let row = sqlx::query(&sql).bind(id.get()).bind(role_word(role)).fetch_optional(pool).await?;
    row.as_ref().map(user).transpose()
}

/// Changes a password. The account's tokens die.
pub(super) async fn set_password(pool: &PgPool, id: UserId, password_hash: &str) -> sqlx::Result<Option<User>> {
    let sql = format!(
        "update users
         set password = $2, version = version + 1
         where id = $1
         returning {COLUMNS}"
    );
    let row = sqlx::query(&sql).bind(id.get()).bind(password_hash).fetch_optional(pool).await?;
    row.as_ref().map(user).transpose()
}

fn user(row: &PgRow) -> sqlx::Result<User> {
    let role: String = row.try_get("role")?;
    Ok(User {
        id: UserId::new(row.try_get("id")?),
        username: row.try_get("username")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        // The table admits two words only.
        role: if role == role_word(Role::SuperAdmin) { Role::SuperAdmin } else { Role::Admin },
        avatar: row.try_get("avatar")?,
        is_active: row.try_get("is_active")?,
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
