//! Staff accounts and the tokens of staff and donors. Ordinary rows, not an aggregate.

use aggregates::ids::DonorId;
use aggregates::people::{DonorSession, Staff};

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
    /// The account was deactivated or changed since.
    #[error("token is no longer valid")]
    Revoked,
}

/// Accounts, their cached directory, and the tokens. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {}

impl Accounts {
    /// Who a token speaks for right now. In memory but for accounts not seen before.
    pub async fn authenticate(&self, _token: &str) -> Result<Principal, TokenError> {
        unimplemented!()
    }
}
