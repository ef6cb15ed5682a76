//! How a donor and staff come to talk.

use chrono::{DateTime, Utc};

use crate::donor_query::DonorQueryCommand::{
    self, AcceptCallRequest, CancelCallRequest, EndCall, RejectCallRequest, RemarkLongCall, RequestCall, StartCall,
};
use crate::donor_query::DonorQueryError::{
    CallActive, Closed, NoSuchRequest, NotFound, NotHolder, RequestPending, RequestTooSoon,
};
use crate::donor_query::DonorQueryEvent;
use crate::donor_query::command::{Caller, NewCall};
use crate::donor_query::decide::decide;
use crate::donor_query::event::Author;
use crate::ids::{CallId, CallRequestId};
use crate::people::{Actor, Staff};
use crate::testing::*;
use crate::vocabulary::{CallMode, EndReason, MessageType};

const ANOTHER_REQUEST: CallRequestId = CallRequestId::new(10);
const ACCEPTED: &str = "Donor requested a VIDEO call\n\n**✅ ACCEPTED by Ada**\n\n\
                        **Join the VIDEO call: [Click here to join](https://calls.example/quiet-otter)**";

fn request(request: CallRequestId, at: DateTime<Utc>) -> DonorQueryCommand {
    RequestCall { request, mode: CallMode::Video, message: REQUEST_MESSAGE, at }
}

fn accept(request: Option<CallRequestId>, by: Staff) -> DonorQueryCommand {
    AcceptCallRequest { request, call: new_call(), by, at: NOON }
}

fn reject(request: CallRequestId, by: Staff) -> DonorQueryCommand {
    RejectCallRequest { request, by, at: NOON }
}

fn cancel(request: CallRequestId) -> DonorQueryCommand {
    CancelCallRequest { request, at: NOON }
}

fn start(by: Caller) -> DonorQueryCommand {
    StartCall { call: new_call(), message: CALL_MESSAGE, by, at: NOON }
}

fn hang_up(call: CallId, by: Caller) -> DonorQueryCommand {
    EndCall { call, reason: EndReason::HungUp, by, at: NOON }
}

/// A message of the desk about a request or a call.
fn shown(event: DonorQueryEvent, words: &str) -> [DonorQueryEvent; 2] {
    let (message, message_type, call, request, at) = match &event {
        DonorQueryEvent::CallRequested { request, message, at, .. } => {
            (*message, MessageType::System, None, Some(*request), *at)
        }
        DonorQueryEvent::CallAttached { call, message, at, .. } => {
            (*message, MessageType::CallStarted, Some(*call), None, *at)
        }
        other => panic!("{} is not shown by a message of its own", other.name()),
    };
    let (author, content) = (Author::System, text(words));
    let said =
        DonorQueryEvent::MessagePosted { message, author, recipient: None, message_type, content, call, request, at };
    [event, said]
}

/// The donor asked, Ada accepted.
fn answered() -> [DonorQueryEvent; 5] {
    let by = staff(&ada());
    [opened(), accepted_by(&ada()), call_requested(), request_accepted_by(&ada()), call_attached(REQUEST_MESSAGE, by)]
}

#[test]
fn a_donor_requests_a_call() {
    given([opened()]).when(request(REQUEST, NOON)).then(shown(call_requested(), "Donor requested a VIDEO call"));
}

#[test]
fn one_request_at_a_time() {
    given([opened(), call_requested()])
        .when(request(ANOTHER_REQUEST, noon_plus(60)))
        .then_refused(RequestPending(REQUEST));
}

#[test]
fn requests_are_thirty_seconds_apart() {
    let withdrawn = || given([opened(), call_requested(), request_cancelled(donor())]);
    withdrawn().when(request(ANOTHER_REQUEST, noon_plus(29))).then_refused(RequestTooSoon { seconds: 1 });
    let again = DonorQueryEvent::CallRequested {
        request: ANOTHER_REQUEST,
        mode: CallMode::Video,
        message: REQUEST_MESSAGE,
        at: noon_plus(30),
    };
    withdrawn().when(request(ANOTHER_REQUEST, noon_plus(30))).then(shown(again, "Donor requested a VIDEO call"));
}

