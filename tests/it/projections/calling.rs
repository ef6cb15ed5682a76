//! Calls and requests for them.

use super::*;

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
