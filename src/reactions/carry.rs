//! Carries one delivery to the one device, mailbox or room it is for: looks whether there is still a reason for it, writes
//! it and sends it.
//!
//! What it says is looked up at the time of sending, from read models that have the fact it is about: a donor who was
//! erased is in no letter, and a call that is over rings nowhere. For whom it is was found out before, in `audience`.

use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::{CallId, MessageId, QueryId, UserId};
use aggregates::personal::Personal;
use aggregates::policy::{Alert, Letter};
use aggregates::recorded::{Partition, Position};
use aggregates::vocabulary::QueryStatus;
use chrono::{DateTime, Utc};
use projections::queries::QueryRow;
use projections::{ReadPool, calls, queries};
use tracing::warn;

use super::compose;
use super::plan::{Matter, Payload, RoomMatter};
use super::store::{Delivery, Verdict};
use super::target::Target;
use crate::accounts::devices::{Device, DeviceKind, Devices};
use crate::accounts::{Accounts, User};
use crate::clock;
use crate::integrations::Outcome;
use crate::integrations::calls::{CallRooms, ProviderError};
use crate::integrations::mail::{Mailer, letters};
use crate::integrations::push::notes::{Reader, note, note_from_colleague};
use crate::integrations::push::{self, Note, Push, TargetKind};
use crate::log::Log;
use crate::projector::Freshness;

/// How long a delivery waits for the read models before it makes room for another.
pub(super) const FRESH_WITHIN: Duration = Duration::from_secs(2);

/// After how long it asks again; longer if a read model is stopped and waits for an operator.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);
pub(super) const ASK_AGAIN_STOPPED: Duration = Duration::from_secs(30);

/// What carrying takes. Cheap to clone.
#[derive(Clone)]
pub struct Carrier {
    /// Facts, for words that no read model keeps.
    pub log: Log,
    /// The read models.
    pub reads: ReadPool,
    /// How far they are.
    pub freshness: Freshness,
    /// Staff.
    pub accounts: Accounts,
    /// Their devices, and donors'.
    pub devices: Devices,
    /// Puts notes on devices.
    pub push: Push,
    /// Sends letters.
    pub mailer: Mailer,
    /// Where the dashboard is; letters link to it.
    pub frontend_url: String,
    /// Closes rooms.
    pub rooms: CallRooms,
}

impl Carrier {
    /// Tries to carry a delivery, once. Can be dropped at any point; then it may have been sent.
    pub(super) async fn carry(&self, delivery: &Delivery) -> Verdict {
        if delivery.expires_at.is_some_and(|end| end <= clock::now()) {
            return skipped("too late");
        }
        let Some(target) = Target::parse(&delivery.target) else { return unknown() };
        let Ok(payload) = serde_json::from_value::<Payload>(delivery.payload.clone()) else { return unknown() };
        let partition = Partition::of(delivery.query);
        if !self.freshness.reached(partition, delivery.position, FRESH_WITHIN).await {
            return self.not_yet(delivery.query);
        }
        self.try_to(delivery, target, &payload).await.unwrap_or_else(|error| {
            warn!(
                error = &error as &dyn std::error::Error,
                "Cannot look up what the delivery {} is about", delivery.id
            );
            Verdict::Again { after: Duration::ZERO, why: "the database failed".to_owned() }
        })
    }

