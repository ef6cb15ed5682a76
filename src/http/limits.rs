//! How much one caller may ask for: leaky buckets by address, user name and donor's session.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::error::ApiError;
use crate::accounts::DonorPrincipal;
use crate::{config, network};

/// Callers are forgotten again every so many checks, so that memory holds only those of the last minute.
const FORGET_EVERY: u64 = 1_000;

/// The limits of one node.
pub struct Limits {
    login_by_address: Bucket,
    login_by_name: Bucket,
    open_by_address: Bucket,
    donor: Bucket,
}

impl Limits {
    /// Sets the limits up; 0 switches one off.
    pub fn new(config: config::Limits) -> Self {
        Self {
            login_by_address: Bucket::new(config.login_per_minute),
            login_by_name: Bucket::new(config.login_per_minute),
            open_by_address: Bucket::new(config.open_per_minute),
            donor: Bucket::new(config.donor_per_minute),
        }
    }

    /// Counts an attempt to log in, against the address and against the account.
    pub fn log_in(&self, address: Option<IpAddr>, username: &str) -> Result<(), ApiError> {
        self.login_by_address.check(&address_key(address))?;
        self.login_by_name.check(username)
    }

    /// Counts a query being opened, or a call that a donor begins: both take from what the desk pays for.
    pub fn open(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        self.open_by_address.check(&address_key(address))
    }

    /// Counts a request of a donor: against the session of their token or, where a donor id is enough, against the address
    /// that named it. Somebody who only knows the id can so not use up what the donor may ask for.
    pub fn donor(&self, donor: &DonorPrincipal, address: Option<IpAddr>) -> Result<(), ApiError> {
        self.donor.check(&match donor.session {
            Some(session) => session.0.to_string(),
            None => format!("{} {}", address_key(address), donor.donor_id),
        })
    }
}

fn address_key(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "unknown".to_owned(), |address| network::household(address).to_string())
}

struct Bucket {
    limiter: Option<DefaultKeyedRateLimiter<String>>,
    checks: AtomicU64,
}

impl Bucket {
    fn new(per_minute: u32) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|limit| RateLimiter::keyed(Quota::per_minute(limit)));
        Self { limiter, checks: AtomicU64::new(0) }
    }

    fn check(&self, key: &str) -> Result<(), ApiError> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            limiter.retain_recent();
        }
        limiter
            .check_key(&key.to_owned())
            .map_err(|wait| ApiError::TooManyRequests(wait.wait_time_from(DefaultClock::default().now())))
    }
}

#[cfg(test)]
mod tests {
    use aggregates::ids::DonorId;
    use aggregates::people::DonorSession;
    use uuid::Uuid;

    use super::Limits;
    use crate::accounts::DonorPrincipal;
    use crate::config;
    use crate::http::error::ApiError;

    #[test]
    fn one_account_cannot_be_tried_from_many_addresses() {
        let limits = Limits::new(config::Limits { login_per_minute: 2, ..config::Limits::default() });
        let from = |last: u8| Some([10, 0, 0, last].into());
        assert!(limits.log_in(from(1), "ada").is_ok());
        assert!(limits.log_in(from(2), "ada").is_ok());
        assert!(matches!(limits.log_in(from(3), "ada"), Err(ApiError::TooManyRequests(_))));
        assert!(limits.log_in(from(3), "ben").is_ok());
    }

    #[test]
    fn whoever_knows_a_donors_id_cannot_silence_the_donor() {
        let limits = Limits::new(config::Limits { donor_per_minute: 1, ..config::Limits::default() });
        let donor = |session| DonorPrincipal { donor_id: DonorId::new("d-1"), session };
        let from = |last: u8| Some([10, 0, 0, last].into());
        let (own, other) = (Some(DonorSession(Uuid::from_u128(1))), Some(DonorSession(Uuid::from_u128(2))));
        for (session, address) in [(other, from(1)), (own, from(1)), (None, from(1)), (None, from(2))] {
            assert!(limits.donor(&donor(session), address).is_ok(), "{session:?} {address:?}");
        }
        assert!(limits.donor(&donor(own), from(3)).is_err());
        assert!(limits.donor(&donor(None), from(1)).is_err());
    }

    #[test]
    fn zero_switches_a_limit_off() {
        let limits = Limits::new(config::Limits { open_per_minute: 0, ..config::Limits::default() });
        assert!((0..1_000).all(|_| limits.open(None).is_ok()));
    }
}
