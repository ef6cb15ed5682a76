//! The rows of `users` and `avatars`. The only place that reads a password's hash.

use aggregates::ids::UserId;
use aggregates::people::Role;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use super::picture::{self, Picture};
use super::user::{Change, Changes, NewUser, User, role_word};

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

/// The hash of an account's password.
pub(super) async fn password_of(pool: &PgPool, id: UserId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select password from users where id = $1").bind(id.get()).fetch_optional(pool).await
}

/// Replaces a password that is still the one that was checked. The account's tokens die.
pub(super) async fn replace_password(pool: &PgPool, id: UserId, old: &str, new: &str) -> sqlx::Result<Option<User>> {
    let sql = format!(
        "update users
         set password = $3, version = version + 1
         where id = $1 and password = $2
         returning {COLUMNS}"
    );
    let row = sqlx::query(&sql).bind(id.get()).bind(old).bind(new).fetch_optional(pool).await?;
    row.as_ref().map(user).transpose()
}

/// The active super admins, who stay what they are until the transaction ends.
pub(super) async fn hold_super_admins(connection: &mut PgConnection) -> sqlx::Result<Vec<UserId>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id
         from users
         where role = 'SUPER_ADMIN' and is_active
         order by id
         for update",
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(UserId::new).collect())
}

/// Changes an account. Its tokens die if its role, its state or its password changes.
pub(super) async fn change(
    connection: &mut PgConnection,
    id: UserId,
    changes: &Changes,
    password_hash: Option<&str>,
) -> sqlx::Result<Option<User>> {
    let address = changes.picture.new_value().map(|picture| picture::address(id, &picture.tag));
    let sql = format!(
        "update users
         set username = coalesce($2, username),
             name = coalesce($3, name),
             email = case when $4 then $5 else email end,
             role = coalesce($6, role),
             is_active = coalesce($7, is_active),
             password = coalesce($8, password),
             avatar = case when $9 then $10 else avatar end,
             version = version + case
                 when $8 is not null or role <> coalesce($6, role) or is_active <> coalesce($7, is_active) then 1
                 else 0
             end
         where id = $1
         returning {COLUMNS}"
    );
    let row = sqlx::query(&sql)
        .bind(id.get())
        .bind(&changes.username)
        .bind(&changes.name)
        .bind(changes.email != Change::Keep)
        .bind(changes.email.new_value())
        .bind(changes.role.map(role_word))
        .bind(changes.is_active)
        .bind(password_hash)
        .bind(changes.picture != Change::Keep)
        .bind(address)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(user).transpose()
}

/// Keeps the only picture of a person.
pub(super) async fn keep_picture(connection: &mut PgConnection, id: UserId, picture: &Picture) -> sqlx::Result<()> {
    sqlx::query(
        "insert into avatars (user_id, media_type, tag, picture)
         values ($1, $2, $3, $4)
         on conflict (user_id) do update
         set media_type = excluded.media_type, tag = excluded.tag, picture = excluded.picture,
             updated_at = clock_timestamp()",
    )
    .bind(id.get())
    .bind(picture.media_type)
    .bind(&picture.tag)
    .bind(&picture.bytes)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the picture of a person.
pub(super) async fn drop_picture(connection: &mut PgConnection, id: UserId) -> sqlx::Result<()> {
    sqlx::query("delete from avatars where user_id = $1").bind(id.get()).execute(connection).await?;
    Ok(())
}

/// The picture of a person.
pub(super) async fn picture(pool: &PgPool, id: UserId) -> sqlx::Result<Option<Picture>> {
    let row = sqlx::query("select media_type, tag, picture from avatars where user_id = $1")
        .bind(id.get())
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    // The table admits known types only.
    let Some(media_type) = picture::known_type(row.try_get("media_type")?) else { return Ok(None) };
    Ok(Some(Picture { media_type, bytes: row.try_get("picture")?, tag: row.try_get("tag")? }))
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
