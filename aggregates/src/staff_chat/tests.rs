//! A test for every rule of a chat.

use crate::people::Staff;
use crate::staff_chat::StaffChatError::{NeedsQuery, Oneself, OtherMembers};
use crate::staff_chat::{ChatMembers, StaffChat, StaffChatCommand};
use crate::testing::*;
use crate::vocabulary::MessageType;

fn say(by: &Staff, to: &Staff, message_type: MessageType) -> StaffChatCommand {
    let (by, to) = (by.as_ref(), to.as_ref());
    StaffChatCommand::PostChatMessage { message: MESSAGE, by, to, message_type, content: text("words"), at: NOON }
}

fn chat(by: &Staff, to: &Staff) -> StaffChatCommand {
    say(by, to, MessageType::Chat)
}

#[test]
fn a_chat_begins_with_its_first_message() {
    given_chat([]).when(chat(&ada(), &ben())).then([chat_said(&ada(), &ben(), "words")]);
}

#[test]
fn either_of_the_two_goes_on_with_it() {
    let begun = || given_chat([chat_said(&ada(), &ben(), "words")]);
    begun().when(chat(&ben(), &ada())).then([chat_said(&ben(), &ada(), "words")]);
    begun().when(chat(&ada(), &ben())).then([chat_said(&ada(), &ben(), "words")]);
}

#[test]
fn nobody_else_joins_a_chat_of_two() {
    let begun = || given_chat([chat_said(&ada(), &ben(), "words")]);
    begun().when(chat(&cleo(), &ada())).then_refused(OtherMembers);
    begun().when(chat(&ben(), &cleo())).then_refused(OtherMembers);
}

#[test]
fn nobody_chats_with_themselves() {
    given_chat([]).when(chat(&ada(), &ada())).then_refused(Oneself);
}

#[test]
fn whatever_moves_a_query_or_looks_like_a_call_needs_a_query() {
    for message_type in [MessageType::Query, MessageType::System, MessageType::CallStarted, MessageType::CallEnded] {
        given_chat([]).when(say(&ada(), &ben(), message_type)).then_refused(NeedsQuery(message_type));
    }
}

#[test]
fn two_people_have_one_chat_whoever_speaks_first() {
    let members = ChatMembers::of(ada().id, ben().id);
    assert_eq!(ChatMembers::of(ben().id, ada().id), members);
    assert_eq!(members.subject().as_str(), "staff-chat:1:2");
    for facts in [vec![chat_said(&ben(), &ada(), "words")], vec![chat_said(&ada(), &ben(), "words"); 3]] {
        assert_eq!(given_chat(facts).state(), StaffChat::Begun(members));
    }
}
