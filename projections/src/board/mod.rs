//! Live counters: how many queries, pending call requests and calls each staff member holds, and how many nobody does.

pub(crate) mod project;
mod query;
mod row;

pub use query::{count, snapshot};
pub use row::{Board, Counter};

/// Stands for the holder of what nobody holds, because a key has no nulls. Staff ids begin at 1.
const NOBODY: i64 = 0;
