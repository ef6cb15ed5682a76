//! Making and changing accounts, with the rules that keep a desk manageable.

use std::sync::Arc;

use aggregates::ids::UserId;
use aggregates::people::Role;
use tracing::info;

use super::picture::{self, Picture};
use super::user::{Change, Changes, NewUser, User};
use super::{AccountError, Accounts, store, terms};
use crate::{clock, database};

/// What PostgreSQL calls a value that another row has.
const UNIQUE_VIOLATION: &str = "23505";

impl Accounts {
    /// Makes an account.
    pub async fn create(&self, new: NewUser) -> Result<Arc<User>, AccountError> {
        fits("username", terms::username, Some(&new.username))?;
        fits("name", terms::name, Some(&new.name))?;
        fits("email", terms::email, new.email.as_ref())?;
        fits("password", terms::password, Some(&new.password))?;
        let hash = self.passwords.hash(new.password.clone()).await;
        let Some(user) = store::insert(&self.pool, &new, &hash).await? else {
            return Err(self.taken(&new.username).await?);
        };
        info!(user.id = %user.id, "Made account {}", user.id);
        self.shown(user).await
    }

    /// Changes an account: all of it or nothing. Tokens die at once if the role, the state or the password changes.
    pub async fn change(&self, id: UserId, changes: Changes) -> Result<Arc<User>, AccountError> {
        fits("username", terms::username, changes.username.as_ref())?;
        fits("name", terms::name, changes.name.as_ref())?;
        fits("email", terms::email, changes.email.new_value())?;
        fits("password", terms::password, changes.password.as_ref())?;
        let hash = match &changes.password {
            Some(password) => Some(self.passwords.hash(password.clone()).await),
            None => None,
        };
        let mut transaction = database::begin(&self.pool).await?;
        let unmakes_super_admin = changes.role == Some(Role::Admin) || changes.is_active == Some(false);
        if unmakes_super_admin && store::hold_super_admins(&mut transaction).await? == [id] {
            return Err(AccountError::LastSuperAdmin);
        }
        let changed = store::change(&mut transaction, id, &changes, hash.as_deref()).await;
        let user = match (changed, &changes.username) {
            (Err(error), Some(username)) if is_taken(&error) => return Err(self.taken(username).await?),
            (changed, _) => changed?.ok_or(AccountError::NotFound)?,
        };
        match &changes.picture {
            Change::Set(picture) => store::keep_picture(&mut transaction, id, picture).await?,
            Change::Clear => store::drop_picture(&mut transaction, id).await?,
            Change::Keep => {}
        }
        transaction.commit().await?;
        info!(user.id = %id, "Changed account {id}");
        self.shown(user).await
    }

    /// Switches an account on or off; its tokens die at once.
    pub async fn set_active(&self, id: UserId, active: bool) -> Result<Arc<User>, AccountError> {
        self.change(id, Changes { is_active: Some(active), ..Changes::default() }).await
    }

    /// Sets a password; the account's tokens die at once.
    pub async fn set_password(&self, id: UserId, password: &str) -> Result<Arc<User>, AccountError> {
        self.change(id, Changes { password: Some(password.to_owned()), ..Changes::default() }).await
    }

    /// Replaces a password by somebody who knows it; the account's tokens die at once, and a fresh one is handed out.
    pub async fn replace_password(
        &self,
        id: UserId,
        current: &str,
        new: &str,
    ) -> Result<(Arc<User>, String), AccountError> {
        fits("newPassword", terms::password, Some(new))?;
        let old = store::password_of(&self.pool, id).await?.ok_or(AccountError::NotFound)?;
        if !self.passwords.verify(current.to_owned(), Some(old.clone())).await {
            return Err(AccountError::WrongPassword);
        }
        if current == new {
            return Err(AccountError::SamePassword);
        }
        let hash = self.passwords.hash(new.to_owned()).await;
        // Somebody else may have changed it meanwhile; then the one that was checked is not the current one any more.
        let user = store::replace_password(&self.pool, id, &old, &hash).await?.ok_or(AccountError::WrongPassword)?;
        info!(user.id = %id, "Staff member {id} changed their password");
        let token = self.tokens.staff(&user, clock::now());
        Ok((self.shown(user).await?, token))
    }

    /// The picture of a person, if there is one that did not move in from the old system.
    pub async fn picture(&self, id: UserId) -> Result<Option<Picture>, sqlx::Error> {
        store::picture(&self.pool, id).await
    }

    /// Which picture a person has, from memory: the `v` of its address.
    pub fn picture_tag(&self, id: UserId) -> Option<String> {
        picture::tag_in(self.directory.get(id)?.avatar.as_deref()?).map(str::to_owned)
    }

    /// An account after a change, as everybody sees it from now on.
    async fn shown(&self, user: User) -> Result<Arc<User>, AccountError> {
        self.directory.refresh().await?;
        Ok(self.directory.get(user.id).unwrap_or_else(|| Arc::new(user)))
    }

    async fn taken(&self, username: &str) -> Result<AccountError, AccountError> {
        let (holder, _) = store::by_username(&self.pool, username).await?.ok_or(AccountError::NotFound)?;
        Ok(AccountError::UsernameTaken(holder.id))
    }
}

fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(UNIQUE_VIOLATION))
}

fn fits(
    what: &'static str,
    check: fn(&str) -> Result<(), terms::Unfit>,
    value: Option<&(impl AsRef<str> + ?Sized)>,
) -> Result<(), AccountError> {
    value.map_or(Ok(()), |value| check(value.as_ref())).map_err(|why| AccountError::Unfit { what, why })
}
