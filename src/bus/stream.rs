//! The stream of facts: its configuration, read back, and where it ends.

use std::time::Duration;

use aggregates::recorded::Position;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use uuid::Uuid;

use super::publish::POSITION;
use super::{Bus, BusError};

/// How much the stream keeps at most, in bytes. Readers live at its end and take history from PostgreSQL, so it holds
/// minutes to hours, not years; a server reserves this much disk for each stream.
const MAX_BYTES: i64 = 128 * 1024 * 1024;

/// How long the stream keeps a fact at most.
const MAX_AGE: Duration = Duration::from_hours(30 * 24);

/// How long the server recognizes an event id. Only a convenience: compare-and-append is exact without it.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// The largest message, in bytes. Larger facts travel without their body and are read from the log.
pub(super) const MAX_MESSAGE: i32 = 1024 * 1024;

/// What a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// How many messages.
    pub messages: u64,
    /// The number of the first one.
    pub first_sequence: u64,
    /// The number of the last one ever stored; the next gets the number after it, even if the stream is empty.
    pub last_sequence: u64,
}

/// The end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastMessage {
    /// There is no message. The next gets the number after this one.
    None(u64),
    /// A fact.
    Fact {
        /// Its number in the stream.
        sequence: u64,
        /// Its place in the log.
        position: Position,
        /// Its identity.
        event_id: Uuid,
    },
    /// Something that this service did not publish, or that is numbered but gone.
    Foreign,
}

impl Bus {
    /// Creates the stream if it is not there, and checks its configuration in any case.
    ///
    /// # Errors
    /// [`BusError::Mismatch`] if the stream is configured differently: an operator has to decide what to do.
    pub async fn ensure_stream(&self) -> Result<StreamState, BusError> {
        self.require_up()?;
        let wanted = self.stream_config();
        let found = match self.context.get_stream(self.stream_name()).await {
            Ok(stream) => stream.cached_info().clone(),
            Err(error) if is_missing(&error.kind()) => {
                let created = self.context.create_stream(&wanted).await;
                created.map_err(|error| BusError::failed("create the stream")(error.into()))?.cached_info().clone()
            }
            Err(error) => return Err(BusError::failed("describe the stream")(error.into())),
        };
        compare(&wanted, &found.config)?;
        Ok(StreamState {
            messages: found.state.messages,
            first_sequence: found.state.first_sequence,
            last_sequence: found.state.last_sequence,
        })
    }

    /// Throws the stream away and creates it again, empty: for one that contradicts the log.
    pub async fn recreate_stream(&self) -> Result<(), BusError> {
        self.require_up()?;
        let deleted = self.context.delete_stream(self.stream_name()).await;
        deleted.map_err(|error| BusError::failed("delete the stream")(error.into()))?;
        self.ensure_stream().await.map(|_| ())
    }

    /// Where the stream ends. Creates it if it is not there.
    ///
    /// For the leader alone: nats-server 2.9.10 crashes when one client reads a message of a stream through its API in the
    /// very moment in which another creates that stream. Reading it from the stream itself would avoid that, but of three
    /// replicas the one that answers may lag, and the end would look like a stranger's.
    pub async fn last_message(&self) -> Result<LastMessage, BusError> {
        let state = self.ensure_stream().await?;
        if state.messages == 0 {
            return Ok(LastMessage::None(state.last_sequence));
        }
        let failed = BusError::failed("read the stream's last message");
        let stream = self.context.get_stream_no_info(self.stream_name()).await.map_err(|error| failed(error.into()))?;
        let message = match stream.get_raw_message(state.last_sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == GONE => return Ok(LastMessage::Foreign),
            Err(error) => return Err(failed(error.into())),
        };
        let position = message.headers.get(POSITION).and_then(|value| value.as_str().parse().ok());
        let event_id = message.headers.get(async_nats::header::NATS_MESSAGE_ID).and_then(|id| id.as_str().parse().ok());
        Ok(match (position, event_id) {
            (Some(position), Some(event_id)) if self.is_sealed(Some(&message.headers), &message.payload) => {
                LastMessage::Fact { sequence: message.sequence, position: Position(position), event_id }
            }
            (Some(_) | None, _) => LastMessage::Foreign,
        })
    }

    pub(super) fn stream_name(&self) -> String {
        format!("{}_EVENTS", self.prefix.to_uppercase())
    }

    /// The subjects of all facts.
    pub(super) fn subjects(&self) -> String {
        format!("{}.events.>", self.prefix)
    }

    fn stream_config(&self) -> Config {
        Config {
            name: self.stream_name(),
            description: Some("Facts in the order of the log. Disposable: the log refills it.".to_owned()),
            subjects: vec![self.subjects()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: self.replicas.into(),
            max_age: MAX_AGE,
            max_bytes: MAX_BYTES,
            max_message_size: MAX_MESSAGE,
            duplicate_window: DUPLICATE_WINDOW,
            allow_direct: true,
            deny_delete: true,
            deny_purge: true,
            ..Config::default()
        }
    }
}

/// What the server says about a sequence that holds no message.
const GONE: async_nats::jetstream::stream::RawMessageErrorKind =
    async_nats::jetstream::stream::RawMessageErrorKind::NoMessageFound;

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Finds what a server ignored or somebody changed. Replicas are not compared: an operator may change them while it runs.
fn compare(wanted: &Config, found: &Config) -> Result<(), BusError> {
    let fields = [
        ("subjects", format!("{:?}", wanted.subjects), format!("{:?}", found.subjects)),
        ("retention", format!("{:?}", wanted.retention), format!("{:?}", found.retention)),
        ("discard", format!("{:?}", wanted.discard), format!("{:?}", found.discard)),
        ("storage", format!("{:?}", wanted.storage), format!("{:?}", found.storage)),
        ("max_age", format!("{:?}", wanted.max_age), format!("{:?}", found.max_age)),
        ("max_bytes", wanted.max_bytes.to_string(), found.max_bytes.to_string()),
        ("max_msg_size", wanted.max_message_size.to_string(), found.max_message_size.to_string()),
        ("duplicate_window", format!("{:?}", wanted.duplicate_window), format!("{:?}", found.duplicate_window)),
        ("allow_direct", wanted.allow_direct.to_string(), found.allow_direct.to_string()),
        ("deny_delete", wanted.deny_delete.to_string(), found.deny_delete.to_string()),
        ("deny_purge", wanted.deny_purge.to_string(), found.deny_purge.to_string()),
    ];
    for (field, wanted_value, found_value) in fields {
        super::require_same(&wanted.name, field, wanted_value, found_value)?;
    }
    Ok(())
}
