//! Donors' requests for a call.

pub(crate) mod project;
mod query;
mod row;

pub use query::{find, of_ids, of_query, pending_of_query};
pub use row::RequestRow;