#[test]
fn a_donor_who_was_told_no_waits_from_then_on() {
    let rejected = DonorQueryEvent::CallRequestRejected { request: REQUEST, by: ada().as_ref(), at: noon_plus(60) };
    let declined = || given([opened(), call_requested(), rejected.clone()]);
    declined().when(request(ANOTHER_REQUEST, noon_plus(61))).then_refused(RequestTooSoon { seconds: 29 });
    let facts = decide(&declined().state(), request(ANOTHER_REQUEST, noon_plus(90)));
    assert!(facts.is_ok(), "the wait is over");
}

#[test]
fn a_donor_whose_request_fell_to_a_transfer_asks_again_at_once() {
    let by = staff(&ada());
    let cancelled = DonorQueryEvent::CallRequestCancelled { request: REQUEST, by, at: noon_plus(60) };
    let state = given([opened(), call_requested(), cancelled]).state();
    assert!(decide(&state, request(ANOTHER_REQUEST, noon_plus(61))).is_ok());
}

#[test]
fn a_call_cannot_be_requested_during_a_call() {
    given([opened(), call_attached(CALL_MESSAGE, donor())]).when(request(REQUEST, NOON)).then_refused(CallActive(CALL));
}

#[test]
fn a_closed_query_takes_no_calls() {
    let closed = || given([opened(), accepted_by(&ada()), closed_by_donor()]);
    closed().when(request(REQUEST, NOON)).then_refused(Closed { action: "call" });
    closed().when(accept(None, ada())).then_refused(Closed { action: "call" });
    closed().when(start(Caller::Donor)).then_refused(Closed { action: "call" });
    closed().when(reject(REQUEST, ada())).then_refused(NoSuchRequest);
    closed().when(cancel(REQUEST)).then_refused(NoSuchRequest);
    closed().when(hang_up(CALL, Caller::Donor)).then_nothing();
}

#[test]
fn a_query_that_never_was_or_was_deleted_takes_no_calls() {
    for past in [vec![], vec![opened(), deleted_by(&cleo())]] {
        let gone = || given(past.clone());
        gone().when(request(REQUEST, NOON)).then_refused(NotFound);
        gone().when(accept(None, ada())).then_refused(NotFound);
        gone().when(reject(REQUEST, ada())).then_refused(NotFound);
        gone().when(cancel(REQUEST)).then_refused(NotFound);
        gone().when(start(Caller::Donor)).then_refused(NotFound);
        gone().when(hang_up(CALL, Caller::Donor)).then_refused(NotFound);
    }
}

#[test]
fn an_accepted_request_becomes_a_call_and_shows_the_way_in() {
    let facts = || {
        [
            request_accepted_by(&ada()),
            call_attached(REQUEST_MESSAGE, staff(&ada())),
            revised(REQUEST_MESSAGE, MessageType::System, ACCEPTED, Some(CALL)),
        ]
    };
    given([opened(), accepted_by(&ada()), call_requested()]).when(accept(None, ada())).then(facts());
    given([opened(), accepted_by(&ada()), call_requested()]).when(accept(Some(REQUEST), ada())).then(facts());
    let taken = [vec![accepted_by(&ada())], facts().to_vec()].concat();
    given([opened(), call_requested()]).when(accept(None, ada())).then(taken);
}

#[test]
fn a_video_request_may_be_answered_by_audio() {
    let call = NewCall { mode: CallMode::Audio, ..new_call() };
    let attached = DonorQueryEvent::CallAttached {
        call: CALL,
        room: call.room.clone(),
        mode: CallMode::Audio,
        message: REQUEST_MESSAGE,
        by: staff(&ada()),
        at: NOON,
    };
    given([opened(), accepted_by(&ada()), call_requested()])
        .when(AcceptCallRequest { request: None, call, by: ada(), at: NOON })
        .then([
            request_accepted_by(&ada()),
            attached,
            revised(
                REQUEST_MESSAGE,
                MessageType::System,
                &ACCEPTED.replace("Join the VIDEO", "Join the AUDIO"),
                Some(CALL),
            ),
        ]);
}

#[test]
fn only_the_pending_request_is_answered() {
    given([opened()]).when(accept(None, ada())).then_refused(NoSuchRequest);
    given([opened(), call_requested()]).when(accept(Some(ANOTHER_REQUEST), ada())).then_refused(NoSuchRequest);
    given([opened(), call_requested(), request_rejected_by(&ada())])
        .when(accept(Some(REQUEST), ada()))
        .then_refused(NoSuchRequest);
}

