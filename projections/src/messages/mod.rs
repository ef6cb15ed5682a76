//! What was said, about queries and among colleagues.

pub(crate) mod project;
mod query;
mod row;

pub use query::{
    ListFilter, between, find, latest_of_queries, list, notices_of_query, of_call, of_donor, of_ids, of_query,
};
pub use row::{MessageRow, SenderType};
