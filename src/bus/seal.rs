//! What tells this service's own messages from forged ones: whoever can log in to NATS can publish, but not seal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Header: the seal of a message.
pub(super) const SEAL: &str = "Concierge-Seal";

/// What the key is derived for. Another label is another key.
const LABEL: &[u8] = b"concierge: messages on the bus";

/// Seals messages with HMAC-SHA256 and checks seals. Cheap to clone.
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

impl Seal {
    /// A seal that all nodes with this master key share; the master key itself seals nothing.
    pub fn new(master_key: &[u8; 32]) -> Self {
        let derived = keyed(master_key).chain_update(LABEL).finalize().into_bytes();
        Self(keyed(&derived))
    }

    /// Seals a message that has these parts.
    pub(super) fn of(&self, parts: &[&[u8]]) -> String {
        BASE64.encode(self.over(parts).finalize().into_bytes())
    }

    /// Whether a message that has these parts was sealed with the same key. Takes the same time for every wrong seal.
    pub(super) fn verifies(&self, parts: &[&[u8]], seal: Option<&str>) -> bool {
        let seal = seal.and_then(|seal| BASE64.decode(seal).ok());
        seal.is_some_and(|seal| self.over(parts).verify_slice(&seal).is_ok())
    }

    /// Each part is preceded by its length, so that no two messages share an input.
    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts
            .iter()
            .fold(self.0.clone(), |mac, part| mac.chain_update((part.len() as u64).to_be_bytes()).chain_update(part))
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_one_message_under_one_key() {
        let seal = Seal::new(&[1; 32]);
        let made = seal.of(&[b"12", b"3"]);
        assert!(seal.verifies(&[b"12", b"3"], Some(&made)));
        assert!(!seal.verifies(&[b"1", b"23"], Some(&made)));
        assert!(!seal.verifies(&[b"12", b"3"], Some(&made[1..])));
        assert!(!seal.verifies(&[b"12", b"3"], None));
        assert!(!Seal::new(&[2; 32]).verifies(&[b"12", b"3"], Some(&made)));
    }
}