#[test]
fn a_request_is_accepted_once() {
    given(answered()).when(accept(Some(REQUEST), ada())).then_refused(CallActive(CALL));
    given([answered().to_vec(), vec![call_detached(EndReason::HungUp, donor())]].concat())
        .when(accept(Some(REQUEST), ada()))
        .then_refused(NoSuchRequest);
}

#[test]
fn others_do_not_answer_for_the_holder_but_a_super_admin_does() {
    let held = || given([opened(), accepted_by(&ben()), call_requested()]);
    held().when(accept(None, ada())).then_refused(NotHolder(ben().as_ref()));
    held().when(reject(REQUEST, ada())).then_refused(NotHolder(ben().as_ref()));
    held().when(start(Caller::Staff(ada()))).then_refused(NotHolder(ben().as_ref()));
    held().when(reject(REQUEST, cleo())).then([
        request_rejected_by(&cleo()),
        revised(REQUEST_MESSAGE, MessageType::System, "Donor requested a VIDEO call\n\n**❌ REJECTED by Cleo**", None),
    ]);
}

#[test]
fn a_request_is_declined_in_the_message_that_shows_it() {
    given([opened(), accepted_by(&ada()), call_requested()]).when(reject(REQUEST, ada())).then([
        request_rejected_by(&ada()),
        revised(REQUEST_MESSAGE, MessageType::System, "Donor requested a VIDEO call\n\n**❌ REJECTED by Ada**", None),
    ]);
}

#[test]
fn a_request_is_declined_once() {
    given([opened(), call_requested(), request_rejected_by(&ada())])
        .when(reject(REQUEST, ada()))
        .then_refused(NoSuchRequest);
}

#[test]
fn a_donor_withdraws_the_request() {
    given([opened(), call_requested()]).when(cancel(REQUEST)).then([
        request_cancelled(donor()),
        revised(
            REQUEST_MESSAGE,
            MessageType::System,
            "Request for a VIDEO call\n\n**🚫 CANCELLED by the donor**",
            None,
        ),
    ]);
    given([opened(), call_requested()]).when(cancel(ANOTHER_REQUEST)).then_refused(NoSuchRequest);
}

#[test]
fn staff_start_a_call() {
    let attached = call_attached(CALL_MESSAGE, staff(&ada()));
    given([opened(), accepted_by(&ada())])
        .when(start(Caller::Staff(ada())))
        .then(shown(attached.clone(), "VIDEO call started by Ada"));
    given([opened(), accepted_by(&ada())])
        .when(start(Caller::Staff(cleo())))
        .then(shown(call_attached(CALL_MESSAGE, staff(&cleo())), "VIDEO call started by Cleo"));
}

#[test]
fn whoever_calls_about_a_query_that_nobody_holds_takes_it() {
    let called = shown(call_attached(CALL_MESSAGE, staff(&ada())), "VIDEO call started by Ada").to_vec();
    given([opened()]).when(start(Caller::Staff(ada()))).then([vec![accepted_by(&ada())], called].concat());
}

#[test]
fn a_donor_starts_a_call_whoever_holds_the_query() {
    given([opened(), accepted_by(&ada())])
        .when(start(Caller::Donor))
        .then(shown(call_attached(CALL_MESSAGE, donor()), "VIDEO call started by the donor"));
}

#[test]
fn a_pending_request_outlasts_a_call_that_does_not_answer_it() {
    let called = [opened(), call_requested(), call_attached(CALL_MESSAGE, staff(&ada()))];
    let ended = [called.to_vec(), vec![accepted_by(&ada()), call_detached(EndReason::HungUp, donor())]].concat();
    given(called).when(accept(None, ada())).then_refused(CallActive(CALL));
    given(ended).when(accept(None, ada())).then([
        request_accepted_by(&ada()),
        call_attached(REQUEST_MESSAGE, staff(&ada())),
        revised(REQUEST_MESSAGE, MessageType::System, ACCEPTED, Some(CALL)),
    ]);
}

#[test]
fn one_call_at_a_time() {
    given(answered()).when(start(Caller::Staff(ada()))).then_refused(CallActive(CALL));
    given(answered()).when(start(Caller::Donor)).then_refused(CallActive(CALL));
    assert!(CallActive(CALL).to_string().contains("already an active call"));
}

