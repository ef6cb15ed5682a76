//! Messages: who said what, revised in place, read in pages.

use super::*;

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
    let seen: Vec<_> = rows.iter().map(|row| (row.sender_type, row.sender_id, row.sender_name.as_deref())).collect();
    let expected = [
        (SenderType::System, None, None),
        (SenderType::Admin, Some(ada().id), Some("Ada")),
        (SenderType::Donor, None, Some("Dana Donor")),
    ];
    assert_eq!(seen, expected);
    assert!(rows.iter().all(|row| row.donor_id == Some(donor_id()) && row.donor_name.as_deref() == Some("Dana Donor")));
    assert!(rows.iter().all(|row| row.created_at == row.updated_at));
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
    let row = messages::find(&desk.pool, NOTICE, None).await.unwrap().unwrap();
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
    assert_eq!(ids(&messages::between(pool, ada.id, ben.id, ada.id, &Page::first(9)).await.unwrap()), [2, 1]);
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
        assert_eq!(ids(&messages::list(pool, &filter, None, &Page::first(9)).await.unwrap()), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_chat_is_found_by_its_two_members_and_by_nobody_else() {
    let desk = Desk::open().await;
    let said = Event::StaffChat(chat_said(&ada(), &ben(), "Lunch at one?"));
    desk.given([Event::DonorQuery(opened()), message(1, Author::Staff(ada().as_ref()), None, MessageType::Chat), said])
        .await;
    let (pool, page, everything) = (&desk.pool, Page::first(9), messages::ListFilter::default());
    for (reader, seen) in [(Some(ada().id), vec![MESSAGE.get(), 1]), (Some(cleo().id), vec![1]), (None, vec![1])] {
        assert_eq!(ids(&messages::list(pool, &everything, reader, &page).await.unwrap()), seen, "{reader:?}");
        let is_member = seen.len() == 2;
        assert_eq!(messages::find(pool, MESSAGE, reader).await.unwrap().is_some(), is_member, "{reader:?}");
    }
    for (reader, seen) in [(ben().id, vec![MESSAGE.get()]), (cleo().id, vec![])] {
        let between = messages::between(pool, ben().id, ada().id, reader, &page).await.unwrap();
        assert_eq!(ids(&between), seen, "{reader}");
    }
    let row = messages::find(pool, MESSAGE, Some(ben().id)).await.unwrap().unwrap();
    assert_eq!((row.query_id, row.donor_id, row.donor_name), (None, None, None));
    assert_eq!((row.sender_name.as_deref(), row.recipient_id), (Some("Ada"), Some(ben().id)));
    assert_eq!(ids(&messages::of_query(pool, CHAT.place(), &page).await.unwrap()), [0; 0]);
}
