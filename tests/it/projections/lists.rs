//! Lists: cursors, numbered pages, filters.

use super::*;

/// Twelve queries a minute apart: Ada holds every third, donors alternate, every fourth waits for a reply.
async fn twelve() -> Desk {
    queries_in_turn(12, |_| "Cuff 3".to_owned()).await
}

async fn queries_in_turn(many: i64, device: impl Fn(i64) -> String) -> Desk {
    let desk = Desk::open().await;
    let mut log = Log::default();
    for number in 1..=many {
        let query = QueryId::new(number);
        let DonorQueryEvent::QueryOpened { donor, test, stage, .. } = opened() else {
            unreachable!("the sample is what it says")
        };
        let device = device(number);
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
        (ListFilter { search: Some("DONOR-1".to_owned()), ..none.clone() }, vec![1, 3, 5, 7, 9, 11], true),
        (
            ListFilter { search: Some("BLOOD pr".to_owned()), assigned: Assigned::To(ada().id), ..none },
            vec![3, 6, 9, 12],
            true,
        ),
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

#[tokio::test]
async fn a_search_that_finds_more_than_it_names_shows_what_it_finds_in_order() {
    // One device for all, and one each: many queries that a term names, and more terms than are named.
    let shared: fn(i64) -> String = |_| "Cuff 3".to_owned();
    let own: fn(i64) -> String = |number| format!("Cuff {number}");
    for (device, search) in [(shared, ["blood", "cuff 3", "dana", "an"]), (own, ["blood", "cuff", "dana", "uf"])] {
        let desk = queries_in_turn(5_100, device).await;
        for search in search {
            let filter = ListFilter { search: Some(search.to_owned()), ..ListFilter::default() };
            assert_eq!(found(&desk, &filter).await, (vec![5_100, 5_099], 1_000, false), "{search}");
            let held = ListFilter {
                assigned: Assigned::To(ada().id),
                created_from: Some(noon_plus(2_000 * 60)),
                ..filter.clone()
            };
            assert_eq!(found(&desk, &held).await, (vec![5_100, 5_097], 367, true), "{search}");
            let elsewhere = ListFilter { stage: Some("Elsewhere".to_owned()), ..filter };
            assert_eq!(found(&desk, &elsewhere).await, (vec![], 0, true), "{search}");
        }
    }
}

/// The first two of a list, and how long it is.
async fn found(desk: &Desk, filter: &ListFilter) -> (Vec<i64>, i64, bool) {
    let slice = queries::list(&desk.pool, filter, Order::CreatedDesc, &Page::first(2)).await.unwrap();
    (slice.rows.iter().map(|row| row.query_id.get()).collect(), slice.total.count, slice.total.exact)
}
