//! Text about a person: known, or erased for ever.

use serde::{Deserialize, Serialize};

/// A value that the log seals with its donor's key before it is stored and opens when it is read.
///
/// Domain code never meets a cipher: it sees the value, or that its key is gone. In JSON a known value is
/// `{"$personal": <value>}` and an erased one `{"$erased": true}`; the log's codec replaces the first by a sealed box and
/// gives back either of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Personal<T> {
    /// The value.
    #[serde(rename = "$personal")]
    Known(T),
    /// The donor was erased: the fact stands, the text is gone.
    #[serde(rename = "$erased")]
    Erased(bool),
}

impl<T> Personal<T> {
    /// Wraps a value that is about a person.
    pub fn known(value: impl Into<T>) -> Self {
        Self::Known(value.into())
    }

    /// The value, unless its key is gone.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Erased(_) => None,
        }
    }
}

impl Personal<String> {
    /// The text, or a placeholder fit for a reader.
    pub fn as_str(&self) -> &str {
        self.get().map_or("[erased]", String::as_str)
    }
}
