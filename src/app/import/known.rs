//! What of a query's life is here already, by what it is about.

use std::collections::{HashMap, HashSet};

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{CallId, CallRequestId, MessageId, UserId};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, RecordedEvent, StreamId};
use aggregates::vocabulary::MessageType;

use super::facts::Fact;

/// The facts that are here, as far as it takes to know one of them again.
#[derive(Default)]
pub(super) struct Known {
    /// The query's details as they stand; none if it was not opened here.
    pub(super) details: Option<Details>,
    /// The messages as they stand.
    pub(super) messages: HashMap<MessageId, Said>,
    requests: HashSet<CallRequestId>,
    answered: HashSet<CallRequestId>,
    attached: HashSet<CallId>,
    detached: HashSet<CallId>,
    holders: HashSet<UserId>,
    targets: HashSet<UserId>,
    sessions: HashSet<(StreamId, &'static str)>,
}

/// A query's details.
pub(super) struct Details {
    pub(super) donor: String,
    pub(super) test: String,
    pub(super) stage: String,
    pub(super) device: String,
}

/// A message.
pub(super) struct Said {
    pub(super) content: String,
    pub(super) message_type: MessageType,
    pub(super) call: Option<CallId>,
}

impl Known {
    pub(super) fn of(here: &[RecordedEvent]) -> Self {
        let mut known = Self::default();
        for fact in here {
            match &fact.event {
                Event::DonorQuery(event) => known.learn(event),
                Event::CallSession(event) => {
                    known.sessions.insert((fact.stream, event.name()));
                }
                // No part of a query's life.
                Event::StaffChat(_) => {}
            }
        }
        known
    }

    /// Whether a fact, or another one that says the same, is here.
    pub(super) fn has(&self, fact: &Fact) -> bool {
        use DonorQueryEvent as Query;
        match &fact.event {
            Event::CallSession(event) => self.sessions.contains(&(fact.stream, event.name())),
            Event::StaffChat(_) => false,
            Event::DonorQuery(event) => match event {
                Query::QueryOpened { .. } => self.details.is_some(),
                Query::QueryAccepted { by, .. } => self.holders.contains(&by.id),
                Query::QueryTransferred { to, .. } => self.targets.contains(&to.id),
                Query::MessagePosted { message, .. } => self.messages.contains_key(message),
                Query::CallRequested { request, .. } => self.requests.contains(request),
                Query::CallRequestAccepted { request, .. }
                | Query::CallRequestRejected { request, .. }
                | Query::CallRequestCancelled { request, .. } => self.answered.contains(request),
                Query::CallAttached { call, .. } => self.attached.contains(call),
                Query::CallDetached { call, .. } => self.detached.contains(call),
                // Told only where something has changed.
                Query::MessageRevised { .. }
                | Query::QueryEdited { .. }
                | Query::QueryMarkedPendingReply { .. }
                | Query::QueryMarkedInProgress { .. }
                | Query::QueryReminded { .. }
                | Query::QueryResolved { .. }
                | Query::QueryClosedByDonor { .. }
                | Query::QueryReopened { .. }
                | Query::QueryDeleted { .. } => false,
            },
        }
    }

    fn learn(&mut self, event: &DonorQueryEvent) {
        use DonorQueryEvent as Query;
        match event {
            Query::QueryOpened { donor, test, stage, device, .. } => {
                let donor = donor.as_str().to_owned();
                let (test, stage, device) = (test.clone(), stage.clone(), device.clone());
                self.details = Some(Details { donor, test, stage, device });
            }
            Query::QueryEdited { donor, test, stage, device, .. } => {
                let Some(details) = &mut self.details else { return };
                let replace = |old: &str, new: Option<&str>| new.unwrap_or(old).to_owned();
                details.donor = replace(&details.donor, donor.as_ref().map(Personal::as_str));
                details.test = replace(&details.test, test.as_deref());
                details.stage = replace(&details.stage, stage.as_deref());
                details.device = replace(&details.device, device.as_deref());
            }
            Query::MessagePosted { message, message_type, content, call, .. }
            | Query::MessageRevised { message, message_type, content, call, .. } => {
                let content = content.as_str().to_owned();
                self.messages.insert(*message, Said { content, message_type: *message_type, call: *call });
            }
            Query::CallRequested { request, .. } => _ = self.requests.insert(*request),
            Query::CallRequestAccepted { request, .. }
            | Query::CallRequestRejected { request, .. }
            | Query::CallRequestCancelled { request, .. } => _ = self.answered.insert(*request),
            Query::CallAttached { call, .. } => _ = self.attached.insert(*call),
            Query::CallDetached { call, .. } => _ = self.detached.insert(*call),
            Query::QueryAccepted { by, .. } => _ = self.holders.insert(by.id),
            Query::QueryTransferred { to, .. } => _ = self.targets.insert(to.id),
            Query::QueryMarkedPendingReply { .. }
            | Query::QueryMarkedInProgress { .. }
            | Query::QueryReminded { .. }
            | Query::QueryResolved { .. }
            | Query::QueryClosedByDonor { .. }
            | Query::QueryReopened { .. }
            | Query::QueryDeleted { .. } => {}
        }
    }
}
