//! What the wire shows of rows, accounts and messages: an explicit type for every audience.
//!
//! Every key of the contract is always there. What the service does not keep any more (push tokens) is always null; a
//! token for a call is made for its one reader and is null for everybody else.

mod call;
mod message;
mod query;
mod request;
mod user;

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregates::ids::UserId;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::accounts::User;

pub(super) use self::call::{
    CallsOfQuery, CallsShown, DonorCall, DonorCallSession, Pass, StaffCall, StaffCallSession,
    StaffCallSessionWithMessages,
};
pub(super) use self::message::{DonorMessage, MessageList, StaffMessage, StaffMessageCreated, StaffMessageOfDonor};
pub(super) use self::query::{Acceptance, DonorQuery, OpenedQuery, StaffQuery, StaffQueryWithMessages};
pub(super) use self::request::{Ask, DonorCallRequest, StaffCallRequest};
pub(super) use self::user::{Account, PublicUser, StaffMember};

/// Staff accounts by id.
pub(super) type People = BTreeMap<UserId, Arc<User>>;

/// A time on the wire: UTC with milliseconds and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2025-04-04T12:00:00.000Z")]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::Moment;

    #[test]
    fn a_time_has_three_digits_and_a_z() {
        let moment = Moment(DateTime::from_timestamp_micros(1_743_768_000_000_789).expect("a time in range"));
        assert_eq!(serde_json::to_value(moment).expect("plain data"), "2025-04-04T12:00:00.000Z");
    }
}
