//! Compare-and-append: a fact lands behind the one before it, or not at all.
//!
//! A number alone does not say that: when a stranger's message takes the place of one fact, the next finds the number it
//! expects. So each fact of a window also names the id of the fact before it. The first cannot: a server that was started
//! anew forgets the id of a last message older than its duplicate window and would refuse every fact for good (measured
//! with nats-server 2.9.10). It needs no id either, as the message at its expected number is known to be a fact: it was
//! read, or acknowledged.

use aggregates::recorded::{Partition, Position, StoredEvent};
use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use uuid::Uuid;

use super::seal::SEAL;
use super::stream::MAX_MESSAGE;
use super::subscription::header;
use super::{Bus, BusError};

/// Header: the fact's place in the log.
pub(super) const POSITION: &str = "Concierge-Position";

/// Header: the place of the fact before it in the same partition; 0 if there is none.
pub(super) const PREVIOUS: &str = "Concierge-Previous";

/// How many publishes may be on their way at once. Measured on two cores: 3,500 a second with one, 20,000 with 256,
/// 27,000 with 1,000.
pub const MAX_WINDOW: usize = 1_000;

/// Room for subject and headers within the largest message, in bytes.
const ENVELOPE: usize = 4 * 1024;

/// A fact to be published.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The fact.
    pub event: &'a StoredEvent,
    /// The place of the fact before it in the same partition.
    pub previous: Position,
}

/// How far a window got.
#[derive(Debug)]
pub struct Published {
    /// How many of its first facts are in the stream, in order.
    pub acked: usize,
    /// Why the rest is not; `None` if there is no rest.
    pub stopped: Option<Stop>,
}

/// Why a window ended early.
#[derive(Debug)]
pub enum Stop {
    /// The stream did not end where it was expected to: somebody else published, or it lost its end.
    WrongSequence,
    /// The server still knows the fact's id, but from another place: the stream was emptied.
    Displaced,
    /// Publishing failed, or its outcome is unknown.
    Failed(BusError),
}

impl Bus {
    /// Publishes facts one behind the other, the first one right after `last_sequence`, without waiting in between.
    ///
    /// Whoever else publishes meanwhile, each fact lands right behind the fact before it or is refused with all that
    /// follow it. That the message at `last_sequence` is a fact is up to the caller.
    pub async fn publish_window(&self, last_sequence: u64, window: &[Outgoing<'_>]) -> Published {
        let mut acks = Vec::with_capacity(window.len());
        let mut failure = self.require_up().err();
        let mut before = None;
        for (expected, outgoing) in (last_sequence..).zip(window) {
            if failure.is_some() {
                break;
            }
            match self.send(expected, before.replace(outgoing.event.event_id), outgoing).await {
                Ok(ack) => acks.push(ack),
                Err(error) => failure = Some(error),
            }
        }
        let mut acked = 0;
        for (expected, ack) in (last_sequence..).zip(acks) {
            if let Err(stop) = confirm(expected + 1, ack).await {
                return Published { acked, stopped: Some(stop) };
            }
            acked += 1;
        }
        Published { acked, stopped: failure.map(Stop::Failed) }
    }

    async fn send(
        &self,
        expected: u64,
        before: Option<Uuid>,
        outgoing: &Outgoing<'_>,
    ) -> Result<PublishAckFuture, BusError> {
        let event = outgoing.event;
        let failed = BusError::failed("publish a fact");
        let mut body = serde_json::to_vec(event).map_err(|error| failed(error.into()))?;
        if body.len() + ENVELOPE > MAX_MESSAGE.unsigned_abs() as usize {
            body.clear();
        }
        let (position, previous) = (event.position.to_string(), outgoing.previous.to_string());
        let seal = self.seal.of(&[position.as_bytes(), previous.as_bytes(), &body]);
        let mut message = PublishMessage::build()
            .payload(body.into())
            .message_id(event.event_id.to_string())
            .expected_last_sequence(expected)
            .header(POSITION, position)
            .header(PREVIOUS, previous)
            .header(SEAL, seal);
        if let Some(before) = before {
            message = message.expected_last_message_id(before.to_string());
        }
        self.context.send_publish(self.subject(event), message).await.map_err(|error| failed(error.into()))
    }

    /// Whether a message of the stream comes from a relay of this service.
    pub(super) fn is_sealed(&self, headers: Option<&HeaderMap>, body: &[u8]) -> bool {
        let text = |name| header(headers, name).unwrap_or_default().as_bytes();
        self.seal.verifies(&[text(POSITION), text(PREVIOUS), body], header(headers, SEAL))
    }

    /// `<prefix>.events.<partition>.<aggregate>.<id>.<EventType>`.
    fn subject(&self, event: &StoredEvent) -> String {
        let StoredEvent { aggregate_type, aggregate_id, event_type, .. } = event;
        format!("{}.events.{}.{aggregate_type}.{aggregate_id}.{event_type}", self.prefix, event.partition().0)
    }

    /// The partition that a subject of facts names.
    pub(super) fn partition_of(&self, subject: &str) -> Option<Partition> {
        let rest = subject.strip_prefix(&*self.prefix)?.strip_prefix(".events.")?;
        rest.split('.').next()?.parse().ok().map(Partition)
    }
}

/// Awaits one acknowledgment. Servers differ in whether they look at the id or at the expected sequence first, so a
/// duplicate counts only if it sits at the very place where this one belongs.
async fn confirm(sequence: u64, ack: PublishAckFuture) -> Result<(), Stop> {
    match ack.await {
        Ok(ack) if ack.sequence == sequence => Ok(()),
        Ok(_) => Err(Stop::Displaced),
        Err(error) => Err(match error.kind() {
            PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => Stop::WrongSequence,
            _ => Stop::Failed(BusError::failed("publish a fact")(error.into())),
        }),
    }
}
