//! Outside services as they behave, for the real clients to talk to.

pub(crate) mod daily;
pub(crate) mod fcm;
pub(crate) mod sendgrid;
pub(crate) mod smtp;
