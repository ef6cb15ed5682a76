//! Who holds a query, and where it stands.

use crate::donor_query::DonorQueryCommand::{
    AcceptQuery, CloseQueryByDonor, DeleteQuery, EditQuery, MarkInProgress, MarkPendingReply, OpenQuery, RemindQuery,
    ReopenQuery, ResolveQuery, TransferQuery,
};
use crate::donor_query::DonorQueryError::{
    AlreadyHeld, AlreadyOpened, Closed, HeldByTransferee, NotFound, NotHolder, NotSuperAdmin, NotTransferred,
    SameHolder, StillOpen, Unassigned,
};
use crate::donor_query::command::OpenQuery as Opening;
use crate::donor_query::event::Author;
use crate::donor_query::{DonorQueryCommand, DonorQueryEvent};
use crate::ids::MessageId;
use crate::people::Staff;
use crate::testing::*;
use crate::vocabulary::{EndReason, MessageType, QueryStatus};

fn accept(by: Staff) -> DonorQueryCommand {
    AcceptQuery { by, notice: NOTICE, at: NOON }
}

fn mark_pending_reply(by: Staff) -> DonorQueryCommand {
    MarkPendingReply { by, at: NOON }
}

fn mark_in_progress(by: Staff) -> DonorQueryCommand {
    MarkInProgress { by, at: NOON }
}

fn transfer(by: Staff, to: &Staff) -> DonorQueryCommand {
    TransferQuery { by, to: to.as_ref(), note: Some(text("Speaks Dutch")), notice: NOTICE, at: NOON }
}

fn remind(by: Staff) -> DonorQueryCommand {
    RemindQuery { by, text: None, notice: NOTICE, at: NOON }
}

fn resolve(by: Staff) -> DonorQueryCommand {
    ResolveQuery { by, notice: NOTICE, at: NOON }
}

fn close() -> DonorQueryCommand {
    CloseQueryByDonor { notice: NOTICE, at: NOON }
}

fn reopen(by: Staff) -> DonorQueryCommand {
    ReopenQuery { by, at: NOON }
}

fn edit(by: Staff) -> DonorQueryCommand {
    EditQuery { by, donor: None, test: None, stage: Some("Measurement".to_owned()), device: None, at: NOON }
}

fn delete(by: Staff) -> DonorQueryCommand {
    DeleteQuery { by, at: NOON }
}

fn reminder_to(to: &Staff, words: &str) -> DonorQueryEvent {
    DonorQueryEvent::MessagePosted {
        message: NOTICE,
        author: Author::System,
        recipient: Some(to.id),
        message_type: MessageType::System,
        content: text(words),
        call: None,
        request: None,
        at: NOON,
    }
}

#[test]
fn opening_without_words_only_opens() {
    given([]).when(OpenQuery(opening())).then([opened()]);
}

#[test]
fn opening_with_words_posts_them_and_waits_for_a_reply() {
    let with_words = Opening { content: Some((MESSAGE, text("It beeps"))), ..opening() };
    given([]).when(OpenQuery(with_words)).then([
        opened(),
        said(Author::Donor, MessageType::Query, "It beeps"),
        marked_pending_reply(donor()),
    ]);
}

#[test]
fn an_id_opens_one_query_only() {
    given([opened()]).when(OpenQuery(opening())).then_refused(AlreadyOpened);
    given([opened(), resolved_by(&ada())]).when(OpenQuery(opening())).then_refused(AlreadyOpened);
    given([opened(), deleted_by(&cleo())]).when(OpenQuery(opening())).then_refused(AlreadyOpened);
}

