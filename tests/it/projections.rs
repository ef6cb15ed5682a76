//! Given events, then rows: every read model, every fact, and any way of cutting a history into batches.

use std::collections::HashMap;
use std::str::FromStr;

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{CallId, DonorId, MessageId, QueryId, RoomName, UserId};
use aggregates::people::{DonorSession, Staff};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Partition, Position, RecordedEvent, StreamId};
use aggregates::testing::*;
use aggregates::vocabulary::{CallMode, CallRequestStatus, CallStatus, EndReason, MessageType, QueryStatus};
use projections::messages::SenderType;
use projections::page::{MAX_DEPTH, Page, TooDeep};
use projections::queries::{Assigned, Cursor, InvalidCursor, ListFilter, Order, QueryRow};
use projections::standing::Standing;
use projections::{Projection, board, calls, checkpoint, messages, queries, requests};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::database::{TestDatabase, database};

/// Read models of one test.
struct Desk {
    pool: PgPool,
    _database: TestDatabase,
}

impl Desk {
    async fn open() -> Self {
        let database = database().await;
        let options = PgConnectOptions::from_str(&database.url).unwrap().options([("search_path", "read,public")]);
        Self { pool: PgPoolOptions::new().max_connections(4).connect_lazy_with(options), _database: database }
    }

    /// Forgets everything and starts again with some facts about [`QUERY`] and [`CALL`].
    async fn given(&self, facts: impl IntoIterator<Item = Event>) {
        self.clear().await;
        let mut log = Log::default();
        for fact in facts {
            log.add(QUERY, fact);
        }
        self.project(&log.0).await.unwrap();
    }

    /// The row of [`QUERY`] after these facts about it and no others.
    async fn row_after<const N: usize>(&self, facts: [DonorQueryEvent; N]) -> QueryRow {
        self.given(facts.map(Event::DonorQuery)).await;
        queries::find(&self.pool, QUERY).await.unwrap().expect("the query is there")
    }

    async fn clear(&self) {
        let tables: Vec<&str> = Projection::ALL.iter().flat_map(|projection| projection.tables()).copied().collect();
        sqlx::query(&format!("truncate {}", tables.join(", "))).execute(&self.pool).await.unwrap();
    }

    /// Applies a batch to every read model in one transaction.
    async fn project(&self, events: &[RecordedEvent]) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for projection in Projection::ALL {
            projection.project(&mut transaction, events).await?;
        }
        transaction.commit().await
    }

    /// Every row of every table, counters that came back to zero left out.
    async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in Projection::ALL.iter().flat_map(|projection| projection.tables()) {
            let all = format!("select '{table}' || row_to_json(t)::text from {table} as t order by 1");
            rows.extend(sqlx::query_scalar::<_, String>(&all).fetch_all(&self.pool).await.unwrap());
        }
        rows.retain(|row| !row.ends_with("\"value\":0}"));
        rows
    }
}

/// A log that is written by hand.
#[derive(Default)]
struct Log(Vec<RecordedEvent>, HashMap<StreamId, i64>);

impl Log {
    fn add(&mut self, query: QueryId, event: Event) {
        self.add_to(query, CALL, event);
    }

    fn add_to(&mut self, query: QueryId, call: CallId, event: Event) {
        let stream = match event {
            Event::DonorQuery(_) => StreamId::DonorQuery(query),
            Event::CallSession(_) => StreamId::CallSession(call),
        };
        let sequence = self.1.entry(stream).or_default();
        *sequence += 1;
        let position = Position(i64::try_from(self.0.len()).unwrap() + 1);
        self.0.push(RecordedEvent { position, stream, query, sequence: *sequence, ..recorded(event) });
    }

    /// Several random histories at once, with the call sessions that go with them.
    fn random(seed: u64, queries: u64, facts: usize) -> Self {
        let mut log = Self::default();
        let seeds = seed * queries..(seed + 1) * queries;
        let mut histories: Vec<_> = seeds.map(|seed| (seed, random_history(seed, facts).into_iter())).collect();
        while !histories.is_empty() {
            histories.retain_mut(|(seed, history)| {
                let Some(fact) = history.next() else { return false };
                let query = QueryId::new(seed.cast_signed() + 1);
                let session = session_fact(query, &fact);
                log.add(query, Event::DonorQuery(fact));
                if let Some((call, session)) = session {
                    log.add_to(query, call, Event::CallSession(session));
                }
                true
            });
        }
        log
    }
}

