//! The signed tokens of staff and donors: HS256, each kind under a key of its own.

use aggregates::ids::{DonorId, UserId};
use aggregates::people::{DonorSession, Role};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{DonorPrincipal, TokenError, User};
use crate::config::Secret;

const STAFF_HOURS: i64 = 24;
const DONOR_DAYS: i64 = 90;

/// Signs and reads tokens. A donor's token is signed with a key derived from the secret, so no mistake in reading claims
/// can make one pass for the other.
pub(super) struct Tokens {
    staff: Keys,
    donor: Keys,
}

struct Keys {
    sign: EncodingKey,
    check: DecodingKey,
}

/// What a token says, once its signature and time have been checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claims {
    Staff { id: UserId, version: i32 },
    Donor(DonorPrincipal),
}

/// The claims the clients of the old system read (`sub`, `userId`, `username`, `role`), and the account version.
#[derive(Serialize, Deserialize)]
struct StaffClaims {
    sub: i64,
    #[serde(rename = "userId")]
    user_id: i64,
    username: String,
    role: Role,
    ver: i32,
    iat: i64,
    exp: i64,
}

#[derive(Serialize, Deserialize)]
struct DonorClaims {
    sub: DonorId,
    sid: DonorSession,
    kind: DonorKind,
    iat: i64,
    exp: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DonorKind {
    Donor,
}

impl Tokens {
    pub(super) fn new(secret: &Secret) -> Self {
        let secret = secret.expose().as_bytes();
        let derived = jsonwebtoken::crypto::sign(
            b"proof-concierge donor tokens",
            &EncodingKey::from_secret(secret),
            Algorithm::HS256,
        )
        .expect("HMAC takes a key of any length");
        Self { staff: Keys::new(secret), donor: Keys::new(derived.as_bytes()) }
    }

    pub(super) fn staff(&self, user: &User, now: DateTime<Utc>) -> String {
        self.staff.sign(&StaffClaims {
            sub: user.id.get(),
            user_id: user.id.get(),
            username: user.username.clone(),
            role: user.role,
            ver: user.version,
            iat: now.timestamp(),
            exp: (now + Duration::hours(STAFF_HOURS)).timestamp(),
        })
    }

    pub(super) fn donor(&self, donor_id: &DonorId, session: DonorSession, now: DateTime<Utc>) -> String {
        self.donor.sign(&DonorClaims {
            sub: donor_id.clone(),
            sid: session,
            kind: DonorKind::Donor,
            iat: now.timestamp(),
            exp: (now + Duration::days(DONOR_DAYS)).timestamp(),
        })
    }

    pub(super) fn read(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        if let Some(claims) = self.staff.read::<StaffClaims>(token)? {
            alive(claims.exp, now)?;
            return Ok(Claims::Staff { id: UserId::new(claims.sub), version: claims.ver });
        }
        let claims = self.donor.read::<DonorClaims>(token)?.ok_or(TokenError::Invalid)?;
        alive(claims.exp, now)?;
        Ok(Claims::Donor(DonorPrincipal { donor_id: claims.sub, session: Some(claims.sid) }))
    }
}

impl Keys {
    fn new(secret: &[u8]) -> Self {
        Self { sign: EncodingKey::from_secret(secret), check: DecodingKey::from_secret(secret) }
    }

    fn sign(&self, claims: &impl Serialize) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.sign)
            .expect("claims are plain JSON and HMAC cannot fail")
    }

    /// The claims of a token under this key; `None` if another key signed it.
    fn read<T: DeserializeOwned>(&self, token: &str) -> Result<Option<T>, TokenError> {
        let mut rules = Validation::new(Algorithm::HS256);
        // Our own clock decides; see `alive`.
        rules.validate_exp = false;
        match jsonwebtoken::decode::<T>(token, &self.check, &rules) {
            Ok(data) => Ok(Some(data.claims)),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Ok(None),
            Err(_) => Err(TokenError::Invalid),
        }
    }
}

fn alive(expires: i64, now: DateTime<Utc>) -> Result<(), TokenError> {
    if now.timestamp() < expires { Ok(()) } else { Err(TokenError::Expired) }
}

#[cfg(test)]
mod tests {
    use aggregates::ids::{DonorId, UserId};
    use aggregates::people::{DonorSession, Role};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use chrono::{DateTime, Duration, Utc};
    use uuid::Uuid;

    use super::{Claims, Tokens};
    use crate::accounts::{DonorPrincipal, TokenError, User};
    use crate::config::Secret;

    fn tokens() -> Tokens {
        Tokens::new(&Secret::new("a secret that is long enough to sign with"))
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).expect("a valid second")
    }

    fn ada() -> User {
        User {
            id: UserId::new(7),
            username: "ada".to_owned(),
            name: "Ada".to_owned(),
            email: None,
            role: Role::SuperAdmin,
            avatar: None,
            is_active: true,
            version: 3,
            created_at: noon(),
            updated_at: noon(),
        }
    }

    #[test]
    fn a_staff_token_names_the_account_and_its_version() {
        let token = tokens().staff(&ada(), noon());
        assert_eq!(tokens().read(&token, noon()), Ok(Claims::Staff { id: UserId::new(7), version: 3 }));
    }

    #[test]
    fn a_staff_token_carries_the_claims_of_the_contract() {
        let token = tokens().staff(&ada(), noon());
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("three parts")).expect("base64");
        let claims: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!(claims["sub"], 7);
        assert_eq!(claims["userId"], 7);
        assert_eq!(claims["username"], "ada");
        assert_eq!(claims["role"], "SUPER_ADMIN");
        assert_eq!(claims["exp"].as_i64().expect("a number") - claims["iat"].as_i64().expect("a number"), 86_400);
    }

    #[test]
    fn a_donor_token_names_the_donor_and_the_session() {
        let session = DonorSession(Uuid::from_u128(9));
        let token = tokens().donor(&DonorId::new("donor-1"), session, noon());
        let donor = DonorPrincipal { donor_id: DonorId::new("donor-1"), session: Some(session) };
        assert_eq!(tokens().read(&token, noon()), Ok(Claims::Donor(donor)));
    }

    #[test]
    fn a_token_ends_after_its_time() {
        let token = tokens().staff(&ada(), noon());
        assert_eq!(tokens().read(&token, noon() + Duration::hours(24)), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_of_another_desk_is_refused() {
        let other = Tokens::new(&Secret::new("another secret that is long enough, too"));
        assert_eq!(tokens().read(&other.staff(&ada(), noon()), noon()), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_without_a_signature_is_refused() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let token = tokens().staff(&ada(), noon());
        let payload = token.split('.').nth(1).expect("three parts");
        assert_eq!(tokens().read(&format!("{header}.{payload}."), noon()), Err(TokenError::Invalid));
        assert_eq!(tokens().read("not a token", noon()), Err(TokenError::Invalid));
    }
}