#[test]
fn a_query_that_never_was_or_was_deleted_is_not_found() {
    let commands = || {
        [
            accept(cleo()),
            mark_pending_reply(cleo()),
            mark_in_progress(cleo()),
            transfer(cleo(), &ben()),
            remind(cleo()),
            resolve(cleo()),
            close(),
            reopen(cleo()),
            edit(cleo()),
            delete(cleo()),
        ]
    };
    for command in commands() {
        given([]).when(command).then_refused(NotFound);
    }
    for command in commands() {
        given([opened(), deleted_by(&cleo())]).when(command).then_refused(NotFound);
    }
}

#[test]
fn a_query_nobody_holds_is_accepted() {
    given([opened()]).when(accept(ada())).then([accepted_by(&ada()), told("Query accepted by Ada")]);
}

#[test]
fn accepting_a_waiting_query_sets_to_work_on_it() {
    let past = [opened(), marked_pending_reply(donor()), accepted_by(&ada())];
    assert_eq!(given(past).state().status(), Some(QueryStatus::InProgress));
}

#[test]
fn accepting_what_one_holds_is_refused_as_well() {
    given([opened(), accepted_by(&ada())]).when(accept(ada())).then_refused(AlreadyHeld(ada().as_ref()));
}

#[test]
fn a_held_query_cannot_be_accepted_by_another() {
    given([opened(), accepted_by(&ada())]).when(accept(ben())).then_refused(AlreadyHeld(ada().as_ref()));
}

#[test]
fn not_even_a_super_admin_takes_a_held_query_by_accepting_it() {
    given([opened(), accepted_by(&ada())]).when(accept(cleo())).then_refused(AlreadyHeld(ada().as_ref()));
}

#[test]
fn the_target_of_a_transfer_accepts_it() {
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())])
        .when(accept(ben()))
        .then([accepted_by(&ben()), told("Query accepted by Ben")]);
}

#[test]
fn nobody_but_the_target_accepts_a_transferred_query() {
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())])
        .when(accept(ada()))
        .then_refused(HeldByTransferee(ben().as_ref()));
}

#[test]
fn a_closed_query_cannot_be_accepted() {
    given([opened(), closed_by_donor()]).when(accept(ada())).then_refused(Closed { action: "accept" });
}

#[test]
fn the_holder_says_that_the_donor_waits() {
    given([opened(), accepted_by(&ada())]).when(mark_pending_reply(ada())).then([marked_pending_reply(staff(&ada()))]);
}

#[test]
fn anybody_says_so_of_a_query_nobody_holds() {
    given([opened()]).when(mark_pending_reply(ben())).then([marked_pending_reply(staff(&ben()))]);
}

#[test]
fn a_super_admin_says_so_of_every_query() {
    given([opened(), accepted_by(&ada())])
        .when(mark_pending_reply(cleo()))
        .then([marked_pending_reply(staff(&cleo()))]);
}

#[test]
fn others_do_not_mark_a_held_query() {
    let held = || given([opened(), accepted_by(&ada())]);
    held().when(mark_pending_reply(ben())).then_refused(NotHolder(ada().as_ref()));
    held().when(mark_in_progress(ben())).then_refused(NotHolder(ada().as_ref()));
}

#[test]
fn marking_what_is_so_already_changes_nothing() {
    given([opened()]).when(mark_in_progress(ada())).then_nothing();
    given([opened(), marked_pending_reply(donor())]).when(mark_pending_reply(ada())).then_nothing();
}

#[test]
fn the_target_of_a_transfer_may_leave_it_waiting_for_a_reply() {
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())])
        .when(mark_pending_reply(ben()))
        .then([marked_pending_reply(staff(&ben()))]);
}

#[test]
fn a_closed_query_cannot_wait_for_a_reply() {
    given([opened(), resolved_by(&ada())]).when(mark_pending_reply(ada())).then_refused(Closed { action: "mark" });
}

#[test]
fn the_holder_sets_to_work_on_a_waiting_query() {
    given([opened(), accepted_by(&ada()), marked_pending_reply(donor())])
        .when(mark_in_progress(ada()))
        .then([marked_in_progress(staff(&ada()))]);
}

