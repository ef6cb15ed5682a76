//! What one query looks like after each fact about it.

use super::*;

#[tokio::test]
async fn an_opened_query_waits_for_anybody() {
    let desk = Desk::open().await;
    let row = desk.row_after([opened()]).await;
    let expected = QueryRow {
        query_id: QUERY,
        donor: "Dana Donor".to_owned(),
        donor_id: donor_id(),
        donor_session: opening().session,
        test: "Blood pressure".to_owned(),
        stage: "Calibration".to_owned(),
        device: "Cuff 3".to_owned(),
        standing: Standing {
            status: QueryStatus::InProgress,
            assigned_to_id: None,
            pending_request_id: None,
            active_call_id: None,
            deleted: false,
        },
        transferred_to: None,
        transferred_to_user_id: None,
        transferred_by_id: None,
        transfer_note: None,
        resolved_by_id: None,
        closed_by_donor: false,
        created_at: NOON,
        updated_at: NOON,
        version: 1,
        position: Position(1),
        message_count: 0,
        last_message: None,
        last_message_at: None,
        waiting_since: Some(NOON),
    };
    assert_eq!(row, expected);
}

#[tokio::test]
async fn an_accepted_query_is_held_and_still_waits_for_words() {
    let desk = Desk::open().await;
    let row = desk.row_after([opened(), accepted_by(&ada())]).await;
    assert_eq!((row.standing.status, row.standing.assigned_to_id), (QueryStatus::InProgress, Some(ada().id)));
    assert_eq!((row.waiting_since, row.version), (Some(NOON), 2));
}

#[tokio::test]
async fn marks_move_the_status_and_the_wait() {
    let desk = Desk::open().await;
    let in_progress = [opened(), marked_in_progress(staff(&ada()))];
    let row = desk.row_after(in_progress.clone()).await;
    assert_eq!((row.standing.status, row.waiting_since), (QueryStatus::InProgress, None));

    let [first, second] = in_progress;
    let row = desk.row_after([first, second, marked_pending_reply(donor())]).await;
    assert_eq!((row.standing.status, row.waiting_since), (QueryStatus::PendingReply, Some(NOON)));
}

#[tokio::test]
async fn a_transfer_moves_the_query_and_is_remembered_after_it_was_taken_up() {
    let desk = Desk::open().await;
    let row = desk.row_after([opened(), transferred(&ada(), &ben())]).await;
    assert_eq!((row.standing.status, row.standing.assigned_to_id), (QueryStatus::Transferred, Some(ben().id)));
    assert_eq!((row.transferred_to.as_deref(), row.transferred_to_user_id), (Some("Ben"), Some(ben().id)));
    assert_eq!((row.transferred_by_id, row.transfer_note.as_deref()), (Some(ada().id), Some("Speaks Dutch")));

    let accepted = desk.row_after([opened(), transferred(&ada(), &ben()), accepted_by(&ben())]).await;
    assert_eq!(accepted.standing.status, QueryStatus::InProgress);
    assert_eq!(accepted.transferred_to, row.transferred_to);
}

#[tokio::test]
async fn a_reminder_bumps_the_time_and_the_version() {
    let desk = Desk::open().await;
    let at = noon_plus(60);
    let reminder = DonorQueryEvent::QueryReminded { by: ada().as_ref(), to: ben().as_ref(), at };
    let row = desk.row_after([opened(), transferred(&ada(), &ben()), reminder]).await;
    assert_eq!((row.updated_at, row.version, row.standing.status), (at, 3, QueryStatus::Transferred));
}

#[tokio::test]
async fn a_query_is_closed_by_staff_or_donor_and_opened_again() {
    let desk = Desk::open().await;
    let row = desk.row_after([opened(), resolved_by(&ada())]).await;
    assert_eq!((row.standing.status, row.resolved_by_id), (QueryStatus::Resolved, Some(ada().id)));
    assert_eq!((row.closed_by_donor, row.waiting_since), (false, None));

    let row = desk.row_after([opened(), closed_by_donor()]).await;
    assert_eq!((row.standing.status, row.resolved_by_id, row.closed_by_donor), (QueryStatus::Resolved, None, true));

    let row = desk.row_after([opened(), resolved_by(&ada()), reopened(&cleo(), &ben())]).await;
    assert_eq!((row.standing.status, row.standing.assigned_to_id), (QueryStatus::InProgress, Some(ben().id)));
    assert_eq!((row.resolved_by_id, row.closed_by_donor), (None, false));
}

#[tokio::test]
async fn a_correction_changes_what_it_names_and_what_is_found() {
    let desk = Desk::open().await;
    let edited = DonorQueryEvent::QueryEdited {
        by: ada().as_ref(),
        donor: Some(text("Dana 100%_Doe")),
        test: None,
        stage: Some("Measurement".to_owned()),
        device: None,
        at: NOON,
    };
    desk.given([opened(), edited].map(Event::DonorQuery)).await;
    let row = queries::find(&desk.pool, QUERY).await.unwrap().unwrap();
    assert_eq!((row.donor.as_str(), row.test.as_str()), ("Dana 100%_Doe", "Blood pressure"));
    assert_eq!((row.stage.as_str(), row.device.as_str()), ("Measurement", "Cuff 3"));
    for (search, found) in [("100%_d", 1), ("MEASURE", 1), ("calibration", 0), ("1000", 0), ("doe donor", 0)] {
        let filter = ListFilter { search: Some(search.to_owned()), ..ListFilter::default() };
        let slice = queries::list(&desk.pool, &filter, Order::CreatedDesc, &Page::first(10)).await.unwrap();
        assert_eq!((slice.rows.len(), slice.total.count), (found, i64::try_from(found).unwrap()), "{search}");
    }
}