    async fn try_to(&self, delivery: &Delivery, target: Target, payload: &Payload) -> Result<Verdict, sqlx::Error> {
        if let (Matter::Room(RoomMatter::CloseRoom), Target::Room(call)) = (&payload.matter, target) {
            return self.close_room(delivery, call).await;
        }
        if let Matter::Push(Alert::ChatMessagePosted { message }) = payload.matter {
            return self.tell_colleague(delivery, target, message, payload.at).await;
        }
        let query = queries::of_ids_or_deleted(&self.reads, &[delivery.query]).await?.pop();
        if let Some(verdict) = self.prevented(delivery.query, delivery.position, &payload.matter, query.as_ref()) {
            return Ok(verdict);
        }
        let Some(query) = query else { return Ok(unknown()) };
        match (&payload.matter, target) {
            (Matter::Push(alert), Target::StaffDevice(person, id)) => {
                let device = self.device_of_staff(person, id).await?;
                let facts = compose::facts(self, &payload.matter, payload.at, &query, delivery.position).await?;
                self.push(device, || note(Reader::Staff, alert, &facts)).await
            }
            (Matter::Push(alert), Target::DonorDevice(id)) => {
                let devices = self.devices.of_donors(&[(&query.donor_id, query.donor_session)]).await?;
                let device = devices.into_iter().map(|(_, device)| device).find(|device| device.id == id);
                let facts = compose::facts(self, &payload.matter, payload.at, &query, delivery.position).await?;
                self.push(device, || note(Reader::Donor, alert, &facts)).await
            }
            (Matter::Mail(letter), Target::Mailbox(person)) => {
                let reader = self.addressee(person);
                let Some(to) = reader.as_ref().and_then(|reader| reader.email.as_deref()) else {
                    return Ok(skipped("nobody reads that mailbox"));
                };
                let facts = compose::facts(self, &payload.matter, payload.at, &query, delivery.position).await?;
                let mail = letters::letter(letter, to, &facts, &self.frontend_url);
                Ok(verdict(self.mailer.send(&mail, &format!("delivery-{}", delivery.id)).await))
            }
            // An audience is not told but spread.
            (Matter::Push(_), Target::Audience(_) | Target::Mailbox(_) | Target::Room(_))
            | (
                Matter::Mail(_),
                Target::Audience(_) | Target::StaffDevice(..) | Target::DonorDevice(_) | Target::Room(_),
            )
            | (Matter::Room(_), _) => Ok(unknown()),
        }
    }

    /// Tells a staff member what a colleague said to them.
    async fn tell_colleague(
        &self,
        delivery: &Delivery,
        target: Target,
        message: MessageId,
        at: DateTime<Utc>,
    ) -> Result<Verdict, sqlx::Error> {
        match target {
            Target::StaffDevice(reader, id) => {
                let Some(said) = compose::message_facts(self, message, Some(reader)).await? else {
                    return Ok(self.not_yet(delivery.query));
                };
                if said.content == Personal::Erased(true).as_str() {
                    return Ok(skipped("the message was erased"));
                }
                let device = self.device_of_staff(reader, id).await?;
                self.push(device, || note_from_colleague(message, &said, at)).await
            }
            Target::Audience(_) | Target::Mailbox(_) | Target::DonorDevice(_) | Target::Room(_) => Ok(unknown()),
        }
    }

    /// Puts a note on a device, if it still belongs to whom the note is for. One that is gone for good is forgotten.
    async fn push(&self, device: Option<Device>, write: impl FnOnce() -> Note) -> Result<Verdict, sqlx::Error> {
        let Some(device) = device else { return Ok(skipped("the device was forgotten")) };
        let kind = match device.kind {
            DeviceKind::Token => TargetKind::Token,
            DeviceKind::Fid => TargetKind::Fid,
        };
        let to = push::Target { kind, value: device.value };
        let outcome = self.push.send(&to, &write()).await;
        if outcome == Outcome::Gone {
            self.devices.forget(device.id).await?;
        }
        Ok(verdict(outcome))
    }

    async fn close_room(&self, delivery: &Delivery, call: CallId) -> Result<Verdict, sqlx::Error> {
        let Some(call) = calls::find(&self.reads, call).await? else { return Ok(self.not_yet(delivery.query)) };
        let again = |why: String| Verdict::Again { after: Duration::ZERO, why };
        Ok(match self.rooms.close_room(&call.provider, &call.room_name).await {
            Ok(()) | Err(ProviderError::RoomClosed) => Verdict::Sent(None),
            // Somebody may mend the settings meanwhile.
            Err(error @ (ProviderError::Unavailable(_) | ProviderError::Misconfigured(_))) => again(error.to_string()),
            Err(error @ ProviderError::Refused(_)) => Verdict::Dead(error.to_string()),
        })
    }

