//! Who acts: staff, donors, and the desk itself.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{DonorId, UserId};

/// What a staff account may do. Roles are ordered: everything an [`Role::Admin`] may do, a [`Role::SuperAdmin`] may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Works on queries.
    Admin,
    /// Also manages accounts, deletes queries and acts on queries that others hold.
    SuperAdmin,
}

/// A staff member as facts remember them: the identity and the name they had then.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StaffRef {
    /// The account.
    pub id: UserId,
    /// The display name at the time of the fact.
    pub name: String,
}

/// The staff member behind a command: who they are and what they may do right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    /// The account.
    pub id: UserId,
    /// The display name.
    pub name: String,
    /// The role in force when the command was made.
    pub role: Role,
}

impl Staff {
    /// The part of this person that a fact keeps.
    pub fn as_ref(&self) -> StaffRef {
        StaffRef { id: self.id, name: self.name.clone() }
    }

    /// Whether this person may act on what others hold.
    pub fn is_super(&self) -> bool {
        self.role == Role::SuperAdmin
    }
}

/// One lineage of donor tokens: a token opens the queries of its session and no others, so that knowing a donor's id is
/// never enough to read their history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DonorSession(pub Uuid);

/// Who caused a fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A staff member.
    Staff(StaffRef),
    /// A donor.
    Donor {
        /// The donor's identity.
        id: DonorId,
    },
    /// The desk itself: a timer, a provider's webhook, an importer.
    System,
}
