//! What follows from each fact.

use super::{Alert, Audience, Claim, ClaimChange, Effect, Letter, Timer, chat_claim, claim_change, companion, effects};
use crate::call_session::{CallSessionCommand, CallSessionEvent};
use crate::donor_query::command::Caller;
use crate::donor_query::event::Author;
use crate::donor_query::{DonorQueryCommand, DonorQueryEvent};
use crate::ids::{CallId, CallRequestId, UserId};
use crate::people::Actor;
use crate::recorded::Event;
use crate::testing::*;
use crate::vocabulary::{CallMode, EndReason, MessageType};

fn after(event: DonorQueryEvent) -> Vec<Effect> {
    effects(&recorded(Event::DonorQuery(event)))
}

fn after_call(event: CallSessionEvent) -> Vec<Effect> {
    effects(&recorded(Event::CallSession(event)))
}

fn push(to: Audience, alert: Alert) -> Effect {
    Effect::Push { to, alert }
}

fn mail(to: Audience, letter: Letter) -> Effect {
    Effect::Mail { to, letter }
}

fn claim() -> Claim {
    Claim::OpenQueryOf(donor_id())
}

fn accept_request() -> DonorQueryCommand {
    DonorQueryCommand::AcceptCallRequest { request: None, call: new_call(), by: ada(), at: NOON }
}

fn start_call() -> DonorQueryCommand {
    DonorQueryCommand::StartCall { call: new_call(), message: CALL_MESSAGE, by: Caller::Donor, at: NOON }
}

fn resolve() -> DonorQueryCommand {
    DonorQueryCommand::ResolveQuery { by: ada(), notice: NOTICE, at: NOON }
}

fn goes_with(command: &DonorQueryCommand, event: &DonorQueryEvent) -> Option<(CallId, CallSessionCommand)> {
    companion(QUERY, &donor_id(), command, event)
}

fn create(request: Option<CallRequestId>, by: Actor) -> CallSessionCommand {
    CallSessionCommand::CreateCall { query: QUERY, donor_id: donor_id(), request, call: new_call(), by, at: NOON }
}

#[test]
fn an_open_query_takes_its_donors_only_place() {
    for opens in [opened(), reopened(&ada(), &ada())] {
        assert_eq!(claim_change(&opens, &donor_id()), Some(ClaimChange::Take(claim())));
    }
    assert_eq!(claim().key(), "open-query:donor-7");
}

#[test]
fn a_query_that_closes_or_is_deleted_lets_go_of_it() {
    for closes in [resolved_by(&ada()), closed_by_donor(), deleted_by(&cleo())] {
        assert_eq!(claim_change(&closes, &donor_id()), Some(ClaimChange::Release(claim())));
    }
}

#[test]
fn nothing_else_touches_the_claim() {
    let changes = samples().into_iter().filter(|sample| match sample {
        Event::DonorQuery(event) => claim_change(event, &donor_id()).is_some(),
        Event::CallSession(_) | Event::StaffChat(_) => false,
    });
    assert_eq!(changes.count(), 5);
}

#[test]
fn two_people_have_one_chat_for_good() {
    let by_ben = chat_claim(&chat_said(&ben(), &ada(), "words"));
    assert_eq!(chat_claim(&chat_said(&ada(), &ben(), "words")), by_ben);
    let ClaimChange::Take(claim) = by_ben else { panic!("it is never let go of") };
    assert_eq!(claim.key(), "chat:1:2");
}

#[test]
fn an_accepted_request_creates_the_call_that_answers_it() {
    let by = staff(&ada());
    let created = Some((CALL, create(Some(REQUEST), by.clone())));
    assert_eq!(goes_with(&accept_request(), &request_accepted_by(&ada())), created);
    assert_eq!(goes_with(&accept_request(), &call_attached(REQUEST_MESSAGE, by)), None);
}

#[test]
fn a_call_without_a_request_is_created_as_it_begins() {
    let created = Some((CALL, create(None, donor())));
    assert_eq!(goes_with(&start_call(), &call_attached(CALL_MESSAGE, donor())), created);
}

#[test]
fn a_call_ends_with_its_query_whatever_the_command() {
    let by = staff(&ada());
    let ended = CallSessionCommand::EndCall { reason: EndReason::QueryResolved, by: by.clone(), at: NOON };
    assert_eq!(goes_with(&resolve(), &call_detached(EndReason::QueryResolved, by)), Some((CALL, ended)));
}

