//! The people of the desk: their accounts, devices and pictures, what they may do, and what they did.

mod accounts;
mod activity;
mod avatars;
mod devices;
mod doors;
mod passwords;
mod push_tokens;
