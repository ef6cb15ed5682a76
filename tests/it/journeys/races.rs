//! Many at once: one wins, everybody is told the truth.

use futures_util::future::join_all;
use reqwest::Method;

use crate::support::desk::{desk, query_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_accept_at_once_and_one_does() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let people = [desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await];
    let path = format!("/api/v1/donor-queries/{query}/accept");
    let accepts = (0..50).map(|turn| &people[turn % people.len()]);
    let answers = join_all(accepts.map(|person| person.send(person.request(Method::PATCH, &path)))).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 409).collect();
    assert_eq!((accepted.len(), refused.len()), (1, 49));
    let holder = accepted[0].at("/data/assignedToUser/id");
    assert!(refused.iter().all(|answer| answer.at("/assignedTo/id") == holder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_opens_of_one_donor_make_one_query() {
    let desk = desk().await;
    let anonymous = desk.anonymous();
    let body = query_of("d-1");
    let answers = join_all((0..50).map(|_| anonymous.post("/api/v1/donor-queries", &body))).await;
    let opened = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((opened, refused), (1, 49));
    let listed = desk.staff("ada").await.get("/api/v1/donor-queries/general").await.expect(200);
    assert_eq!(listed.at("/data").as_array().unwrap().len(), 1);
}