#[test]
fn no_other_fact_goes_with_a_call() {
    let commands = [accept_request(), start_call(), resolve()];
    for sample in samples() {
        let Event::DonorQuery(event) = sample else { continue };
        let companions = commands.iter().filter_map(|command| goes_with(command, &event)).count();
        let expected = match event.name() {
            "CallRequestAccepted" | "CallAttached" => 1,
            "CallDetached" => 3,
            _ => 0,
        };
        assert_eq!(companions, expected, "{}", event.name());
    }
}

#[test]
fn all_staff_hear_of_a_new_query() {
    let all = Audience::AllStaff;
    assert_eq!(after(opened()), [push(all, Alert::QueryOpened), mail(all, Letter::QueryOpened)]);
}

#[test]
fn the_donor_hears_who_accepts_and_who_resolves() {
    let by = ada().as_ref();
    assert_eq!(after(accepted_by(&ada())), [push(Audience::Donor, Alert::QueryAccepted { by: by.clone() })]);
    assert_eq!(after(resolved_by(&ada())), [push(Audience::Donor, Alert::QueryResolved { by })]);
}

#[test]
fn the_target_hears_of_a_transfer_and_of_its_reminder() {
    let (to, by) = (Audience::Staff(ben().id), ada().as_ref());
    let handed_over =
        [push(to, Alert::QueryTransferred { by: by.clone() }), mail(to, Letter::QueryTransferred { by: by.clone() })];
    assert_eq!(after(transferred(&ada(), &ben())), handed_over);
    let nudged = [push(to, Alert::QueryReminded { by: by.clone() }), mail(to, Letter::QueryReminded { by })];
    assert_eq!(after(reminded(&ada(), &ben())), nudged);
}

#[test]
fn taking_a_query_over_tells_nobody_what_they_know() {
    assert_eq!(after(transferred(&cleo(), &cleo())), []);
    let told_to_the_donor = [push(Audience::Donor, Alert::QueryReopened { by: ben().as_ref() })];
    assert_eq!(after(reopened(&ben(), &ben())), told_to_the_donor);
}

#[test]
fn a_query_opened_again_reaches_the_donor_and_its_holder() {
    let alert = || Alert::QueryReopened { by: ben().as_ref() };
    let expected = [push(Audience::Donor, alert()), push(Audience::Staff(ada().id), alert())];
    assert_eq!(after(reopened(&ben(), &ada())), expected);
}

#[test]
fn the_holder_hears_that_the_donor_closed_the_query() {
    assert_eq!(after(closed_by_donor()), [push(Audience::Holder, Alert::QueryClosedByDonor)]);
}

#[test]
fn words_reach_the_other_side() {
    let alert = || Alert::MessagePosted { message: MESSAGE };
    let by_ada = || Author::Staff(ada().as_ref());
    assert_eq!(after(said(Author::Donor, MessageType::Chat, "hello")), [push(Audience::Holder, alert())]);
    assert_eq!(after(said(by_ada(), MessageType::Chat, "hello")), [push(Audience::Donor, alert())]);
    assert_eq!(after(told("Query accepted by Ada")), []);
}

#[test]
fn words_meant_for_a_colleague_reach_nobody_else() {
    let meant_for = |recipient: UserId| DonorQueryEvent::MessagePosted {
        message: MESSAGE,
        author: Author::Staff(ada().as_ref()),
        recipient: Some(recipient),
        message_type: MessageType::Chat,
        content: text("words"),
        call: None,
        request: None,
        at: NOON,
    };
    let alert = || Alert::MessagePosted { message: MESSAGE };
    assert_eq!(after(meant_for(ben().id)), [push(Audience::Staff(ben().id), alert())]);
    assert_eq!(after(meant_for(ada().id)), []);
}

#[test]
fn a_chat_reaches_the_one_it_is_for() {
    let expected = [push(Audience::Staff(ben().id), Alert::ChatMessagePosted { message: MESSAGE })];
    assert_eq!(effects(&recorded(Event::StaffChat(chat_said(&ada(), &ben(), "words")))), expected);
}