#[tokio::test]
async fn a_deleted_query_is_found_nowhere() {
    let desk = Desk::open().await;
    desk.given([opened(), said(Author::Donor, MessageType::Query, "Help")].map(Event::DonorQuery)).await;
    assert_eq!(messages::of_query(&desk.pool, QUERY, &Page::first(10)).await.unwrap().len(), 1);

    let facts = [opened(), said(Author::Donor, MessageType::Query, "Help"), deleted_by(&cleo())];
    desk.given(facts.map(Event::DonorQuery)).await;
    assert_eq!(queries::find(&desk.pool, QUERY).await.unwrap(), None);
    assert_eq!(queries::of_ids(&desk.pool, &[QUERY]).await.unwrap(), []);
    let even_deleted = queries::of_ids_or_deleted(&desk.pool, &[QUERY]).await.unwrap();
    assert!(matches!(even_deleted.as_slice(), [row] if row.standing.deleted), "{even_deleted:?}");
    let page = Page::first(10);
    let list = queries::list(&desk.pool, &ListFilter::default(), Order::CreatedDesc, &page).await.unwrap();
    assert_eq!((list.rows, list.total.count), (vec![], 0));
    assert_eq!(messages::of_query(&desk.pool, QUERY, &Page::first(10)).await.unwrap(), []);
    assert_eq!(messages::latest_of_queries(&desk.pool, &[QUERY], 5).await.unwrap(), []);
    assert_eq!(board::snapshot(&desk.pool).await.unwrap().total(), 0);
}

#[tokio::test]
async fn words_of_people_make_the_preview_and_the_desk_only_counts() {
    let desk = Desk::open().await;
    let long = "ä".repeat(200);
    let facts = [opened(), said(Author::Staff(ada().as_ref()), MessageType::Chat, &long), told("Noted")];
    let row = desk.row_after(facts).await;
    assert_eq!((row.message_count, row.last_message, row.last_message_at), (2, Some("ä".repeat(140)), Some(NOON)));
    assert_eq!(row.waiting_since, None, "staff answered");

    let row = desk
        .row_after([
            opened(),
            said(Author::Staff(ada().as_ref()), MessageType::Chat, "Hello"),
            DonorQueryEvent::MessagePosted {
                message: NOTICE,
                author: Author::Donor,
                recipient: None,
                message_type: MessageType::Chat,
                content: Personal::Erased(true),
                call: None,
                request: None,
                at: noon_plus(5),
            },
        ])
        .await;
    assert_eq!((row.last_message.as_deref(), row.waiting_since), (Some("[erased]"), Some(noon_plus(5))));
}

#[tokio::test]
async fn requests_and_calls_show_in_the_row_while_they_last() {
    let desk = Desk::open().await;
    let row = desk.row_after([opened(), call_requested()]).await;
    assert_eq!(row.standing.pending_request_id, Some(REQUEST));
    for answer in [request_accepted_by(&ada()), request_rejected_by(&ada()), request_cancelled(donor())] {
        let row = desk.row_after([opened(), call_requested(), answer]).await;
        assert_eq!(row.standing.pending_request_id, None);
    }
    let attached = call_attached(CALL_MESSAGE, staff(&ada()));
    let row = desk.row_after([opened(), attached.clone()]).await;
    assert_eq!(row.standing.active_call_id, Some(CALL));
    let row = desk.row_after([opened(), attached, call_detached(EndReason::HungUp, donor())]).await;
    assert_eq!(row.standing.active_call_id, None);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_keeps_no_other_from_being_read() {
    let desk = Desk::open().await;
    let mut log = Log::default();
    let odd = QueryId::new(18);
    for query in [QUERY, odd] {
        log.add(query, Event::DonorQuery(opened()));
        let mut posted = said(Author::Donor, MessageType::Query, "Help");
        if let DonorQueryEvent::MessagePosted { message, .. } = &mut posted {
            *message = MessageId::new(query.get());
        }
        log.add(query, Event::DonorQuery(posted));
    }
    desk.project(&log.0).await.unwrap();
    let readable = async || {
        let rows = queries::each_of_ids(&desk.pool, &[QUERY, odd]).await.unwrap();
        let mut readable: Vec<_> = rows.into_iter().map(|(id, row)| (id, row.is_ok())).collect();
        readable.sort();
        let said = messages::each_latest_of_queries(&desk.pool, &[QUERY, odd], 5).await.unwrap();
        (readable, said.into_iter().map(|(id, row)| (id, row.is_ok())).collect::<Vec<_>>())
    };
    let both = vec![(QUERY, true), (odd, true)];
    assert_eq!(readable().await, (both.clone(), both));
    for table in ["queries set status", "messages set message_type"] {
        let newer = format!("update read.{table} = 'OF_A_NEWER_VERSION' where query_id = 18");
        sqlx::query(&newer).execute(&desk.pool).await.unwrap();
    }
    let one = vec![(QUERY, true), (odd, false)];
    assert_eq!(readable().await, (one.clone(), one));
    assert!(queries::of_ids(&desk.pool, &[QUERY, odd]).await.is_err());
}
