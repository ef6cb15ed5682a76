//! Outside services, one folder each: a typed client with an error of its own. Addresses and keys come from the
//! configuration, so that tests point the real client at a stub.

pub mod calls;
