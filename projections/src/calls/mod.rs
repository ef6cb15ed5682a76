//! Call sessions.

pub(crate) mod project;
mod query;
mod row;

pub use query::{active_of_query, by_room, find, of_ids, of_query};
pub use row::CallRow;
