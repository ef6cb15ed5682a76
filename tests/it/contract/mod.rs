//! The wire as clients that cannot be changed rely on it.
//!
//! `routes_*` walk every route in the words of every generation, `dashboard` makes the dashboard's calls, `sockets` hears
//! what its library hears, and `holes` says for every fault of the old system which test shows that it is not here.

mod dashboard;
mod described;
mod doors;
mod holes;
mod holes_correctness;
mod holes_logs;
mod holes_notices;
mod holes_races;
mod holes_security;
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
mod sockets;
mod wire;
