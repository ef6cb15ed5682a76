//! What the world stands on, where the tests have it.

#[path = "../it/support/eventually.rs"]
pub(crate) mod eventually;