/// What a call session says when its query says this.
fn session_fact(query: QueryId, fact: &DonorQueryEvent) -> Option<(CallId, CallSessionEvent)> {
    match fact {
        DonorQueryEvent::CallAttached { call, room, mode, by, at, .. } => {
            let created = CallSessionEvent::CallCreated {
                query,
                donor_id: donor_id(),
                request: None,
                room: room.clone(),
                room_url: ROOM_URL.to_owned(),
                provider: "builtin".to_owned(),
                mode: *mode,
                by: by.clone(),
                expires_at: noon_plus(3600),
                at: *at,
            };
            Some((*call, created))
        }
        DonorQueryEvent::CallDetached { call, reason, .. } => Some((*call, call_ended(*reason))),
        _ => None,
    }
}

// One query.

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

// Messages.

/// A message to a query, with everything that tests vary.
fn message(id: i64, author: Author, recipient: Option<UserId>, message_type: MessageType) -> Event {
    Event::DonorQuery(DonorQueryEvent::MessagePosted {
        message: MessageId::new(id),
        author,
        recipient,
        message_type,
        content: text(&format!("words {id}")),
        call: None,
        request: None,
        at: noon_plus(id),
    })
}

fn ids(rows: &[messages::MessageRow]) -> Vec<i64> {
    rows.iter().map(|row| row.message_id.get()).collect()
}

#[tokio::test]
async fn a_message_says_who_spoke() {
    let desk = Desk::open().await;
    let system = Author::System;
    let authors = [Author::Donor, Author::Staff(ada().as_ref()), system];
    let facts = authors.into_iter().zip(1..).map(|(author, id)| message(id, author, None, MessageType::Query));
    desk.given(std::iter::once(Event::DonorQuery(opened())).chain(facts)).await;
    let rows = messages::of_query(&desk.pool, QUERY, &Page::first(10)).await.unwrap();
    let seen: Vec<_> =
        rows.iter().map(|row| (row.sender_type, row.sender_id, row.sender_name.as_deref(), &*row.donor_name)).collect();
    let expected = [
        (SenderType::System, None, None, "Dana Donor"),
        (SenderType::Admin, Some(ada().id), Some("Ada"), "Dana Donor"),
        (SenderType::Donor, None, Some("Dana Donor"), "Dana Donor"),
    ];
    assert_eq!(seen, expected);
    assert!(rows.iter().all(|row| row.donor_id == donor_id() && row.created_at == row.updated_at));
}

#[tokio::test]
async fn a_revised_message_keeps_its_place() {
    let desk = Desk::open().await;
    let at = noon_plus(90);
    let revision = DonorQueryEvent::MessageRevised {
        message: NOTICE,
        message_type: MessageType::CallEnded,
        content: text("VIDEO call ended"),
        call: Some(CALL),
        at,
    };
    let said = said(Author::Donor, MessageType::Chat, "Thanks");
    desk.given([opened(), told("requested a call"), said, revision].map(Event::DonorQuery)).await;
    let row = messages::find(&desk.pool, NOTICE).await.unwrap().unwrap();
    assert_eq!(
        (row.content.as_str(), row.message_type, row.call_id),
        ("VIDEO call ended", MessageType::CallEnded, Some(CALL))
    );
    assert_eq!(
        (row.created_at, row.updated_at, row.posted_position, row.position),
        (NOON, at, Position(2), Position(4))
    );
    let rows = messages::of_query(&desk.pool, QUERY, &Page::first(10)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.message_id).collect::<Vec<_>>(), [MESSAGE, NOTICE]);
    let about_the_call = messages::of_call(&desk.pool, QUERY, CALL).await.unwrap();
    assert_eq!(about_the_call.iter().map(|row| row.message_id).collect::<Vec<_>>(), [NOTICE]);
    assert_eq!(messages::notices_of_query(&desk.pool, QUERY, &Page::first(10)).await.unwrap(), about_the_call);
}

