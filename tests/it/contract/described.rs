//! Compares answers with the API's description: a key that is told without being described fails a test.

use std::sync::OnceLock;

use reqwest::Method;
use serde_json::{Map, Value};

use crate::support::app::Answer;

/// Insists that the description knows the path, the status, and every key and type of the body. What it requires is not
/// looked at: donors are told less than staff by the same paths, and the shapes say what must be there.
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    let described = operation(method, path).unwrap_or_else(|| panic!("{method} {path} is not described"));
    let response = &described["responses"][answer.status.as_str()];
    assert!(response.is_object(), "the description of {method} {path} has no {}: {answer}", answer.status);
    let schema = &response["content"]["application/json"]["schema"];
    let mut wrongs = Vec::new();
    compare(schema, &answer.body, "", &mut wrongs);
    assert!(wrongs.is_empty(), "not as described: {wrongs:#?} in {answer}");
}

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT
        .get_or_init(|| serde_json::to_value(proof_concierge::http::openapi(proof_concierge::push::openapi())).unwrap())
}

/// The operation that serves a path: of all templates that match, the one with the fewest values.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = document()["paths"].as_object().unwrap().iter();
    let matching = paths
        .filter(|(template, item)| item.get(method.as_str().to_lowercase()).is_some() && does_match(template, path));
    let best = matching.min_by_key(|(template, _)| template.matches('{').count())?;
    best.1.get(method.as_str().to_lowercase())
}

fn does_match(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(word, value)| word.starts_with('{') || word.eq_ignore_ascii_case(value))
}

fn compare(schema: &Value, value: &Value, at: &str, wrongs: &mut Vec<String>) {
    let schema = resolved(schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let attempts = choices.iter().filter(|choice| value.is_null() || choice["type"] != "null").map(|choice| {
            let mut wrongs = Vec::new();
            compare(choice, value, at, &mut wrongs);
            wrongs
        });
        let fewest = attempts.min_by_key(Vec::len).unwrap_or_default();
        return wrongs.extend(fewest);
    }
    if !has_type(schema, value) {
        return wrongs.push(format!("{at} is {value}, and should be {}", schema["type"]));
    }
    match value {
        Value::Object(fields) => compare_fields(schema, fields, at, wrongs),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                compare(&schema["items"], value, &format!("{at}/{index}"), wrongs);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn compare_fields(schema: &Value, fields: &Map<String, Value>, at: &str, wrongs: &mut Vec<String>) {
    let mut known = Map::new();
    properties(schema, &mut known);
    // An object without any described key may hold whatever it likes.
    let is_free = known.is_empty();
    for (key, value) in fields {
        let at = format!("{at}/{key}");
        match known.get(key) {
            Some(schema) => compare(schema, value, &at, wrongs),
            None if is_free => {}
            None => wrongs.push(format!("{at} is not described")),
        }
    }
}

/// The keys of an object, wherever its description has them from.
fn properties(schema: &Value, into: &mut Map<String, Value>) {
    let schema = resolved(schema);
    into.extend(schema["properties"].as_object().cloned().unwrap_or_default());
    for part in schema["allOf"].as_array().into_iter().flatten() {
        properties(part, into);
    }
}

fn resolved(schema: &Value) -> &Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    let named = document().pointer(reference.trim_start_matches('#'));
    resolved(named.unwrap_or_else(|| panic!("nothing at {reference}")))
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let fits = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match &schema["type"] {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}
