//! What the feed says about itself, as opposed to what happened at the desk.

use aggregates::recorded::Position;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use utoipa::ToSchema;
use uuid::Uuid;

/// A line of the feed that is not a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Notice {
    /// The greeting was understood.
    Hello {
        /// Everything up to here can be read.
        #[schema(value_type = i64)]
        head: Position,
        /// `staff` or `donor`.
        #[schema(value_type = String, example = "staff")]
        audience: &'static str,
    },
    /// Something may be missing: read again what matters, and go on from `head`.
    Resync {
        /// Everything up to here can be read.
        #[schema(value_type = i64)]
        head: Position,
    },
    /// Everything missed has been told; what follows happens now.
    Live {
        /// Everything up to here has been told.
        #[schema(value_type = i64)]
        position: Position,
        /// The history that positions belong to: what to send with a position to resume after.
        #[schema(value_type = String, format = "uuid")]
        epoch: Uuid,
    },
    /// Nothing new: everything up to `head` has been told.
    Heartbeat {
        /// Everything up to here has been told.
        #[schema(value_type = i64)]
        head: Position,
    },
    /// Answers `ping`.
    Pong,
    /// A message was not understood; the connection stays open.
    Error {
        /// A stable word for programs.
        #[schema(value_type = String, example = "UNKNOWN_TYPE")]
        code: &'static str,
        /// A sentence for people.
        #[schema(value_type = String)]
        message: &'static str,
    },
    /// The feed ends; resume after a while.
    Close {
        /// Why.
        reason: String,
        /// The cursor to resume after; absent if coming back would not help.
        #[schema(value_type = Option<i64>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        resume_after: Option<Position>,
    },
}

impl Notice {
    /// The word in `type`, also the name of the server-sent event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Resync { .. } => "resync",
            Self::Live { .. } => "live",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Pong => "pong",
            Self::Error { .. } => "error",
            Self::Close { .. } => "close",
        }
    }

    /// The JSON.
    pub fn text(&self) -> Utf8Bytes {
        text_of(self)
    }
}

/// Writes a line of the feed as JSON.
pub(super) fn text_of(line: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(line)
        .expect("lines of the feed are maps with string keys and cannot fail to serialize")
        .into()
}
