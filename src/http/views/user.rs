//! Staff accounts on the wire.

use aggregates::ids::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Moment, People};
use crate::accounts::{User, role_word};

/// A staff account, for staff.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Account {
    id: i64,
    username: String,
    name: String,
    email: Option<String>,
    /// `SUPER_ADMIN` or `ADMIN`.
    role: &'static str,
    /// Where the picture is, for `<img src>`: an address, or a data URL.
    avatar: Option<String>,
    is_active: bool,
    created_at: Moment,
    updated_at: Moment,
    /// Always null: push tokens are nobody's business.
    #[schema(value_type = Option<String>)]
    fcm_token: (),
}

/// A staff member inside another answer, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PublicUser {
    id: i64,
    username: String,
    name: String,
    email: Option<String>,
    /// `SUPER_ADMIN` or `ADMIN`.
    role: &'static str,
    /// Where the picture is, for `<img src>`: an address, or a data URL.
    avatar: Option<String>,
}

/// A staff member as donors see them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffMember {
    id: i64,
    name: String,
    /// Where the picture is, for `<img src>`: an address, or a data URL.
    avatar: Option<String>,
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.get(),
            username: user.username.clone(),
            name: user.name.clone(),
            email: user.email.clone(),
            role: role_word(user.role),
            avatar: user.avatar.clone(),
            is_active: user.is_active,
            created_at: Moment(user.created_at),
            updated_at: Moment(user.updated_at),
            fcm_token: (),
        }
    }
}

impl PublicUser {
    /// Looks a staff member up; `None` if there is none, or the account is gone.
    pub(in crate::http) fn of(id: Option<UserId>, people: &People) -> Option<Self> {
        let user = people.get(&id?)?;
        Some(Self {
            id: user.id.get(),
            username: user.username.clone(),
            name: user.name.clone(),
            email: user.email.clone(),
            role: role_word(user.role),
            avatar: user.avatar.clone(),
        })
    }
}

impl StaffMember {
    /// Looks a staff member up; `None` if there is none, or the account is gone.
    pub(in crate::http) fn of(id: Option<UserId>, people: &People) -> Option<Self> {
        let user = people.get(&id?)?;
        Some(Self { id: user.id.get(), name: user.name.clone(), avatar: user.avatar.clone() })
    }
}
