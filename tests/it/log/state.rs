//! Loading: snapshot plus tail is the same as all the facts.

use aggregates::donor_query::DonorQuery;
use aggregates::ids::QueryId;
use aggregates::testing::random_history;
use proof_concierge::log::Loaded;
use sqlx::Executor;

use super::facts;
use crate::support::database::database;
use crate::support::node;

#[tokio::test]
async fn snapshot_plus_tail_equals_full_replay_for_random_histories() {
    let database = database().await;
    for seed in 0..12_u64 {
        let history = random_history(seed, 40);
        let query = 1 + i64::try_from(seed).unwrap();
        let cut = usize::try_from(seed * 7).unwrap() % history.len();
        let id = QueryId::new(query);
        let log = node::log(&database);
        if cut > 0 {
            log.append(facts(query, 0, history[..cut].to_vec())).await.unwrap();
        }
        let at_cut: Loaded<DonorQuery> = log.load_from_facts(id).await.unwrap();
        log.save_snapshot(id, &at_cut).await.unwrap();
        log.append(facts(query, i64::try_from(cut).unwrap(), history[cut..].to_vec())).await.unwrap();
        let shortcut: Loaded<DonorQuery> = log.load_cold(id).await.unwrap();
        let replayed: Loaded<DonorQuery> = log.load_from_facts(id).await.unwrap();
        assert_eq!(
            (&shortcut.state, shortcut.version),
            (&replayed.state, replayed.version),
            "seed {seed}, cut at {cut}"
        );
        let folded = history.into_iter().fold(DonorQuery::default(), DonorQuery::evolve);
        assert_eq!(*replayed.state, folded, "seed {seed}");
    }
}

#[tokio::test]
async fn a_snapshot_made_by_other_code_is_ignored() {
    let database = database().await;
    let log = node::log(&database);
    let history = random_history(3, 20);
    log.append(facts(17, 0, history)).await.unwrap();
    let loaded: Loaded<DonorQuery> = log.load_from_facts(QueryId::new(17)).await.unwrap();
    log.save_snapshot(QueryId::new(17), &loaded).await.unwrap();
    let lie = "update snapshots set schema_hash = 'other code', state = '\"Absent\"', version = 1";
    database.pool.execute(lie).await.unwrap();
    let again: Loaded<DonorQuery> = log.load_cold(QueryId::new(17)).await.unwrap();
    assert_eq!((again.state, again.version), (loaded.state, loaded.version));
}
