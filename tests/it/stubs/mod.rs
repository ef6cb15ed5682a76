//! Outside services as they behave, for the real clients to talk to.

pub(crate) mod daily;