#[test]
fn a_call_request_rings_for_the_holder_or_for_everybody() {
    let mode = CallMode::Video;
    let expected = [
        push(Audience::HolderOrAllStaff, Alert::CallRequested { request: REQUEST, mode }),
        mail(Audience::Holder, Letter::CallRequested { mode }),
    ];
    assert_eq!(after(call_requested()), expected);
}

#[test]
fn a_withdrawn_request_falls_silent_on_the_other_side() {
    let alert = || Alert::CallRequestCancelled { request: REQUEST };
    assert_eq!(after(request_cancelled(donor())), [push(Audience::HolderOrAllStaff, alert())]);
    assert_eq!(after(request_cancelled(staff(&ada()))), [push(Audience::Donor, alert())]);
}

#[test]
fn the_donor_hears_who_declines() {
    let alert = Alert::CallRequestRejected { request: REQUEST, by: ada().as_ref() };
    assert_eq!(after(request_rejected_by(&ada())), [push(Audience::Donor, alert)]);
}

#[test]
fn a_call_rings_once_on_the_other_side() {
    let rings = |by| Alert::CallAttached { call: CALL, room: new_call().room, mode: CallMode::Video, by };
    assert_eq!(after(request_accepted_by(&ada())), []);
    let by_ada = staff(&ada());
    let for_the_donor = [push(Audience::Donor, rings(by_ada.clone()))];
    assert_eq!(after(call_attached(REQUEST_MESSAGE, by_ada)), for_the_donor);
    let for_staff = [
        push(Audience::HolderOrAllStaff, rings(donor())),
        mail(Audience::Holder, Letter::CallAttached { mode: CallMode::Video }),
    ];
    assert_eq!(after(call_attached(CALL_MESSAGE, donor())), for_staff);
}

#[test]
fn a_call_that_ended_falls_silent_and_by_the_desk_on_both_sides() {
    let alert = || Alert::CallDetached { call: CALL };
    let both = [push(Audience::Donor, alert()), push(Audience::HolderOrAllStaff, alert())];
    assert_eq!(after(call_detached(EndReason::HungUp, donor())), both[1..]);
    assert_eq!(after(call_detached(EndReason::HungUp, staff(&ada()))), both[..1]);
    assert_eq!(after(call_detached(EndReason::Expired, Actor::System)), both);
}

#[test]
fn what_is_only_to_be_seen_disturbs_nobody() {
    let revision = revised(REQUEST_MESSAGE, MessageType::CallEnded, "VIDEO call ended", Some(CALL));
    for quiet in [
        marked_pending_reply(donor()),
        marked_in_progress(staff(&ada())),
        edited_by(&ada()),
        deleted_by(&cleo()),
        revision,
    ] {
        assert_eq!(after(quiet), []);
    }
}

#[test]
fn a_call_expires_with_its_room_unless_it_ends_before() {
    let timer = Timer::CallExpiry { query: QUERY, call: CALL };
    assert_eq!(after_call(call_created()), [Effect::SetTimer { timer, due: noon_plus(3600) }]);
    let over = after_call(call_ended(EndReason::HungUp));
    assert!(over.contains(&Effect::ClearTimer(timer)));
    assert!(over.contains(&Effect::CloseRoom(CALL)));
}

#[test]
fn a_call_is_said_to_take_long_an_hour_after_somebody_joined_unless_it_ends_before() {
    let timer = Timer::LongCall { query: QUERY, call: CALL };
    assert_eq!(after_call(call_started()), [Effect::SetTimer { timer, due: noon_plus(3600) }]);
    assert!(after_call(call_ended(EndReason::HungUp)).contains(&Effect::ClearTimer(timer)));
}

#[test]
fn what_waits_in_a_queue_is_read_back_as_it_was_written() {
    for effect in samples().into_iter().flat_map(|event| effects(&recorded(event))) {
        match effect {
            Effect::Push { alert, .. } => {
                let json = serde_json::to_value(&alert).expect("plain data");
                assert!(json["kind"].is_string(), "{json}");
                assert_eq!(serde_json::from_value::<Alert>(json).expect("what was written"), alert);
            }
            Effect::Mail { letter, .. } => {
                let json = serde_json::to_value(&letter).expect("plain data");
                assert!(json["kind"].is_string(), "{json}");
                assert_eq!(serde_json::from_value::<Letter>(json).expect("what was written"), letter);
            }
            Effect::CloseRoom(_) | Effect::SetTimer { .. } | Effect::ClearTimer(_) => {}
        }
    }
}
