//! What staff say to a colleague without any query: seen by the two of them and nobody else.

use aggregates::ids::{MessageId, UserId};
use aggregates::people::Staff;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, RecordedEvent};
use aggregates::staff_chat::{StaffChatCommand, StaffChatEvent};
use aggregates::vocabulary::MessageType;
use axum::response::Response;
use projections::messages;

use super::post::NewMessage;
use crate::clock;
use crate::http::errand::{Errand, if_there_now};
use crate::http::error::ApiError;
use crate::http::views::{self, CallsShown};
use crate::http::{answer, auth, donor_queries};

/// Says it, and answers with the message in the shape of the path.
pub(super) async fn say(
    errand: &Errand,
    by: &Staff,
    body: NewMessage,
    shape: impl FnOnce(views::StaffMessageCreated) -> Response,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    let needed = "a message needs the query it is about, or the colleague it is for".into();
    let needed = || ApiError::Unprocessable { code: "recipient_required", message: needed };
    let to = donor_queries::active(api, body.recipient_id.map(UserId::new).ok_or_else(needed)?)?;
    let command = StaffChatCommand::PostChatMessage {
        message: errand.notice().await?,
        by: by.as_ref(),
        to,
        message_type: body.type_or(MessageType::Chat),
        content: Personal::Known(body.content),
        at: clock::now(),
    };
    let said = errand.carry_out_in_chat(&auth::acting(by), command).await?;
    let message = posted(&said.events).ok_or(ApiError::Internal(None))?;
    let shown = if errand.is_shown_in(said.partition, said.position).await {
        if_there_now(messages::find(&api.reads, message, Some(by.id)).await)?
    } else {
        None
    };
    let Some(row) = shown else { return Ok(answer::said_later(message.get(), &said)) };
    let view = views::StaffMessageCreated::new(&row, None, &CallsShown::default(), &api.accounts.list());
    Ok(answer::of_chat(shape(view), &said))
}

/// The message of this command, or of the first time it was sent.
fn posted(events: &[RecordedEvent]) -> Option<MessageId> {
    events.iter().find_map(|recorded| match &recorded.event {
        Event::StaffChat(StaffChatEvent::ChatMessagePosted { message, .. }) => Some(*message),
        Event::DonorQuery(_) | Event::CallSession(_) => None,
    })
}
