//! The wire as clients that cannot be changed rely on it.

mod doors;
mod openapi;
mod shapes;
