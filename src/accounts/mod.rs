//! Staff accounts and the tokens of staff and donors. Ordinary rows, not an aggregate.
//!
//! [`Accounts::authenticate`] is what every door asks; it answers from memory. An open socket keeps its token and asks
//! again whenever [`Accounts::changes`] fires (and now and then for the token's own time), so that a deactivated account
//! loses its sockets as fast as its requests.

mod changes;
pub mod devices;
mod directory;
mod moved;
mod password;
mod picture;
mod seed;
mod store;
pub mod terms;
mod ticket;
mod token;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregates::ids::{DonorId, UserId};
use aggregates::people::{DonorSession, Staff};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::directory::Directory;
use self::password::Passwords;
use self::terms::Unfit;
use self::ticket::Tickets;
use self::token::{Claims, Tokens};
use crate::clock;
use crate::config::Secret;

pub use self::moved::{MovedIn, MovedUser, move_in};
pub use self::picture::{Picture, PictureError};
pub use self::seed::seed;
pub use self::ticket::TICKET_SECONDS;
pub use self::user::{Change, Changes, NewUser, User, parse_role, role_word};

/// Who sent a request, as a token proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A staff member with the role in force now.
    Staff(Staff),
    /// A donor.
    Donor(DonorPrincipal),
}

/// A donor who showed a token, or who only named an id in the compatibility mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DonorPrincipal {
    /// The donor's identity.
    pub donor_id: DonorId,
    /// The lineage of tokens; absent in the compatibility mode, where the id alone counts.
    pub session: Option<DonorSession>,
}

impl DonorPrincipal {
    /// Whether this donor may see a query of that donor and session.
    pub fn owns(&self, donor_id: &DonorId, session: DonorSession) -> bool {
        self.donor_id == *donor_id && self.session.is_none_or(|own| own == session)
    }
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours, or changed on its way.
    #[error("invalid token")]
    Invalid,
    /// Its time is up.
    #[error("token has expired")]
    Expired,
    /// The account was deactivated, or its password changed, since.
    #[error("token is no longer valid")]
    Revoked,
    /// The account is not in memory and could not be read.
    #[error("accounts are unavailable")]
    Unavailable,
}

/// Why somebody could not log in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Wrong user name or password, or an account that is switched off: callers cannot tell which.
    #[error("wrong user name or password")]
    Refused,
    /// The accounts could not be read.
    #[error("accounts are unavailable")]
    Unavailable(#[from] sqlx::Error),
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Another account has the user name.
    #[error("username is already taken")]
    UsernameTaken(UserId),
    /// No such account.
    #[error("User not found")]
    NotFound,
    /// Nobody would be left to manage accounts.
    #[error("the last active super admin can be neither deactivated nor demoted")]
    LastSuperAdmin,
    /// The password that was to be replaced is another one.
    #[error("Current password is incorrect")]
    WrongPassword,
    /// The new password is the old one.
    #[error("New password must be different from the current password")]
    SamePassword,
    /// A value breaks the terms.
    #[error("{what} {why}")]
    Unfit {
        /// The name of the value.
        what: &'static str,
        /// What is wrong with it.
        why: Unfit,
    },
    /// The accounts could not be read or written.
    #[error("accounts are unavailable")]
    Unavailable(#[from] sqlx::Error),
}

/// Accounts, their cached directory, and the tokens. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pool: PgPool,
    directory: Arc<Directory>,
    tokens: Arc<Tokens>,
    tickets: Arc<Tickets>,
    passwords: Passwords,
}

impl Accounts {
    /// Reads the accounts into memory. [`Self::follow`] keeps them up to date. Addresses of pictures have no host.
    pub async fn open(pool: PgPool, jwt_secret: &Secret) -> Result<Self, sqlx::Error> {
        Self::open_at(pool, jwt_secret, "").await
    }

    /// As [`Self::open`], with the address of this service, without a path, that those of pictures begin with.
    pub async fn open_at(pool: PgPool, jwt_secret: &Secret, public_url: &str) -> Result<Self, sqlx::Error> {
        let directory = Arc::new(Directory::load(pool.clone(), public_url).await?);
        let (tokens, tickets) = (Arc::new(Tokens::new(jwt_secret)), Arc::new(Tickets::new(jwt_secret)));
        Ok(Self { pool, directory, tokens, tickets, passwords: Passwords::new() })
    }

    /// Follows the changes that other nodes make, until the node stops.
    pub async fn follow(self, stop: CancellationToken) {
        self.directory.follow(stop).await;
    }

    /// Who a token speaks for right now. In memory but for accounts not seen before.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, TokenError> {
        match self.tokens.read(token, clock::now())? {
            Claims::Donor(donor) => Ok(Principal::Donor(donor)),
            Claims::Staff { id, version } => self.staff(id, version).await.map(Principal::Staff),
        }
    }

    async fn staff(&self, id: UserId, version: i32) -> Result<Staff, TokenError> {
        let mut user = self.directory.get(id);
        let is_newer_than_memory = user.as_ref().is_none_or(|user| user.version < version);
        if is_newer_than_memory {
            self.directory.refresh().await.map_err(|error| {
                error!(%error, "Could not read the directory of accounts");
                TokenError::Unavailable
            })?;
            user = self.directory.get(id);
        }
        match user {
            Some(user) if user.is_active && user.version == version => Ok(user.as_staff()),
            _ => Err(TokenError::Revoked),
        }
    }

    /// Checks a password and hands out a token. Unknown names, wrong passwords and accounts that are switched off take the
    /// same time and get the same answer.
    pub async fn log_in(&self, username: &str, password: &str) -> Result<(User, String), LoginError> {
        let (user, hash) = store::by_username(&self.pool, username).await?.unzip();
        let fits = self.passwords.verify(password.to_owned(), hash).await;
        let user = user.filter(|user| fits && user.is_active).ok_or(LoginError::Refused)?;
        info!(user.id = %user.id, "Staff member {} logged in", user.id);
        let token = self.tokens.staff(&user, clock::now());
        Ok((user, token))
    }

    /// A token for the queries of one donor session.
    pub fn donor_token(&self, donor_id: &DonorId, session: DonorSession) -> String {
        self.tokens.donor(donor_id, session, clock::now())
    }

    /// What stands for a token, for [`TICKET_SECONDS`], where the token itself must not be seen.
    pub fn ticket(&self, token: &str) -> String {
        self.tickets.issue(token, clock::now())
    }

    /// The token that a ticket stands for, to be shown to [`Self::authenticate`].
    pub fn redeem(&self, ticket: &str) -> Result<String, TokenError> {
        self.tickets.redeem(ticket, clock::now())
    }

    /// Fires whenever an account was made or changed; carries all of them.
    pub fn changes(&self) -> watch::Receiver<Arc<BTreeMap<UserId, Arc<User>>>> {
        self.directory.changes()
    }

    /// The account of a user name, from memory.
    pub fn named(&self, username: &str) -> Option<Arc<User>> {
        self.directory.all().values().find(|user| user.username == username).cloned()
    }

    /// An account, from memory.
    pub fn find(&self, id: UserId) -> Option<Arc<User>> {
        self.directory.get(id)
    }

    /// Every account by id, from memory.
    pub fn list(&self) -> Arc<BTreeMap<UserId, Arc<User>>> {
        self.directory.all()
    }
}