#[test]
fn the_target_of_a_transfer_takes_it_up_by_setting_to_work() {
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())])
        .when(mark_in_progress(ben()))
        .then([accepted_by(&ben())]);
}

#[test]
fn a_super_admin_marks_a_transferred_query_without_taking_it() {
    let past = [opened(), accepted_by(&ada()), transferred(&ada(), &ben()), marked_in_progress(staff(&cleo()))];
    given(past[..3].to_vec()).when(mark_in_progress(cleo())).then([past[3].clone()]);
    assert_eq!(given(past).state().holder(), Some(&ben().as_ref()));
}

#[test]
fn setting_to_work_on_a_closed_query_opens_it_again() {
    given([opened(), accepted_by(&ada()), resolved_by(&ada())])
        .when(mark_in_progress(ben()))
        .then([reopened(&ben(), &ada())]);
}

#[test]
fn the_holder_hands_the_query_over_and_the_note_stays_with_staff() {
    given([opened(), accepted_by(&ada())])
        .when(transfer(ada(), &ben()))
        .then([transferred(&ada(), &ben()), told("Query transferred to Ben")]);
}

#[test]
fn anybody_hands_over_what_nobody_holds() {
    let handed_over = DonorQueryEvent::QueryTransferred {
        by: ada().as_ref(),
        from: None,
        to: ben().as_ref(),
        note: Some(text("Speaks Dutch")),
        at: NOON,
    };
    given([opened()]).when(transfer(ada(), &ben())).then([handed_over, told("Query transferred to Ben")]);
}

#[test]
fn a_super_admin_hands_over_what_others_hold() {
    let handed_over = DonorQueryEvent::QueryTransferred {
        by: cleo().as_ref(),
        from: Some(ada().as_ref()),
        to: cleo().as_ref(),
        note: Some(text("Speaks Dutch")),
        at: NOON,
    };
    given([opened(), accepted_by(&ada())])
        .when(transfer(cleo(), &cleo()))
        .then([handed_over, told("Query transferred to Cleo")]);
}

#[test]
fn others_do_not_hand_over_a_held_query() {
    given([opened(), accepted_by(&ada())]).when(transfer(ben(), &ben())).then_refused(NotHolder(ada().as_ref()));
}

#[test]
fn ownership_moves_once_at_the_transfer() {
    let handed_over = || given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())]);
    assert_eq!(handed_over().state().status(), Some(QueryStatus::Transferred));
    assert_eq!(handed_over().state().holder(), Some(&ben().as_ref()));
    handed_over().when(transfer(ada(), &cleo())).then_refused(NotHolder(ben().as_ref()));
    handed_over().when(resolve(ada())).then_refused(NotHolder(ben().as_ref()));
    handed_over().when(resolve(ben())).then([resolved_by(&ben()), told("Query resolved by Ben")]);
}

#[test]
fn a_query_is_not_handed_to_its_holder() {
    given([opened(), accepted_by(&ada())]).when(transfer(ada(), &ada())).then_refused(SameHolder(ada().as_ref()));
}

#[test]
fn a_transfer_ends_the_call_and_cancels_the_request() {
    let (mine, by) = (accepted_by(&ada()), staff(&ada()));
    given([opened(), mine, call_attached(CALL_MESSAGE, by.clone()), call_requested()])
        .when(transfer(ada(), &ben()))
        .then([
            call_detached(EndReason::QueryTransferred, by.clone()),
            revised(CALL_MESSAGE, MessageType::CallEnded, "VIDEO call ended", Some(CALL)),
            request_cancelled(by),
            revised(REQUEST_MESSAGE, MessageType::System, "Request for a VIDEO call\n\n**🚫 CANCELLED by Ada**", None),
            transferred(&ada(), &ben()),
            told("Query transferred to Ben"),
        ]);
}

#[test]
fn a_closed_query_cannot_be_handed_over() {
    given([opened(), resolved_by(&ada())]).when(transfer(ada(), &ben())).then_refused(Closed { action: "transfer" });
}

