//! Names that outsiders see: always the same for the same thing, and not to be guessed or traced back.

use std::fmt::Write;

use aggregates::ids::{CallId, DonorId, RoomName, UserId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Secret;

/// What the key is derived for. Another label is another key.
const LABEL: &[u8] = b"proof-concierge names of rooms and participants";

/// Makes names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Names(Hmac<Sha256>);

impl Names {
    /// Names under a key of their own, derived from the secret.
    pub(super) fn new(secret: &Secret) -> Self {
        Self(keyed(&derive(secret, LABEL)))
    }

    /// The room of a call. Making it twice makes one room; nobody finds it by counting.
    pub(super) fn room(&self, call: CallId) -> RoomName {
        RoomName::new(format!("call-{call}-{}", self.digest(&format!("room {call}"), 16)))
    }

    /// Whether a room has a name of ours.
    pub(super) fn is_room(&self, room: &RoomName) -> bool {
        let numbered = room.as_str().strip_prefix("call-").and_then(|rest| rest.split_once('-'));
        let call = numbered.and_then(|(id, _)| id.parse().ok()).map(CallId::new);
        call.is_some_and(|call| self.room(call) == *room)
    }

    /// A donor as the provider knows them, in at most 36 characters: who they are elsewhere is none of its business.
    pub(super) fn donor(&self, donor: &DonorId) -> String {
        format!("donor-{}", self.digest(&format!("donor {donor}"), 24))
    }

    fn digest(&self, text: &str, digits: usize) -> String {
        let mac = self.0.clone().chain_update(text).finalize().into_bytes();
        let mut hex = mac.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        hex.truncate(digits);
        hex
    }
}

/// A staff member as the provider knows them.
pub(super) fn staff(id: UserId) -> String {
    format!("staff-{id}")
}

/// A key for one purpose.
pub(super) fn derive(secret: &Secret, label: &[u8]) -> [u8; 32] {
    keyed(secret.expose().as_bytes()).chain_update(label).finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use aggregates::ids::{CallId, DonorId};

    use super::Names;
    use crate::config::Secret;

    fn names() -> Names {
        Names::new(&Secret::new("a secret that is long enough to sign with"))
    }

    #[test]
    fn a_call_has_one_room_that_cannot_be_guessed() {
        let room = names().room(CallId::new(17));
        assert_eq!(room, names().room(CallId::new(17)));
        assert!(room.as_str().starts_with("call-17-"));
        assert_eq!(room.as_str().len(), "call-17-".len() + 16);
        let elsewhere = Names::new(&Secret::new("another secret that is long enough, too"));
        assert_ne!(room, elsewhere.room(CallId::new(17)));
        assert!(names().is_room(&room) && !elsewhere.is_room(&room));
    }

    #[test]
    fn a_donor_is_known_by_a_name_that_fits() {
        let donor = names().donor(&DonorId::new("somebody@example.org".repeat(10)));
        assert!(donor.len() <= 36 && !donor.contains("example"), "{donor}");
    }
}
