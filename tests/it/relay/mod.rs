//! The stream equals the log, whoever dies and whatever NATS forgets.

mod amnesia;
mod death;
mod strangers;
