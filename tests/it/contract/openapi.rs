//! The API's description is reviewed like code: a change of the wire shows here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::desk::desk;

#[test]
fn the_description_of_the_api() {
    insta::assert_json_snapshot!(proof_concierge::http::openapi(proof_concierge::push::openapi()));
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let desk = desk().await;
    let document = desk.anonymous().get("/api/openapi.json").await.expect(200).body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "nothing at {reference}");
    }
    let page = desk.anonymous().get("/api/docs/").await.expect(200);
    assert!(!page.to_string().contains("https://"), "the page needs the network: {page}");
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = serde_json::to_value(proof_concierge::http::openapi(proof_concierge::push::openapi())).unwrap();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} of {path} is taken");
        }
    }
    assert!(names.contains("patchDonorQueriesByIdAccept"), "{names:?}");
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            references.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
