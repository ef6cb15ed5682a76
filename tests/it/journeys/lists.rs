//! Lists: what is in them, how they are cut, and what they refuse.

use std::time::Duration;

use serde_json::json;
use sqlx::Executor;

use crate::support::desk::{desk, desk_with};
use crate::support::eventually::eventually;

#[tokio::test]
async fn a_list_is_followed_by_its_cursor_or_by_page_numbers() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let mut opened = Vec::new();
    for number in 0..5 {
        opened.push(desk.donor(&format!("d-{number}")).await.1);
    }
    let first = ada.get("/api/v1/donor-queries/unassigned?limit=2").await.expect(200);
    assert_eq!((first.at("/total"), first.at("/totalExact")), (&json!(5), &json!(true)));
    let mut seen = ids(&first.body);
    let mut cursor = first.at("/nextCursor").as_str().map(str::to_owned);
    while let Some(text) = cursor {
        let page = ada.get(&format!("/api/v1/donor-queries/unassigned?limit=2&cursor={text}")).await.expect(200);
        seen.extend(ids(&page.body));
        cursor = page.at("/nextCursor").as_str().map(str::to_owned);
    }
    assert_eq!(seen, opened, "who has waited longest comes first");
    let last = ada.get("/api/v1/donor-queries/unassigned?page=3&limit=2").await.expect(200);
    assert_eq!((ids(&last.body), last.at("/page")), (vec![opened[4]], &json!(3)));
}

#[tokio::test]
async fn filters_of_both_generations_narrow_a_list() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let count = async |filters: &str| {
        let list = ada.get(&format!("/api/v1/donor-queries/general?{filters}")).await.expect(200);
        ids(&list.body).len()
    };
    assert_eq!(count("test=Cheek+swab&stage=&queryMode=Video+Call").await, 1);
    assert_eq!(count("device=Nokia").await, 0);
    assert_eq!(count("search=DORA").await, 1);
    assert_eq!(count("startDate=2000-01-01&endDate=2000-12-31").await, 0);
    assert_eq!(count("status=IN_PROGRESS").await, 0);
    ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    assert_eq!(count(&format!("assignedToId={}", desk.id_of("ada"))).await, 1);
    let one = ada.get("/api/v1/donor-queries/filtered/statuses?statuses=IN_PROGRESS").await.expect(200);
    assert_eq!(ids(&one.body), [id]);
    for odd in ["page=0", "page=-1", "page=1.5", "limit=0", "limit=-1", "limit=2.9", "limit=5000"] {
        assert_eq!(count(&format!("{odd}&assignedToId={}", desk.id_of("ada"))).await, 1, "{odd}");
    }
    let absurd_cursor = "cursor=d.-90000000000000000.1";
    let wrongs = ["page=abc", "limit=NaN", "date=yesterday", "status=OPEN", "cursor=x", "search=a%00b", absurd_cursor];
    for wrong in wrongs.into_iter().chain(["startDate=-4800-01-01", "endDate=%2B262000-01-01", "date=0000-01-01"]) {
        let refused = ada.get(&format!("/api/v1/donor-queries/general?{wrong}")).await.expect(400);
        assert_eq!(*refused.at("/code"), "validation_failed");
    }
    ada.get("/api/v1/donor-queries/status/open").await.expect(400);
}

#[tokio::test]
async fn a_list_does_not_wait_for_searches() {
    const LIMIT: Duration = Duration::from_secs(20);
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let mut lock = desk.pool().begin().await.unwrap();
    lock.execute("lock table read.query_details in access exclusive mode").await.unwrap();
    let search = |number: usize| {
        let (ada, path) = (ada.clone(), format!("/api/v1/donor-queries/general?search=dora&limit={}", number + 1));
        tokio::spawn(async move { ada.get(&path).await })
    };
    let mut searches = vec![search(0)];
    let waiting = "select count(*) from pg_locks where not granted and relation = 'read.query_details'::regclass";
    let waiting = async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(desk.pool()).await.unwrap();
    eventually(LIMIT, waiting, |waiting| *waiting == 1).await;
    searches.extend((1..20).map(search));
    eventually(LIMIT, waiting, |waiting| *waiting > 1).await;
    let list = ada.get("/api/v1/donor-queries/unassigned");
    let list = tokio::time::timeout(Duration::from_secs(5), list).await.expect("nobody searches here");
    assert_eq!(ids(&list.expect(200).body), [id]);
    lock.rollback().await.unwrap();
    for search in searches {
        assert_eq!(ids(&search.await.unwrap().expect(200).body), [id]);
    }
}

#[tokio::test]
async fn a_read_without_end_is_given_up_and_its_turn_is_the_next_ones() {
    let desk = desk_with(|config| {
        // One search at a time.
        config.read_connections = 2;
        config.read_timeout_ms = 1_000;
    })
    .await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let search = "/api/v1/donor-queries/general?search=dora";
    let mut lock = desk.pool().begin().await.unwrap();
    lock.execute("lock table read.queries, read.query_details in access exclusive mode").await.unwrap();
    for path in [search, search, &format!("/api/v1/donor-queries/{id}")] {
        let given_up = ada.get(path).await.expect(503);
        assert_eq!((given_up.at("/code"), given_up.header("retry-after")), (&json!("read_timeout"), "5"));
    }
    lock.rollback().await.unwrap();
    assert_eq!(ids(&ada.get(search).await.expect(200).body), [id]);
}

fn ids(body: &serde_json::Value) -> Vec<i64> {
    body["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}
