//! Tickets: a token under seal for half a minute, for addresses, where the token itself must not be seen.
//!
//! Nobody remembers a ticket, so every node with the same secret takes it, as often as it is shown. It says nothing that
//! its token does not: what revokes the token revokes the ticket, and a ticket is no token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::TokenError;
use crate::config::Secret;

/// For how many seconds a ticket is good.
pub const TICKET_SECONDS: u64 = 30;

/// What the key is derived for. Another label is another key.
const LABEL: &[u8] = b"proof-concierge tickets";

/// A nonce, then under seal: the second in which the ticket ends, and the token.
pub(super) struct Tickets {
    cipher: XChaCha20Poly1305,
}

impl Tickets {
    pub(super) fn new(secret: &Secret) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
        let derived = mac.expect("HMAC takes keys of any length").chain_update(LABEL).finalize().into_bytes();
        Self { cipher: XChaCha20Poly1305::new(&Key::from(<[u8; 32]>::from(derived))) }
    }

    pub(super) fn issue(&self, token: &str, now: DateTime<Utc>) -> String {
        let ends = now.timestamp().saturating_add_unsigned(TICKET_SECONDS);
        let nonce: [u8; 24] = rand::random();
        let plain = [&ends.to_be_bytes(), token.as_bytes()].concat();
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), plain.as_slice())
            .expect("a token is far below the cipher's limit of 256 GiB");
        URL_SAFE_NO_PAD.encode([&nonce, sealed.as_slice()].concat())
    }

    /// The token that a ticket was issued for.
    pub(super) fn redeem(&self, ticket: &str, now: DateTime<Utc>) -> Result<String, TokenError> {
        let (ends, token) = self.open(ticket).ok_or(TokenError::Invalid)?;
        if now.timestamp() < ends { Ok(token) } else { Err(TokenError::Expired) }
    }

    fn open(&self, ticket: &str) -> Option<(i64, String)> {
        let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), sealed).ok()?;
        let (ends, token) = plain.split_first_chunk()?;
        Some((i64::from_be_bytes(*ends), String::from_utf8(token.to_vec()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DateTime<Utc> = DateTime::from_timestamp(1_750_000_000, 0).expect("a valid second");

    fn tickets(secret: &str) -> Tickets {
        Tickets::new(&Secret::new(secret))
    }

    #[test]
    fn a_ticket_is_good_for_half_a_minute_wherever_the_secret_is_known() {
        let ticket = tickets("secret").issue("token", NOON);
        let after = |seconds| tickets("secret").redeem(&ticket, NOON + chrono::Duration::seconds(seconds));
        assert_eq!((after(0), after(29)), (Ok("token".to_owned()), Ok("token".to_owned())));
        assert_eq!(after(30), Err(TokenError::Expired));
    }

    #[test]
    fn a_ticket_that_was_changed_or_made_elsewhere_is_refused() {
        let ticket = tickets("secret").issue("token", NOON);
        assert_eq!(tickets("another").redeem(&ticket, NOON), Err(TokenError::Invalid));
        let mut changed = URL_SAFE_NO_PAD.decode(&ticket).expect("base64");
        changed[24] ^= 1;
        for made_up in [URL_SAFE_NO_PAD.encode(changed), ticket[1..].to_owned(), "AAAA".to_owned(), String::new()] {
            assert_eq!(tickets("secret").redeem(&made_up, NOON), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn a_ticket_does_not_show_its_token() {
        let ticket = tickets("secret").issue("token", NOON);
        let bytes = URL_SAFE_NO_PAD.decode(&ticket).expect("base64");
        assert!(!String::from_utf8_lossy(&bytes).contains("token"));
    }
}
