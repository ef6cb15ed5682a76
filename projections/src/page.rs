//! A bounded piece of a list: how much of it, and from where.

use thiserror::Error;

/// The most rows a page can have.
pub const MAX_LIMIT: i64 = 200;

/// The most rows that a numbered page can skip and show. Whoever wants to go deeper follows a cursor, which costs the
/// same at any depth.
pub const MAX_DEPTH: i64 = 10_000;

/// A page: at most [`MAX_LIMIT`] rows after a cursor, or at an offset no deeper than [`MAX_DEPTH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page<Cursor> {
    limit: i64,
    start: Start<Cursor>,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start<Cursor> {
    /// After this many rows.
    Offset(i64),
    /// After the row that the cursor names.
    After(Cursor),
}

/// A numbered page that lies deeper than [`MAX_DEPTH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a numbered page reaches at most {MAX_DEPTH} rows deep; follow the cursor instead")]
pub struct TooDeep;

impl<Cursor> Page<Cursor> {
    /// The beginning of the list. A limit out of range is moved to the nearest one that is allowed.
    pub fn first(limit: i64) -> Self {
        Self { limit: bounded(limit), start: Start::Offset(0) }
    }

    /// What follows a row.
    pub fn after(cursor: Cursor, limit: i64) -> Self {
        Self { limit: bounded(limit), start: Start::After(cursor) }
    }

    /// What follows a number of rows.
    pub fn at_offset(offset: i64, limit: i64) -> Result<Self, TooDeep> {
        let (offset, limit) = (offset.max(0), bounded(limit));
        if offset > MAX_DEPTH - limit {
            return Err(TooDeep);
        }
        Ok(Self { limit, start: Start::Offset(offset) })
    }

    /// A page by its number, counted from 1.
    pub fn numbered(number: i64, limit: i64) -> Result<Self, TooDeep> {
        Self::at_offset((number.max(1) - 1).saturating_mul(bounded(limit)), limit)
    }

    /// The most rows it has.
    pub const fn limit(&self) -> i64 {
        self.limit
    }

    /// Where it begins.
    pub const fn start(&self) -> &Start<Cursor> {
        &self.start
    }

    /// How many rows it skips.
    pub(crate) const fn offset(&self) -> i64 {
        match self.start {
            Start::Offset(offset) => offset,
            Start::After(_) => 0,
        }
    }

    /// The row it follows.
    pub(crate) const fn cursor(&self) -> Option<&Cursor> {
        match &self.start {
            Start::Offset(_) => None,
            Start::After(cursor) => Some(cursor),
        }
    }
}

fn bounded(limit: i64) -> i64 {
    limit.clamp(1, MAX_LIMIT)
}

/// A page of rows with what a reader needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<Row, Cursor> {
    /// The rows.
    pub rows: Vec<Row>,
    /// The cursor of the page that follows, if there are more rows.
    pub next: Option<Cursor>,
    /// How many rows the whole list has.
    pub total: Total,
}

/// The length of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The number of rows, or as many as were counted.
    pub count: i64,
    /// Whether that is all of them.
    pub exact: bool,
}
