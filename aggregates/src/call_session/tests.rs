//! A test for every row of the call session's state machine.

use crate::call_session::CallSessionCommand::{self, CreateCall, EndCall, StartCall};
use crate::call_session::CallSessionError::{AlreadyCreated, Ended, NotFound};
use crate::testing::*;
use crate::vocabulary::EndReason;

fn create() -> CallSessionCommand {
    CreateCall {
        query: QUERY,
        donor_id: donor_id(),
        request: Some(REQUEST),
        call: new_call(),
        by: staff(&ada()),
        at: NOON,
    }
}

fn start() -> CallSessionCommand {
    StartCall { by: donor(), at: NOON }
}

fn end(reason: EndReason) -> CallSessionCommand {
    EndCall { reason, by: staff(&ada()), at: NOON }
}

#[test]
fn a_call_is_created_with_its_room() {
    given_call([]).when(create()).then([call_created()]);
}

#[test]
fn a_call_is_created_once() {
    given_call([call_created()]).when(create()).then_refused(AlreadyCreated);
    given_call([call_created(), call_started()]).when(create()).then_refused(AlreadyCreated);
    given_call([call_created(), call_ended(EndReason::Expired)]).when(create()).then_refused(AlreadyCreated);
}

#[test]
fn a_call_starts_when_somebody_joins() {
    given_call([call_created()]).when(start()).then([call_started()]);
}

#[test]
fn a_second_participant_starts_nothing() {
    given_call([call_created(), call_started()]).when(start()).then_nothing();
}

#[test]
fn a_call_that_ended_cannot_start() {
    given_call([call_created(), call_ended(EndReason::HungUp)]).when(start()).then_refused(Ended);
}

#[test]
fn a_call_ends_whether_or_not_somebody_joined() {
    given_call([call_created()]).when(end(EndReason::Expired)).then([call_ended(EndReason::Expired)]);
    given_call([call_created(), call_started()]).when(end(EndReason::HungUp)).then([call_ended(EndReason::HungUp)]);
}

#[test]
fn ending_again_changes_nothing() {
    given_call([call_created(), call_ended(EndReason::HungUp)]).when(end(EndReason::Expired)).then_nothing();
}

#[test]
fn a_call_that_never_was_is_not_found() {
    given_call([]).when(start()).then_refused(NotFound);
    given_call([]).when(end(EndReason::HungUp)).then_refused(NotFound);
}

#[test]
fn facts_that_make_no_sense_at_a_stage_change_nothing() {
    let ended = vec![call_created(), call_ended(EndReason::HungUp)];
    for (past, facts) in [
        (vec![], vec![call_started(), call_ended(EndReason::HungUp)]),
        (vec![call_created(), call_started()], vec![call_created(), call_started()]),
        (ended, vec![call_created(), call_started(), call_ended(EndReason::Expired)]),
    ] {
        let before = given_call(past.clone()).state();
        assert_eq!(given_call([past, facts].concat()).state(), before);
    }
}
