//! What people do at the desk, over real HTTP.

mod conversation;
mod crash;
mod donors;
mod idempotency;
mod life;
mod lists;
mod races;
