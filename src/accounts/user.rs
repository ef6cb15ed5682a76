//! A staff account as the rest of the service sees it. The password never leaves [`super::store`].

use aggregates::ids::UserId;
use aggregates::people::{Role, Staff, StaffRef};
use chrono::{DateTime, Utc};

use super::picture::Picture;

/// A staff account without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account.
    pub id: UserId,
    /// What the person logs in with.
    pub username: String,
    /// The display name.
    pub name: String,
    /// The mail address.
    pub email: Option<String>,
    /// What the person may do.
    pub role: Role,
    /// Where the picture is: an address, or a data URL that moved in from the old system.
    pub avatar: Option<String>,
    /// Whether the account may be used.
    pub is_active: bool,
    /// Tokens of an earlier version are void.
    pub version: i32,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl User {
    /// The account behind a command, with the role in force now.
    pub fn as_staff(&self) -> Staff {
        Staff { id: self.id, name: self.name.clone(), role: self.role }
    }

    /// The part of the account that a fact keeps.
    pub fn as_staff_ref(&self) -> StaffRef {
        StaffRef { id: self.id, name: self.name.clone() }
    }
}

/// What making an account takes.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What the person logs in with; unique.
    pub username: String,
    /// In clear; hashed before it is stored.
    pub password: String,
    /// The display name.
    pub name: String,
    /// The mail address.
    pub email: Option<String>,
    /// What the person may do.
    pub role: Role,
}

/// What changes about an account; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What the person logs in with; unique.
    pub username: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// The mail address, or that there is none.
    pub email: Change<String>,
    /// What the person may do. Tokens die with a change.
    pub role: Option<Role>,
    /// Whether the account may be used. Tokens die with a change.
    pub is_active: Option<bool>,
    /// In clear; hashed before it is stored. Tokens die.
    pub password: Option<String>,
    /// The picture, or that there is none.
    pub picture: Change<Picture>,
}

/// What happens to a value that there may be none of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none any more.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// The new value, if there is one.
    pub fn new_value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// The wire's word for a role, which is also the stored one.
pub const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Admin => "ADMIN",
        Role::SuperAdmin => "SUPER_ADMIN",
    }
}

/// The role of a word of the wire.
pub fn parse_role(word: &str) -> Option<Role> {
    [Role::Admin, Role::SuperAdmin].into_iter().find(|role| role_word(*role) == word)
}
