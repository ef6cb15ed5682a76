//! What may be said, and what saying it does to the status.

use crate::donor_query::DonorQueryCommand::{self, PostMessage};
use crate::donor_query::DonorQueryError::{NotFound, ReservedMessageType};
use crate::donor_query::DonorQueryEvent;
use crate::donor_query::command::MessageAuthor;
use crate::donor_query::event::Author;
use crate::testing::*;
use crate::vocabulary::MessageType;

fn say(author: MessageAuthor, message_type: MessageType) -> DonorQueryCommand {
    PostMessage { message: MESSAGE, author, recipient: None, message_type, content: text("words"), at: NOON }
}

fn ada_says(message_type: MessageType) -> DonorQueryEvent {
    said(Author::Staff(ada().as_ref()), message_type, "words")
}

fn donor_says(message_type: MessageType) -> DonorQueryEvent {
    said(Author::Donor, message_type, "words")
}

#[test]
fn the_donors_question_is_heard_before_it_waits_for_a_reply() {
    given([opened(), accepted_by(&ada())])
        .when(say(MessageAuthor::Donor, MessageType::Query))
        .then([donor_says(MessageType::Query), marked_pending_reply(donor())]);
}

#[test]
fn another_question_of_a_waiting_donor_moves_nothing() {
    given([opened(), marked_pending_reply(donor())])
        .when(say(MessageAuthor::Donor, MessageType::Query))
        .then([donor_says(MessageType::Query)]);
}

#[test]
fn an_answer_is_heard_before_it_ends_the_wait() {
    given([opened(), accepted_by(&ada()), marked_pending_reply(donor())])
        .when(say(MessageAuthor::Staff(ada()), MessageType::Query))
        .then([ada_says(MessageType::Query), marked_in_progress(staff(&ada()))]);
}

#[test]
fn an_answer_nobody_waits_for_moves_nothing() {
    given([opened(), accepted_by(&ada())])
        .when(say(MessageAuthor::Staff(ada()), MessageType::Query))
        .then([ada_says(MessageType::Query)]);
}

#[test]
fn chat_moves_nothing() {
    given([opened()]).when(say(MessageAuthor::Donor, MessageType::Chat)).then([donor_says(MessageType::Chat)]);
    given([opened(), marked_pending_reply(donor())])
        .when(say(MessageAuthor::Staff(ada()), MessageType::Chat))
        .then([ada_says(MessageType::Chat)]);
}

#[test]
fn nothing_said_takes_up_a_transfer() {
    let handed_over = || given([opened(), accepted_by(&ben()), transferred(&ben(), &ada())]);
    handed_over().when(say(MessageAuthor::Donor, MessageType::Query)).then([donor_says(MessageType::Query)]);
    handed_over().when(say(MessageAuthor::Staff(ada()), MessageType::Query)).then([ada_says(MessageType::Query)]);
}

#[test]
fn words_on_a_closed_query_are_kept_and_move_nothing() {
    let closed = || given([opened(), closed_by_donor()]);
    closed().when(say(MessageAuthor::Donor, MessageType::Query)).then([donor_says(MessageType::Query)]);
    closed().when(say(MessageAuthor::Staff(ada()), MessageType::Query)).then([ada_says(MessageType::Query)]);
}

#[test]
fn people_do_not_speak_as_the_desk_or_as_a_call() {
    for reserved in [MessageType::System, MessageType::CallStarted, MessageType::CallEnded] {
        for author in [MessageAuthor::Donor, MessageAuthor::Staff(cleo())] {
            given([opened()]).when(say(author, reserved)).then_refused(ReservedMessageType(reserved));
        }
    }
}

#[test]
fn the_desk_says_anything_but_what_comes_from_a_call() {
    for message_type in [MessageType::Query, MessageType::Chat, MessageType::System] {
        given([opened()]).when(say(MessageAuthor::System, message_type)).then([said(
            Author::System,
            message_type,
            "words",
        )]);
    }
    for reserved in [MessageType::CallStarted, MessageType::CallEnded] {
        given([opened()]).when(say(MessageAuthor::System, reserved)).then_refused(ReservedMessageType(reserved));
    }
}

#[test]
fn a_message_may_be_meant_for_one_staff_member() {
    let meant_for_ben = DonorQueryEvent::MessagePosted {
        message: MESSAGE,
        author: Author::Staff(ada().as_ref()),
        recipient: Some(ben().id),
        message_type: MessageType::Chat,
        content: text("words"),
        call: None,
        request: None,
        at: NOON,
    };
    given([opened()])
        .when(PostMessage {
            message: MESSAGE,
            author: MessageAuthor::Staff(ada()),
            recipient: Some(ben().id),
            message_type: MessageType::Chat,
            content: text("words"),
            at: NOON,
        })
        .then([meant_for_ben]);
}

#[test]
fn nothing_is_said_where_no_query_is() {
    given([]).when(say(MessageAuthor::Donor, MessageType::Chat)).then_refused(NotFound);
    given([opened(), deleted_by(&cleo())])
        .when(say(MessageAuthor::Staff(ada()), MessageType::Chat))
        .then_refused(NotFound);
}
