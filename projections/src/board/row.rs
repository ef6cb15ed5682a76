//! The counters, and the sums over them that readers ask for.

use std::collections::BTreeMap;

use aggregates::ids::UserId;
use aggregates::vocabulary::QueryStatus;

use crate::standing::Standing;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Queries in a status.
    Queries(QueryStatus),
    /// Call requests that wait for an answer.
    PendingRequests,
    /// Calls that are going on.
    ActiveCalls,
}

impl Counter {
    /// The name it is stored under.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queries(status) => status.as_str(),
            Self::PendingRequests => "PENDING_REQUESTS",
            Self::ActiveCalls => "ACTIVE_CALLS",
        }
    }

    /// Reads a stored name back.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "PENDING_REQUESTS" => Some(Self::PendingRequests),
            "ACTIVE_CALLS" => Some(Self::ActiveCalls),
            status => QueryStatus::parse(status).map(Self::Queries),
        }
    }
}

/// Every counter at one moment, by who holds what is counted (`None`: nobody).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board(pub(crate) BTreeMap<(Counter, Option<UserId>), i64>);

impl Board {
    /// All queries on the desk.
    pub fn total(&self) -> i64 {
        QueryStatus::ALL.iter().map(|status| self.of_status(*status)).sum()
    }

    /// Queries in a status.
    pub fn of_status(&self, status: QueryStatus) -> i64 {
        self.sum(Counter::Queries(status))
    }

    /// Open queries that nobody holds.
    pub fn unassigned(&self) -> i64 {
        self.open_of(None)
    }

    /// Open queries that a staff member holds, those that were handed to them included.
    pub fn held_by(&self, user: UserId) -> i64 {
        self.open_of(Some(user))
    }

    /// Queries that were handed to a staff member who has not taken them up yet.
    pub fn transferred_to(&self, user: UserId) -> i64 {
        self.get(Counter::Queries(QueryStatus::Transferred), Some(user))
    }

    /// Call requests that wait for an answer.
    pub fn pending_requests(&self) -> i64 {
        self.sum(Counter::PendingRequests)
    }

    /// Calls that are going on.
    pub fn active_calls(&self) -> i64 {
        self.sum(Counter::ActiveCalls)
    }

    /// One counter of one holder.
    pub fn get(&self, counter: Counter, holder: Option<UserId>) -> i64 {
        self.0.get(&(counter, holder)).copied().unwrap_or_default()
    }

    /// Everybody who holds or held something.
    pub fn holders(&self) -> Vec<UserId> {
        let mut holders: Vec<_> = self.0.keys().filter_map(|(_, holder)| *holder).collect();
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    fn open_of(&self, holder: Option<UserId>) -> i64 {
        [QueryStatus::InProgress, QueryStatus::PendingReply, QueryStatus::Transferred]
            .into_iter()
            .map(|status| self.get(Counter::Queries(status), holder))
            .sum()
    }

    fn sum(&self, counter: Counter) -> i64 {
        self.0.iter().filter(|((counted, _), _)| *counted == counter).map(|(_, value)| value).sum()
    }

    /// Counts a query in, or out again with `-1`.
    pub(crate) fn add(&mut self, standing: &Standing, value: i64) {
        if standing.deleted {
            return;
        }
        let counted = [
            Some(Counter::Queries(standing.status)),
            standing.pending_request_id.map(|_| Counter::PendingRequests),
            standing.active_call_id.map(|_| Counter::ActiveCalls),
        ];
        for counter in counted.into_iter().flatten() {
            *self.0.entry((counter, standing.assigned_to_id)).or_default() += value;
        }
    }
}
