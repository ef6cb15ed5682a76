//! What may happen at a support desk, and nothing else.
//!
//! Three aggregates: a [`donor_query`] (one donor's question from opening to closing), a [`call_session`] (one call about
//! it) and a [`staff_chat`] (what two colleagues say to each other). Everything here is pure: no I/O, no clock, no
//! randomness. Time, ids and actors arrive inside commands.
//!
//! Read in this order: [`ids`], [`people`], [`personal`], then `event`, `command`, `state` and `decide` of an aggregate,
//! then [`policy`] (what follows from a fact) and [`recorded`] (the envelope a stored fact travels in).
//!
//! To add an event: add the variant with its name and version, and a sample in `testing/samples.rs`. The compiler then
//! names every reader that has to learn it, `evolve` and [`policy`] first, and the stored-format test asks for its
//! snapshot. To add a command: add the variant, and `decide` does not compile until each stage of life has an answer.

mod behind_cqrs_es;
pub mod call_session;
pub mod donor_query;
pub mod ids;
pub mod people;
pub mod personal;
pub mod policy;
pub mod recorded;
pub mod staff_chat;
pub mod upcast;
pub mod vocabulary;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod stored_format;
