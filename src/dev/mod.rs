//! `cargo dev`: the whole desk on one machine.

pub mod install;
pub mod servers;
