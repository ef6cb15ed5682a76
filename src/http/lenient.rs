//! Scalars as the clients of the old system send them: a number where text is meant, digits where a number is.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::accounts::Change;

/// Text, also from a number or a truth value.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(optional_text(deserializer)?.unwrap_or_default())
}

/// Text or nothing.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => Err(D::Error::custom("must be text")),
    }
}

/// A word, or nothing if it is empty.
pub(super) fn optional_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(optional_text(deserializer)?.filter(|word| !word.is_empty()))
}

/// New text, or nothing any more if it is null or empty. An absent field is [`Change::Keep`] by default.
pub(super) fn change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Change<String>, D::Error> {
    Ok(optional_word(deserializer)?.map_or(Change::Clear, Change::Set))
}

/// A truth value, also as a word, or nothing.
pub(super) fn optional_truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(truth) => Ok(Some(truth)),
        Value::String(text) if text == "true" => Ok(Some(true)),
        Value::String(text) if text == "false" => Ok(Some(false)),
        Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(D::Error::custom("must be true or false"))
        }
    }
}

/// A whole number, also from its digits, or nothing.
pub(super) fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let wrong = || D::Error::custom("must be a whole number");
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|_| wrong()),
        Value::Number(number) => number.as_i64().map(Some).ok_or_else(wrong),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

/// The number of a page or of its rows, also from its digits, or nothing. Fractions are cut.
#[allow(clippy::cast_possible_truncation, reason = "a float that is too large for a page becomes the largest number")]
pub(super) fn optional_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let wrong = || D::Error::custom("must be a number");
    let number = match Value::deserialize(deserializer)? {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_f64(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.is_finite()).map(|number| Some(number.trunc() as i64)).ok_or_else(wrong)
}

/// Words: repeated, or with commas between them.
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let split =
        |text: &str| text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(split(&text)),
        Value::Array(values) => {
            let texts = values.iter().map(|value| value.as_str().ok_or_else(|| D::Error::custom("must be text")));
            let lists: Vec<Vec<String>> = texts.map(|text| text.map(split)).collect::<Result<_, _>>()?;
            Ok(lists.concat())
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(D::Error::custom("must be a list of words")),
    }
}
