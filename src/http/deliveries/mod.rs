//! What was told outside the desk: notes, mail, and rooms that were closed.

mod list;
mod redeliver;

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::views::Moment;
use crate::reactions::DeliveryRow;

/// The kind of those that tell a staff member what a colleague said to them.
const CHAT_MESSAGE: &str = "chat_message_posted";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list::list)).routes(routes!(redeliver::redeliver))
}

/// One thing that was or is to be told outside the desk. What it says and where it goes are not kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    id: i64,
    /// The fact it follows from.
    position: i64,
    /// The query it is about; null if it is about none, as a `chat_message_posted`.
    query_id: Option<i64>,
    /// `push`, `mail` or `room`.
    channel: &'static str,
    /// What it is about, as `query_opened` or `close_room`.
    kind: String,
    /// An audience, a mailbox, a device or a room, by number; of a `chat_message_posted` without one: who talks to whom is
    /// known to the two of them.
    target: String,
    /// `pending`, `sent`, `skipped` or `dead`.
    state: &'static str,
    /// How often it was tried.
    attempts: i32,
    /// When it is tried next, if it is pending.
    due_at: Moment,
    /// When it is too late.
    expires_at: Option<Moment>,
    /// Why it failed last, or was skipped.
    reason: Option<String>,
    /// The provider's name for it.
    provider_id: Option<String>,
    created_at: Moment,
    /// When it was sent, skipped or given up.
    finished_at: Option<Moment>,
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        let is_chat = row.kind == CHAT_MESSAGE;
        let target = if is_chat { without_number(&row.target) } else { row.target };
        Self {
            id: row.id,
            position: row.position.0,
            query_id: Some(row.query_id.get()).filter(|_| !is_chat),
            channel: row.channel.as_str(),
            kind: row.kind,
            target,
            state: row.state.as_str(),
            attempts: row.attempts,
            due_at: Moment(row.due_at),
            expires_at: row.expires_at.map(Moment),
            reason: row.reason,
            provider_id: row.provider_id,
            created_at: Moment(row.created_at),
            finished_at: row.finished_at.map(Moment),
        }
    }
}

/// The word that a target begins with.
fn without_number(target: &str) -> String {
    target.split(':').next().unwrap_or_default().to_owned()
}
