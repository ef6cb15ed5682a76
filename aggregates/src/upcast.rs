//! Lifts facts of older formats to the one this version reads.

use cqrs_es::persist::{EventUpcaster, SemanticVersionEventUpcaster};
use serde_json::Value;

/// Every upcaster, oldest first.
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    vec![Box::new(SemanticVersionEventUpcaster::new("CallRequested", "2.0", Box::new(call_requested_with_mode)))]
}

/// 1.0 kept the old system's free-text `call_type` (`video` or `audio`); 2.0 keeps the mode.
fn call_requested_with_mode(mut payload: Value) -> Value {
    if let Some(fact) = payload.get_mut("CallRequested").and_then(Value::as_object_mut)
        && let Some(call_type) = fact.remove("call_type")
    {
        let mode = if call_type == "audio" { "AUDIO" } else { "VIDEO" };
        fact.insert("mode".to_owned(), Value::from(mode));
    }
    payload
}
