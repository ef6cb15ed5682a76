//! Commands on the chat of two staff members, which is found by the claim it holds.

use aggregates::policy::Claim;
use aggregates::recorded::{Partition, Position, RecordedEvent, StreamId};
use aggregates::staff_chat::{ChatMembers, StaffChat, StaffChatCommand};

use super::{ATTEMPTS, CommandContext, Decision, DispatchError, Dispatcher, back_off, in_context, last_position};
use crate::log::{AppendError, Appended};

/// What was said in a chat.
#[derive(Clone, Debug)]
pub struct Said {
    /// The facts.
    pub events: Vec<RecordedEvent>,
    /// Whose chat it is.
    pub members: ChatMembers,
    /// What a read has to reach to see it, in [`Self::partition`].
    pub position: Position,
    /// The chat's partition.
    pub partition: Partition,
    /// Whether it was said before, under the same key, and nothing happened now.
    pub replayed: bool,
}

impl Dispatcher {
    /// Carries out a command on a chat. Chats have no version that a client could have seen.
    ///
    /// Of several who begin the same chat at once, one does; the others find it by its claim and go on with it.
    pub async fn chat(&self, command: StaffChatCommand, context: &CommandContext) -> Result<Said, DispatchError> {
        let members = command.members();
        for attempt in 0..ATTEMPTS {
            let chat = match self.log.holder(&Claim::ChatOf(members)).await? {
                Some(StreamId::StaffChat(chat)) => chat,
                Some(StreamId::DonorQuery(_) | StreamId::CallSession(_)) | None => self.log.next_chat_id().await?,
            };
            let _turn = self.turn(chat.place()).await;
            let mut decision = Decision::on(chat, self.log.load::<StaffChat>(chat).await?);
            decision.decide(command.clone()).await?;
            let append = in_context(vec![decision.to_append(chat.place())], members.subject(), context);
            match self.log.append(append).await {
                Ok(appended) => {
                    decision.keep(&self.log, &appended);
                    return Ok(Said::of(members, appended));
                }
                Err(AppendError::Conflict(_) | AppendError::Claimed { .. }) => back_off(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(DispatchError::Contended)
    }
}

impl Said {
    fn of(members: ChatMembers, Appended { events, replayed }: Appended) -> Self {
        let partition = events.last().map_or(Partition(0), RecordedEvent::partition);
        Self { position: last_position(&events), members, partition, events, replayed }
    }
}
