//! Hashes and checks passwords: argon2id in PHC form, off the async threads, a bounded number at a time.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// The cost of the old system's hashes. New accounts cost the same, so the time a log-in takes tells nobody whether an
/// account exists, is old, or is new.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// How many passwords are worked on at once; each takes 64 MiB.
const AT_ONCE: usize = 2;

/// The password workshop. Cheap to clone.
#[derive(Clone)]
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A fresh hash with a random salt.
    pub(super) async fn hash(&self, password: String) -> String {
        self.work(move || hash(&password)).await
    }

    /// Whether a password fits a hash. Without a hash it takes as long and the answer is no.
    pub(super) async fn verify(&self, password: String, hash: Option<String>) -> bool {
        self.work(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| decoy().to_owned());
            let fits = PasswordHash::new(&hash)
                .is_ok_and(|parsed| hasher().verify_password(password.as_bytes(), &parsed).is_ok());
            fits && known
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let work = tokio::task::spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        });
        work.await.expect("hashing neither panics nor is cancelled")
    }
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the constants are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> String {
    hasher().hash_password(password.as_bytes()).expect("argon2 takes any password of a sane length").to_string()
}

/// The hash that unknown accounts are checked against.
fn decoy() -> &'static str {
    static DECOY: OnceLock<String> = OnceLock::new();
    DECOY.get_or_init(|| hash("nobody has this password"))
}

#[cfg(test)]
mod tests {
    use super::Passwords;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".to_owned()).await;
        assert!(hash.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"));
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await);
        assert!(!passwords.verify("wrong horse".to_owned(), Some(hash)).await);
    }

    #[tokio::test]
    async fn nobody_logs_in_without_an_account() {
        assert!(!Passwords::new().verify("nobody has this password".to_owned(), None).await);
    }

    #[tokio::test]
    async fn a_hash_with_other_parameters_verifies() {
        // From the test vectors of the reference implementation: m=256, t=2, p=1.
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(Passwords::new().verify("password".to_owned(), Some(hash.to_owned())).await);
    }
}
