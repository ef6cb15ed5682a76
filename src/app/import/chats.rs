//! What two staff members of the old desk said to each other about no query.

use std::collections::{BTreeMap, HashMap, HashSet};

use aggregates::ids::{MessageId, UserId};
use aggregates::people::{Actor, StaffRef};
use aggregates::personal::Personal;
use aggregates::policy::Claim;
use aggregates::recorded::{Event, Metadata, RecordedEvent, StreamId};
use aggregates::staff_chat::{ChatMembers, StaffChatEvent};

use super::OLD_DESK;
use super::old::{OldDesk, OldWord};
use crate::log::{Append, Log, StreamAppend};

/// How many messages are read at a time.
const PAGE: i64 = 500;

/// Appends what is not here yet. A chat that goes on here is left alone. Answers how many messages moved.
pub(super) async fn move_chats(desk: &mut OldDesk, log: &Log, names: &HashMap<i64, String>) -> anyhow::Result<u64> {
    let (mut moved, mut after) = (0, i64::MIN);
    loop {
        let page = desk.words(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(moved) };
        after = last.id;
        let mut chats: BTreeMap<(i64, i64), Vec<&OldWord>> = BTreeMap::new();
        for word in &page {
            let pair = (word.sender_id.min(word.recipient_id), word.sender_id.max(word.recipient_id));
            chats.entry(pair).or_default().push(word);
        }
        for words in chats.into_values() {
            moved += move_words(log, &words, names).await?;
        }
    }
}

/// Appends some words of one chat, in the order of the old desk.
async fn move_words(log: &Log, words: &[&OldWord], names: &HashMap<i64, String>) -> anyhow::Result<u64> {
    let Some(first) = words.first() else { return Ok(0) };
    let members = ChatMembers::of(UserId::new(first.sender_id), UserId::new(first.recipient_id));
    let chat = match log.holder(&Claim::ChatOf(members)).await? {
        Some(StreamId::StaffChat(chat)) => chat,
        Some(StreamId::DonorQuery(_) | StreamId::CallSession(_)) | None => log.next_chat_id().await?,
    };
    let stream = StreamId::StaffChat(chat);
    let here = log.stream_facts(stream).await?;
    if !here.iter().all(is_untouched) {
        return Ok(0);
    }
    let known: HashSet<MessageId> = here.iter().filter_map(message).collect();
    let missing = words.iter().filter(|word| !known.contains(&MessageId::new(word.id)));
    let events: Vec<_> = missing.map(|word| Event::StaffChat(said(word, names))).collect();
    let count = events.len() as u64;
    if count > 0 {
        let expected = i64::try_from(here.len()).unwrap_or_default();
        let metadata = Metadata::of(&Actor::System, "import").imported_from(OLD_DESK);
        let streams = vec![StreamAppend { stream, query: chat.place(), expected, events }];
        log.append(Append { streams, subject: members.subject(), metadata, key: None }).await?;
    }
    Ok(count)
}

/// Whether a fact came from the old desk and was not erased here.
fn is_untouched(fact: &RecordedEvent) -> bool {
    let is_erased =
        matches!(&fact.event, Event::StaffChat(StaffChatEvent::ChatMessagePosted { content: Personal::Erased(_), .. }));
    fact.metadata.imported_from.is_some() && !is_erased
}

fn message(fact: &RecordedEvent) -> Option<MessageId> {
    match &fact.event {
        Event::StaffChat(StaffChatEvent::ChatMessagePosted { message, .. }) => Some(*message),
        Event::DonorQuery(_) | Event::CallSession(_) => None,
    }
}

fn said(word: &OldWord, names: &HashMap<i64, String>) -> StaffChatEvent {
    let staff = |id: i64| StaffRef { id: UserId::new(id), name: names.get(&id).cloned().unwrap_or_default() };
    StaffChatEvent::ChatMessagePosted {
        message: MessageId::new(word.id),
        by: staff(word.sender_id),
        to: staff(word.recipient_id),
        content: Personal::Known(word.content.clone()),
        at: word.created_at,
    }
}
