//! The board: maintained counters that agree with a recount.

use super::*;

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
