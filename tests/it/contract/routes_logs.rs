//! The journals, in the shapes that the old server had for files.

use serde_json::json;

use super::shape::{insist, with};
use super::wire::Wire;
use crate::support::desk::desk;
use crate::support::eventually::eventually;

#[tokio::test]
async fn the_journals_read_like_the_files_they_were() {
    let desk = desk().await;
    let (sue, ada) = (Wire(desk.staff("sue").await), Wire(desk.staff("ada").await));
    ada.get("logs", 403).await;
    let files = async || sue.get("logs", 200).await;
    let limit = std::time::Duration::from_secs(20);
    let files = eventually(limit, files, |files| files.at("/logFiles").as_array().unwrap().len() >= 3).await;
    let file = json!({ "name": "str", "size": "int", "sizeFormatted": "str", "created": "time", "modified": "time" });
    insist(&files.body, &json!({ "logFiles": [file] }));
    for journal in ["application", "errors", "user-activity"] {
        let mut files = files.at("/logFiles").as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap());
        let name = files.find(|name| name.starts_with(journal)).unwrap_or_else(|| panic!("no file {journal}"));
        let page = sue.get(&format!("logs/{name}"), 200).await;
        insist(
            &page.body,
            &json!({
                "filename": "str", "page": "int", "linesPerPage": "int", "totalLines": "int", "totalPages": "int",
                "content": ["str"],
            }),
        );
        assert_eq!((page.at("/page"), page.at("/linesPerPage")), (&json!(1), &json!(100)));
        let searched = sue.get(&format!("logs/{name}?search=log_in&lines=2"), 200).await;
        insist(&searched.body, &json!({ "filename": "str", "searchTerm": "str", "lines": "int", "content": ["str"] }));
    }
    sue.get("logs/errors-1999-01-01.txt", 404).await;
    let found = json!({ "searchType": "str", "count": "int", "limit": "int", "logs": ["object"] });
    for journal in ["all", "errors", "user-activity", "application", "whatever"] {
        insist(&sue.get(&format!("logs/search/{journal}"), 200).await.body, &found);
    }
    let narrowed =
        format!("logs/search/all?query=log&from=2020-01-01&to=2099-01-01&limit=5&userId={}", desk.id_of("ada"));
    let narrowed = sue.get(&narrowed, 200).await;
    let echoed = json!({ "searchPattern": "str", "fromDate": "str", "toDate": "str", "userId": "int" });
    insist(&narrowed.body, &with(found, &echoed));
    let overview = sue.get("logs/stats/overview", 200).await;
    insist(
        &overview.body,
        &json!({ "stats": {
        "totalLogs": "int", "errorCount": "int", "userActivities": "int", "todayErrors": "int", "spaceUsage": "str",
    } }),
    );
}