#[test]
fn any_staff_member_reminds_the_target_of_a_transfer() {
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())]).when(remind(cleo())).then([
        reminded(&cleo(), &ben()),
        reminder_to(&ben(), "Reminder: this query was transferred to Ben and waits to be taken up"),
    ]);
}

#[test]
fn a_reminder_says_what_it_was_given() {
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())])
        .when(RemindQuery { by: ada(), text: Some(text("The donor is at the clinic")), notice: NOTICE, at: NOON })
        .then([reminded(&ada(), &ben()), reminder_to(&ben(), "The donor is at the clinic")]);
}

#[test]
fn there_is_nothing_to_remind_of_without_a_transfer() {
    given([opened(), accepted_by(&ada())]).when(remind(ada())).then_refused(NotTransferred);
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben()), accepted_by(&ben())])
        .when(remind(ada()))
        .then_refused(NotTransferred);
    given([opened(), resolved_by(&ada())]).when(remind(ada())).then_refused(NotTransferred);
}

#[test]
fn the_holder_resolves_the_query() {
    given([opened(), accepted_by(&ada())])
        .when(resolve(ada()))
        .then([resolved_by(&ada()), told("Query resolved by Ada")]);
}

#[test]
fn a_super_admin_resolves_every_query() {
    given([opened()]).when(resolve(cleo())).then([resolved_by(&cleo()), told("Query resolved by Cleo")]);
    given([opened(), accepted_by(&ada())])
        .when(resolve(cleo()))
        .then([resolved_by(&cleo()), told("Query resolved by Cleo")]);
}

#[test]
fn others_do_not_resolve_a_held_query() {
    given([opened(), accepted_by(&ada())]).when(resolve(ben())).then_refused(NotHolder(ada().as_ref()));
}

#[test]
fn a_query_nobody_holds_is_to_be_accepted_before_it_is_resolved() {
    given([opened()]).when(resolve(ada())).then_refused(Unassigned);
}

#[test]
fn resolving_again_changes_nothing() {
    given([opened(), accepted_by(&ada()), resolved_by(&ada())]).when(resolve(ben())).then_nothing();
    given([opened(), closed_by_donor()]).when(resolve(ada())).then_nothing();
}

#[test]
fn resolving_ends_the_call() {
    let past = [opened(), accepted_by(&ada()), call_attached(CALL_MESSAGE, donor())];
    given(past).when(resolve(ada())).then([
        call_detached(EndReason::QueryResolved, staff(&ada())),
        revised(CALL_MESSAGE, MessageType::CallEnded, "VIDEO call ended", Some(CALL)),
        resolved_by(&ada()),
        told("Query resolved by Ada"),
    ]);
}

#[test]
fn the_donor_closes_an_open_query_whoever_holds_it() {
    let closing = || [closed_by_donor(), told("Query closed by the donor")];
    given([opened()]).when(close()).then(closing());
    given([opened(), accepted_by(&ada())]).when(close()).then(closing());
    given([opened(), accepted_by(&ada()), transferred(&ada(), &ben())]).when(close()).then(closing());
}

#[test]
fn closing_cancels_the_request() {
    given([opened(), call_requested()]).when(close()).then([
        request_cancelled(donor()),
        revised(
            REQUEST_MESSAGE,
            MessageType::System,
            "Request for a VIDEO call\n\n**🚫 CANCELLED by the donor**",
            None,
        ),
        closed_by_donor(),
        told("Query closed by the donor"),
    ]);
}

#[test]
fn a_closed_query_cannot_be_closed_by_the_donor() {
    given([opened(), resolved_by(&ada())]).when(close()).then_refused(Closed { action: "close" });
    given([opened(), closed_by_donor()]).when(close()).then_refused(Closed { action: "close" });
}