#[tokio::test]
async fn conversations_are_read_in_pages_and_by_people() {
    let (ada, ben) = (ada(), ben());
    let by = |staff: &Staff| Author::Staff(staff.as_ref());
    let desk = Desk::open().await;
    let mut log = Log::default();
    let other = QueryId::new(18);
    log.add(QUERY, Event::DonorQuery(opened()));
    log.add(other, Event::DonorQuery(opened()));
    log.add(QUERY, message(1, by(&ada), Some(ben.id), MessageType::Chat));
    log.add(other, message(2, by(&ben), Some(ada.id), MessageType::Chat));
    log.add(QUERY, message(3, Author::Donor, None, MessageType::Query));
    log.add(QUERY, message(4, by(&ada), Some(ben.id), MessageType::Query));
    log.add(other, message(5, by(&ada), None, MessageType::Chat));
    desk.project(&log.0).await.unwrap();

    let pool = &desk.pool;
    let first = Page::first(2);
    assert_eq!(ids(&messages::of_query(pool, QUERY, &first).await.unwrap()), [4, 3]);
    let next = Page::after(MessageId::new(3), 2);
    assert_eq!(ids(&messages::of_query(pool, QUERY, &next).await.unwrap()), [1]);
    let second = Page::at_offset(2, 2).unwrap();
    assert_eq!(ids(&messages::of_query(pool, QUERY, &second).await.unwrap()), [1]);
    assert_eq!(ids(&messages::of_donor(pool, &donor_id(), &Page::first(9)).await.unwrap()), [5, 4, 3, 2, 1]);
    assert_eq!(messages::of_donor(pool, &DonorId::new("nobody"), &Page::first(9)).await.unwrap(), []);
    assert_eq!(ids(&messages::between(pool, ada.id, ben.id, &Page::first(9)).await.unwrap()), [2, 1]);
    assert_eq!(ids(&messages::latest_of_queries(pool, &[QUERY, other], 2).await.unwrap()), [3, 4, 2, 5]);

    let none = messages::ListFilter::default();
    let filters = [
        (messages::ListFilter { query_id: Some(other), ..none.clone() }, vec![5, 2]),
        (messages::ListFilter { message_type: Some(MessageType::Query), ..none.clone() }, vec![4, 3]),
        (messages::ListFilter { sender_type: Some(SenderType::Donor), ..none.clone() }, vec![3]),
        (messages::ListFilter { sender_id: Some(ada.id), ..none.clone() }, vec![5, 4, 1]),
        (messages::ListFilter { recipient_id: Some(ada.id), ..none.clone() }, vec![2]),
        (messages::ListFilter { donor_id: Some(donor_id()), sender_id: Some(ben.id), ..none }, vec![2]),
    ];
    for (filter, expected) in filters {
        assert_eq!(ids(&messages::list(pool, &filter, &Page::first(9)).await.unwrap()), expected, "{filter:?}");
    }
}

// Calls and requests.

#[tokio::test]
async fn a_call_is_created_started_and_ended() {
    let desk = Desk::open().await;
    let facts = [call_created(), call_started(), call_ended(EndReason::Expired)].map(Event::CallSession);
    desk.given(facts[..1].to_vec()).await;
    let row = calls::find(&desk.pool, CALL).await.unwrap().unwrap();
    assert_eq!((row.status, row.admin_id, row.request_id), (CallStatus::Created, Some(ada().id), Some(REQUEST)));
    assert_eq!((row.mode, row.started_at, row.expires_at), (CallMode::Video, None, noon_plus(3600)));
    assert_eq!(calls::active_of_query(&desk.pool, QUERY).await.unwrap(), Some(row));

    desk.given(facts[..2].to_vec()).await;
    let row = calls::by_room(&desk.pool, &RoomName::new("quiet-otter")).await.unwrap().unwrap();
    assert_eq!((row.status, row.started_at), (CallStatus::Started, Some(NOON)));

    desk.given(facts).await;
    let rows = calls::of_query(&desk.pool, QUERY).await.unwrap();
    assert_eq!(rows, calls::of_ids(&desk.pool, &[CALL]).await.unwrap());
    assert_eq!((rows[0].status, rows[0].ended_at), (CallStatus::Ended, Some(NOON)));
    assert_eq!(rows[0].end_reason, Some(EndReason::Expired));
    assert_eq!(calls::active_of_query(&desk.pool, QUERY).await.unwrap(), None);
}

