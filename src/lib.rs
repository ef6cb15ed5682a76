//! Proof Concierge: a support desk where every step is a fact that can be proven later.

pub mod dev;