#[test]
fn ending_a_call_turns_its_announcement() {
    given([opened(), call_attached(CALL_MESSAGE, staff(&ada()))]).when(hang_up(CALL, Caller::Staff(ada()))).then([
        call_detached(EndReason::HungUp, staff(&ada())),
        revised(CALL_MESSAGE, MessageType::CallEnded, "VIDEO call ended", Some(CALL)),
    ]);
}

#[test]
fn ending_an_accepted_request_keeps_who_accepted_and_drops_the_link() {
    for (by, actor) in
        [(Caller::Donor, donor()), (Caller::Staff(ada()), staff(&ada())), (Caller::System, Actor::System)]
    {
        given(answered()).when(hang_up(CALL, by)).then([
            call_detached(EndReason::HungUp, actor),
            revised(
                REQUEST_MESSAGE,
                MessageType::CallEnded,
                "Donor requested a VIDEO call\n\n**✅ ACCEPTED by Ada**\n\n**VIDEO call ended**",
                Some(CALL),
            ),
        ]);
    }
}

#[test]
fn others_do_not_hang_up_for_the_holder_but_a_super_admin_does() {
    given(answered()).when(hang_up(CALL, Caller::Staff(ben()))).then_refused(NotHolder(ada().as_ref()));
    let facts = decide(&given(answered()).state(), hang_up(CALL, Caller::Staff(cleo()))).expect("may end every call");
    assert_eq!(facts.first(), Some(&call_detached(EndReason::HungUp, staff(&cleo()))));
    // What is over already may be ended by anybody: both windows of a call report its end.
    let ended = [answered().to_vec(), vec![call_detached(EndReason::HungUp, donor())]].concat();
    given(ended).when(hang_up(CALL, Caller::Staff(ben()))).then_nothing();
}

#[test]
fn ending_a_call_again_or_another_call_changes_nothing() {
    let ended = [answered().to_vec(), vec![call_detached(EndReason::HungUp, donor())]].concat();
    given(ended).when(hang_up(CALL, Caller::Donor)).then_nothing();
    given(answered()).when(hang_up(CallId::new(6), Caller::Donor)).then_nothing();
    given([opened()]).when(hang_up(CALL, Caller::Donor)).then_nothing();
}

#[test]
fn the_old_dashboard_reads_the_messages_of_a_request() {
    let shows = |past: Vec<DonorQueryEvent>, command| {
        let facts = decide(&given(past).state(), command).expect("nothing stands in the way");
        facts.iter().rev().find_map(words).expect("every step is shown")
    };
    let asked = || vec![opened(), accepted_by(&ada()), call_requested()];

    let requested = shows(vec![opened()], request(REQUEST, NOON));
    assert!(requested.contains("requested a") && requested.contains("VIDEO call"));
    assert!(requested.to_lowercase().contains("donor requested"));

    let accepted = shows(asked(), accept(None, ada()));
    let (_, by) = accepted.split_once("✅ ACCEPTED by ").expect("the mark of an accepted request");
    assert_eq!(by.split('*').next(), Some("Ada"));
    assert!(accepted.contains("VIDEO call: [Click here to join](https://calls.example/quiet-otter)**"));

    let withdrawn = shows(asked(), cancel(REQUEST));
    assert!(!withdrawn.contains("requested a"), "it would offer to accept it");
}

fn words(fact: &DonorQueryEvent) -> Option<String> {
    let (DonorQueryEvent::MessagePosted { content, .. } | DonorQueryEvent::MessageRevised { content, .. }) = fact
    else {
        return None;
    };
    Some(content.as_str().to_owned())
}

#[test]
fn a_call_that_takes_long_is_remarked_on_while_it_goes_on() {
    let remark = || RemarkLongCall { call: CALL, notice: NOTICE, at: NOON };
    given([opened(), call_attached(CALL_MESSAGE, donor())])
        .when(remark())
        .then([told("This call has exceeded the standard duration of 60 minutes")]);
    given([opened(), call_attached(CALL_MESSAGE, donor()), call_detached(EndReason::HungUp, donor())])
        .when(remark())
        .then_nothing();
    given([opened(), closed_by_donor()]).when(remark()).then_nothing();
}
