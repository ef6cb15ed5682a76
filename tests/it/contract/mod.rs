//! The wire as clients that cannot be changed rely on it.
//!
//! `routes_*` walk every route in the words of every generation, and `dashboard` makes the dashboard's calls.

mod dashboard;
mod described;
mod doors;
mod markers;
mod openapi;
mod routes_communication;
mod routes_donor_queries;
mod routes_health;
mod routes_logs;
mod routes_messages;
mod routes_users;
mod shape;
mod shapes;
mod wire;
