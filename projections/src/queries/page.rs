//! The orders a list of queries comes in, and the cursor that names a row in one of them.

use std::fmt;

use aggregates::ids::QueryId;
use chrono::{DateTime, Datelike, Utc};
use thiserror::Error;

use super::row::QueryRow;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Who has waited longest comes first.
    CreatedAsc,
    /// Newest first.
    #[default]
    CreatedDesc,
    /// What changed last comes first.
    UpdatedDesc,
}

impl Order {
    /// The column that decides; the id breaks ties.
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::CreatedAsc | Self::CreatedDesc => "created_at",
            Self::UpdatedDesc => "updated_at",
        }
    }

    /// The direction of both columns.
    pub(crate) const fn direction(self) -> &'static str {
        match self {
            Self::CreatedAsc => "asc",
            Self::CreatedDesc | Self::UpdatedDesc => "desc",
        }
    }

    /// How a later row compares with an earlier one.
    pub(crate) const fn comparison(self) -> &'static str {
        match self {
            Self::CreatedAsc => ">",
            Self::CreatedDesc | Self::UpdatedDesc => "<",
        }
    }

    /// The cursor of a row in a list of this order.
    pub(crate) fn cursor(self, row: &QueryRow) -> Cursor {
        let at = match self {
            Self::CreatedAsc | Self::CreatedDesc => row.created_at,
            Self::UpdatedDesc => row.updated_at,
        };
        Cursor { order: self, at, id: row.query_id }
    }

    const fn letter(self) -> char {
        match self {
            Self::CreatedAsc => 'a',
            Self::CreatedDesc => 'd',
            Self::UpdatedDesc => 'u',
        }
    }
}

/// A row of a list: the page after it begins there, however deep it lies and whatever was added meanwhile.
///
/// Its text is fit for a URL and means nothing to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(crate) order: Order,
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: QueryId,
}

/// Text that is not a cursor of the list it was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCursor {
    /// It did not come from here.
    #[error("malformed cursor")]
    Malformed,
    /// It names a row in a list with another order.
    #[error("cursor belongs to a list in another order")]
    OtherOrder,
}

impl Cursor {
    /// Reads a cursor that is to be followed in the given order.
    pub fn parse(text: &str, order: Order) -> Result<Self, InvalidCursor> {
        let [letter, at, id] = *text.split('.').collect::<Vec<_>>() else { return Err(InvalidCursor::Malformed) };
        let cursor = Self {
            order,
            at: number(at)
                .and_then(DateTime::from_timestamp_micros)
                .filter(|at| (1..=9999).contains(&at.year()))
                .ok_or(InvalidCursor::Malformed)?,
            id: number(id).map(QueryId::new).ok_or(InvalidCursor::Malformed)?,
        };
        if letter == order.letter().to_string() { Ok(cursor) } else { Err(InvalidCursor::OtherOrder) }
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.order.letter(), self.at.timestamp_micros(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_journey_through_a_url() {
        let at = DateTime::from_timestamp_micros(1_763_819_712_345_678).expect("a time in range");
        let cursor = Cursor { order: Order::CreatedAsc, at, id: QueryId::new(42) };
        assert_eq!(Cursor::parse(&cursor.to_string(), Order::CreatedAsc), Ok(cursor));
        assert_eq!(Cursor::parse(&cursor.to_string(), Order::UpdatedDesc), Err(InvalidCursor::OtherOrder));
    }

    #[test]
    fn text_from_elsewhere_is_no_cursor() {
        for text in ["", "a", "a.1", "a.x.1", "a.1.2.3", "a.1.99999999999999999999", "a.-999999999999999999.1"] {
            assert_eq!(Cursor::parse(text, Order::CreatedAsc), Err(InvalidCursor::Malformed), "{text}");
        }
    }
}
