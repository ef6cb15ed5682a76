//! What was said, about queries and among colleagues.

pub(crate) mod project;
mod query;
mod row;

pub use query::{
    ListFilter, between, each_latest_of_queries, each_of_ids, find, latest_of_queries, list, notices_of_query, of_call,
    of_donor, of_query,
};
pub use row::{MessageRow, SenderType};