#[tokio::test]
async fn a_request_is_made_once_and_answered_once() {
    let desk = Desk::open().await;
    desk.given([opened(), call_requested()].map(Event::DonorQuery)).await;
    let row = requests::pending_of_query(&desk.pool, QUERY).await.unwrap().unwrap();
    assert_eq!((row.request_id, row.mode, row.message_id), (REQUEST, CallMode::Video, REQUEST_MESSAGE));
    assert_eq!((row.status, row.admin_id, row.call_id), (CallRequestStatus::Pending, None, None));

    let answers = [
        (request_accepted_by(&ada()), CallRequestStatus::Accepted, Some(ada().id), Some(CALL)),
        (request_rejected_by(&ada()), CallRequestStatus::Rejected, Some(ada().id), None),
        (request_cancelled(donor()), CallRequestStatus::Cancelled, None, None),
    ];
    for (answer, status, admin, call) in answers {
        desk.given([opened(), call_requested(), answer].map(Event::DonorQuery)).await;
        let row = requests::find(&desk.pool, REQUEST).await.unwrap().unwrap();
        assert_eq!((row.status, row.admin_id, row.call_id), (status, admin, call));
        assert_eq!(requests::pending_of_query(&desk.pool, QUERY).await.unwrap(), None);
        assert_eq!(requests::of_query(&desk.pool, QUERY).await.unwrap(), [row]);
    }
}

// The board.

#[tokio::test]
async fn the_board_counts_what_is_held_and_what_is_not() {
    let desk = Desk::open().await;
    let mut log = Log::default();
    let histories = [
        vec![opened()],
        vec![opened(), call_requested()],
        vec![opened(), accepted_by(&ada()), call_attached(CALL_MESSAGE, donor())],
        vec![opened(), accepted_by(&ada()), transferred(&ada(), &ben())],
        vec![opened(), accepted_by(&ada()), resolved_by(&ada())],
        vec![opened(), deleted_by(&cleo())],
    ];
    for (query, history) in (1..).map(QueryId::new).zip(histories) {
        for fact in history {
            log.add(query, Event::DonorQuery(fact));
        }
    }
    desk.project(&log.0).await.unwrap();

    let board = board::snapshot(&desk.pool).await.unwrap();
    assert_eq!((board.total(), board.unassigned(), board.pending_requests(), board.active_calls()), (5, 2, 1, 1));
    assert_eq!((board.held_by(ada().id), board.held_by(ben().id), board.transferred_to(ben().id)), (1, 1, 1));
    assert_eq!((board.of_status(QueryStatus::InProgress), board.of_status(QueryStatus::Resolved)), (3, 1));
    assert_eq!(board.holders(), [ada().id, ben().id]);
    let open = [QueryStatus::InProgress, QueryStatus::PendingReply];
    assert_eq!(board::count(&desk.pool, &open, Assigned::Unassigned).await.unwrap(), 2);
    assert_eq!(board::count(&desk.pool, &open, Assigned::To(ada().id)).await.unwrap(), 1);
}

#[tokio::test]
async fn the_board_agrees_with_a_recount() {
    let desk = Desk::open().await;
    for batch in Log::random(3, 20, 60).0.chunks(100) {
        desk.project(batch).await.unwrap();
    }
    let recount: Vec<(String, i64, i64)> = sqlx::query_as(
        "select status, coalesce(assigned_to_id, 0), count(*)
         from queries
         where not deleted
         group by 1, 2
         order by 1, 2",
    )
    .fetch_all(&desk.pool)
    .await
    .unwrap();
    let counted: Vec<(String, i64, i64)> = sqlx::query_as(
        "select counter, holder, value
         from board
         where value <> 0
           and counter not in ('PENDING_REQUESTS', 'ACTIVE_CALLS')
         order by 1, 2",
    )
    .fetch_all(&desk.pool)
    .await
    .unwrap();
    assert_eq!(counted, recount);
}

// Batches.

