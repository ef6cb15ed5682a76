//! What was said about queries.

pub(crate) mod project;
mod query;
mod row;

pub use query::{ListFilter, between, find, latest_of_queries, list, of_donor, of_query};
pub use row::{MessageRow, SenderType};
