//! A staff account as the rest of the service sees it. The password never leaves [`super::store`].

use aggregates::ids::UserId;
use aggregates::people::{Role, Staff, StaffRef};
use chrono::{DateTime, Utc};

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
    /// A picture as a data URL.
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

/// The wire's word for a role, which is also the stored one.
pub const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Admin => "ADMIN",
        Role::SuperAdmin => "SUPER_ADMIN",
    }
}