#[tokio::test]
async fn a_batch_applied_twice_changes_nothing() {
    let desk = Desk::open().await;
    let log = Log::random(1, 6, 80);
    desk.project(&log.0).await.unwrap();
    let before = desk.rows().await;
    desk.project(&log.0).await.unwrap();
    desk.project(&log.0[..log.0.len() / 2]).await.unwrap();
    desk.project(&log.0[log.0.len() / 3..]).await.unwrap();
    assert_eq!(desk.rows().await, before);
}

#[tokio::test]
async fn however_a_history_is_cut_the_rows_are_the_same() {
    let log = Log::random(2, 5, 60);
    let desk = Desk::open().await;
    desk.project(&log.0).await.unwrap();
    let expected = desk.rows().await;
    for length in [1, 2, 7, 50] {
        desk.clear().await;
        for batch in log.0.chunks(length) {
            desk.project(batch).await.unwrap();
        }
        assert_eq!(desk.rows().await, expected, "in batches of {length}");
    }
}

#[tokio::test]
async fn partitions_may_overtake_each_other() {
    let log = Log::random(2, 5, 60);
    let desk = Desk::open().await;
    desk.project(&log.0).await.unwrap();
    let together = desk.rows().await;
    desk.clear().await;
    for partition in Partition::all() {
        let of_partition: Vec<_> = log.0.iter().filter(|fact| fact.partition() == partition).cloned().collect();
        desk.project(&of_partition).await.unwrap();
    }
    assert_eq!(desk.rows().await, together);
}

#[tokio::test]
async fn a_fact_whose_past_is_missing_fails_the_batch() {
    let desk = Desk::open().await;
    for fact in [Event::DonorQuery(accepted_by(&ada())), Event::CallSession(call_started())] {
        let error = desk.project(&[recorded(fact)]).await.unwrap_err();
        assert!(error.to_string().contains("came before what it changes"), "{error}");
    }
    assert_eq!(desk.rows().await, Vec::<String>::new());
}

// Checkpoints.

#[tokio::test]
async fn a_checkpoint_moves_only_from_where_it_is() {
    let desk = Desk::open().await;
    let mut connection = desk.pool.acquire().await.unwrap();
    let (one, two) = (Partition(1), Partition(2));
    let moves = [
        (Projection::Queries, one, Position::START, Position(7)),
        (Projection::Board, two, Position::START, Position(9)),
    ];
    assert!(checkpoint::advance(&mut connection, &moves).await.unwrap());
    let positions = checkpoint::load(&mut connection, Projection::Queries).await.unwrap();
    assert_eq!((positions.len(), positions[1], positions[2]), (16, Position(7), Position::START));
    assert!(!checkpoint::advance(&mut connection, &moves).await.unwrap(), "somebody was faster");
}

#[test]
fn every_projection_has_a_name_of_its_own() {
    for projection in Projection::ALL {
        assert_eq!(Projection::parse(projection.name()), Some(*projection));
    }
    assert_eq!(Projection::parse("nonsense"), None);
}

// Lists.

/// Twelve queries a minute apart: Ada holds every third, donors alternate, every fourth waits for a reply.
async fn twelve() -> Desk {
    let desk = Desk::open().await;
    let mut log = Log::default();
    for number in 1..=12 {
        let query = QueryId::new(number);
        let DonorQueryEvent::QueryOpened { donor, test, stage, device, .. } = opened() else {
            unreachable!("the sample is what it says")
        };
        let donor_id = DonorId::new(format!("donor-{}", number % 2));
        let session = DonorSession(uuid::Uuid::from_u128(number.unsigned_abs().into()));
        // Two at a time share a minute, so that the id has to break ties.
        let at = noon_plus(number / 2 * 60);
        log.add(
            query,
            Event::DonorQuery(DonorQueryEvent::QueryOpened { donor, donor_id, session, test, stage, device, at }),
        );
        if number % 3 == 0 {
            log.add(query, Event::DonorQuery(DonorQueryEvent::QueryAccepted { by: ada().as_ref(), at }));
        }
        if number % 4 == 0 {
            log.add(query, Event::DonorQuery(DonorQueryEvent::QueryMarkedPendingReply { by: staff(&ada()), at }));
        }
    }
    desk.project(&log.0).await.unwrap();
    desk
}