    async fn device_of_staff(&self, person: UserId, id: i64) -> Result<Option<Device>, sqlx::Error> {
        let devices = self.devices.of_staff(&[person]).await?;
        Ok(devices.into_iter().map(|(_, device)| device).find(|device| device.id == id))
    }

    /// A staff member whose account is in use.
    pub(super) fn addressee(&self, id: UserId) -> Option<Arc<User>> {
        self.accounts.find(id).filter(|user| user.is_active)
    }

    /// What becomes of a delivery about a fact at a position, if nobody is to be told of it, or not yet.
    ///
    /// The read models are written without waiting for the disk: a database that crashes takes back what it had shown a
    /// moment before. So nothing is concluded from a row that lacks the fact, nor from there being none.
    pub(super) fn prevented(
        &self,
        id: QueryId,
        position: Position,
        matter: &Matter,
        query: Option<&QueryRow>,
    ) -> Option<Verdict> {
        if matches!(matter, Matter::Push(Alert::ChatMessagePosted { .. })) {
            // It is about no query.
            return None;
        }
        let Some(query) = query.filter(|query| query.position >= position) else { return Some(self.not_yet(id)) };
        outdated(matter, query).map(skipped)
    }

    /// The read models do not show what a delivery is about. It asks again after a pause, a longer one if they are stopped.
    fn not_yet(&self, query: QueryId) -> Verdict {
        let is_stopped = self.freshness.is_stopped(Partition::of(query));
        Verdict::NotYet { after: if is_stopped { ASK_AGAIN_STOPPED } else { ASK_AGAIN } }
    }
}

/// Why there is no reason any more, if that is so.
fn outdated(matter: &Matter, query: &QueryRow) -> Option<&'static str> {
    let standing = &query.standing;
    if standing.deleted {
        return Some("the query was deleted");
    }
    if query.donor == Personal::Erased(true).as_str() {
        return Some("the donor was erased");
    }
    let (over, answered) = (Some("the call is over"), Some("the request was answered"));
    match matter {
        Matter::Push(Alert::CallAttached { call, .. }) => over.filter(|_| standing.active_call_id != Some(*call)),
        Matter::Mail(Letter::CallAttached { .. }) => over.filter(|_| standing.active_call_id.is_none()),
        Matter::Push(Alert::CallRequested { request, .. }) => {
            answered.filter(|_| standing.pending_request_id != Some(*request))
        }
        Matter::Mail(Letter::CallRequested { .. }) => answered.filter(|_| standing.pending_request_id.is_none()),
        Matter::Push(Alert::QueryTransferred { .. } | Alert::QueryReminded { .. })
        | Matter::Mail(Letter::QueryTransferred { .. } | Letter::QueryReminded { .. }) => {
            Some("the transfer was taken up").filter(|_| standing.status != QueryStatus::Transferred)
        }
        Matter::Push(
            Alert::QueryOpened
            | Alert::QueryAccepted { .. }
            | Alert::QueryResolved { .. }
            | Alert::QueryClosedByDonor
            | Alert::QueryReopened { .. }
            | Alert::MessagePosted { .. }
            | Alert::ChatMessagePosted { .. }
            | Alert::CallRequestRejected { .. }
            | Alert::CallRequestCancelled { .. }
            | Alert::CallDetached { .. },
        )
        | Matter::Mail(Letter::QueryOpened)
        | Matter::Room(_) => None,
    }
}

fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Sent { id } => Verdict::Sent(id),
        Outcome::Gone => skipped("the device is gone"),
        Outcome::Later { after, why } => Verdict::Again { after: after.unwrap_or_default(), why },
        Outcome::Failed { why } => Verdict::Dead(why),
    }
}

pub(super) fn skipped(why: &str) -> Verdict {
    Verdict::Skipped(why.to_owned())
}

/// A newer version wrote it. It is left for a node of that version.
pub(super) fn unknown() -> Verdict {
    Verdict::Again { after: Duration::ZERO, why: "this version does not know it".to_owned() }
}
