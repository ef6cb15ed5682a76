//! Donor queries as lists and pages show them.

mod page;
pub(crate) mod project;
mod query;
mod row;
mod search;

pub use page::{Cursor, InvalidCursor, Order};
pub use query::{Assigned, ListFilter, each_of_ids, find, ids_of_donor, list, of_ids, of_ids_or_deleted};
pub use row::QueryRow;