/// Every id of a list, read page by page.
async fn walk(desk: &Desk, filter: &ListFilter, order: Order, limit: i64) -> Vec<i64> {
    let mut seen = Vec::new();
    let mut page = Page::first(limit);
    loop {
        let slice = queries::list(&desk.pool, filter, order, &page).await.unwrap();
        seen.extend(slice.rows.iter().map(|row| row.query_id.get()));
        let Some(next) = slice.next else { return seen };
        let next = Cursor::parse(&next.to_string(), order).unwrap();
        page = Page::after(next, limit);
    }
}

#[tokio::test]
async fn following_cursors_visits_every_row_once_and_in_order() {
    let desk = twelve().await;
    let ascending: Vec<i64> = (1..=12).collect();
    let descending: Vec<i64> = (1..=12).rev().collect();
    for limit in [1, 2, 5, 12, 200] {
        let all = ListFilter::default();
        assert_eq!(walk(&desk, &all, Order::CreatedAsc, limit).await, ascending);
        assert_eq!(walk(&desk, &all, Order::CreatedDesc, limit).await, descending);
        assert_eq!(walk(&desk, &all, Order::UpdatedDesc, limit).await, descending);
    }
}

#[tokio::test]
async fn numbered_pages_show_the_same_rows_as_cursors() {
    let desk = twelve().await;
    let page = Page::numbered(2, 5).unwrap();
    let slice = queries::list(&desk.pool, &ListFilter::default(), Order::CreatedAsc, &page).await.unwrap();
    assert_eq!(slice.rows.iter().map(|row| row.query_id.get()).collect::<Vec<_>>(), [6, 7, 8, 9, 10]);
    assert_eq!((slice.total.count, slice.total.exact), (12, true));
    let cursor = slice.next.unwrap();
    assert_eq!(Cursor::parse(&cursor.to_string(), Order::UpdatedDesc), Err(InvalidCursor::OtherOrder));
    assert_eq!(Page::<Cursor>::numbered(MAX_DEPTH, 2), Err(TooDeep));
    assert_eq!(Page::<Cursor>::numbered(i64::MAX, i64::MAX), Err(TooDeep));
}

#[tokio::test]
async fn a_filter_lets_through_what_it_names() {
    let desk = twelve().await;
    let none = ListFilter::default();
    let session = DonorSession(uuid::Uuid::from_u128(5));
    let filters = [
        (ListFilter { statuses: vec![QueryStatus::PendingReply], ..none.clone() }, vec![4, 8, 12], true),
        (ListFilter { statuses: vec![QueryStatus::PendingReply; 2], ..none.clone() }, vec![4, 8, 12], true),
        (ListFilter { statuses: vec![QueryStatus::Resolved], ..none.clone() }, vec![], true),
        (ListFilter { assigned: Assigned::To(ada().id), ..none.clone() }, vec![3, 6, 9, 12], true),
        (
            ListFilter { assigned: Assigned::Unassigned, donor_id: Some(DonorId::new("donor-0")), ..none.clone() },
            vec![2, 4, 8, 10],
            true,
        ),
        (ListFilter { donor_session: Some(session), ..none.clone() }, vec![5], true),
        (ListFilter { transferred_to: Some(ben().id), ..none.clone() }, vec![], true),
        (
            ListFilter {
                donor_name: Some("Dana Donor".to_owned()),
                stage: Some("Elsewhere".to_owned()),
                ..none.clone()
            },
            vec![],
            true,
        ),
        (
            ListFilter { device: Some("Cuff 3".to_owned()), created_until: Some(noon_plus(60)), ..none.clone() },
            vec![1],
            true,
        ),
        (
            ListFilter { test: Some("Blood pressure".to_owned()), created_from: Some(noon_plus(360)), ..none.clone() },
            vec![12],
            true,
        ),
        (ListFilter { search: Some("DONOR-1".to_owned()), ..none }, vec![1, 3, 5, 7, 9, 11], true),
    ];
    for (filter, expected, exact) in filters {
        assert_eq!(walk(&desk, &filter, Order::CreatedAsc, 2).await, expected, "{filter:?}");
        let slice = queries::list(&desk.pool, &filter, Order::CreatedAsc, &Page::first(1)).await.unwrap();
        assert_eq!(
            (slice.total.count, slice.total.exact),
            (i64::try_from(expected.len()).unwrap(), exact),
            "{filter:?}"
        );
    }
}