#[test]
fn a_query_opened_again_goes_back_to_its_holder() {
    let past = [opened(), accepted_by(&ada()), resolved_by(&cleo())];
    given(past).when(reopen(ben())).then([reopened(&ben(), &ada())]);
}

#[test]
fn a_query_nobody_held_goes_to_whoever_opens_it_again() {
    given([opened(), closed_by_donor()]).when(reopen(ben())).then([reopened(&ben(), &ben())]);
}

#[test]
fn an_open_query_cannot_be_opened_again() {
    given([opened()]).when(reopen(ada())).then_refused(StillOpen);
}

#[test]
fn details_are_corrected_by_whoever_may_act_before_and_after_closing() {
    given([opened()]).when(edit(ben())).then([edited_by(&ben())]);
    given([opened(), accepted_by(&ada())]).when(edit(ada())).then([edited_by(&ada())]);
    given([opened(), accepted_by(&ada())]).when(edit(cleo())).then([edited_by(&cleo())]);
    given([opened(), accepted_by(&ada()), resolved_by(&ada())]).when(edit(ada())).then([edited_by(&ada())]);
}

#[test]
fn others_do_not_correct_a_held_query() {
    given([opened(), accepted_by(&ada())]).when(edit(ben())).then_refused(NotHolder(ada().as_ref()));
    given([opened(), accepted_by(&ada()), closed_by_donor()]).when(edit(ben())).then_refused(NotHolder(ada().as_ref()));
}

#[test]
fn correcting_nothing_changes_nothing() {
    given([opened()])
        .when(EditQuery { by: ada(), donor: None, test: None, stage: None, device: None, at: NOON })
        .then_nothing();
}

#[test]
fn only_a_super_admin_deletes() {
    given([opened(), accepted_by(&ada())]).when(delete(ada())).then_refused(NotSuperAdmin { action: "delete" });
    given([opened(), accepted_by(&ada())]).when(delete(cleo())).then([deleted_by(&cleo())]);
    given([opened(), closed_by_donor()]).when(delete(cleo())).then([deleted_by(&cleo())]);
}

#[test]
fn deleting_ends_the_call() {
    given([opened(), call_attached(CALL_MESSAGE, donor())]).when(delete(cleo())).then([
        call_detached(EndReason::QueryDeleted, staff(&cleo())),
        revised(CALL_MESSAGE, MessageType::CallEnded, "VIDEO call ended", Some(CALL)),
        deleted_by(&cleo()),
    ]);
}

#[test]
fn refusals_hold_the_words_the_old_dashboard_looks_for() {
    let ada = || ada().as_ref();
    assert!(AlreadyHeld(ada()).to_string().contains("already accepted"));
    assert!(AlreadyHeld(ada()).to_string().contains("already assigned to Ada"));
    assert!(HeldByTransferee(ada()).to_string().contains("cannot accept a transferred"));
    assert!(Closed { action: "accept" }.to_string().contains("cannot accept a resolved"));
}

#[test]
fn facts_that_make_no_sense_at_a_stage_change_nothing() {
    let stages = [
        vec![],
        vec![opened(), accepted_by(&ada())],
        vec![opened(), accepted_by(&ada()), resolved_by(&ada())],
        vec![opened(), deleted_by(&cleo())],
    ];
    let senseless = [
        vec![accepted_by(&ben()), resolved_by(&ben()), reopened(&ben(), &ben()), call_requested(), deleted_by(&cleo())],
        vec![opened(), reopened(&ben(), &ben())],
        vec![opened(), accepted_by(&ben()), closed_by_donor(), call_attached(MessageId::new(1), donor())],
        vec![opened(), accepted_by(&ben()), closed_by_donor(), reopened(&ben(), &ben())],
    ];
    for (past, facts) in stages.into_iter().zip(senseless) {
        let before = given(past.clone()).state();
        assert_eq!(given([past, facts].concat()).state(), before);
    }
}
