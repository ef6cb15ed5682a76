//! The only reader of the wall clock.

use chrono::{DateTime, SubsecRound, Utc};

/// The current time, cut to microseconds, which is what PostgreSQL keeps.
#[allow(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
