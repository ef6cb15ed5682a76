//! A test for every row of the state machines, by theme.

mod calls;
mod framework;
mod history;
mod life;
mod messages;
