//! Batches and checkpoints: however a history is cut, the rows are the same.

use super::*;

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
