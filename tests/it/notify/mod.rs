//! Notes and mail, sent by the real clients to services that behave as the real ones do.

mod mail;
mod outbox;
mod push;

use proof_concierge::integrations::{Outbox, Outcome};
use sqlx::postgres::PgPoolOptions;

/// An outbox that nothing must be written to: its database does not exist.
fn no_outbox() -> Outbox {
    Outbox::new(PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap())
}

/// Why something was not sent.
fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Later { why, .. } | Outcome::Failed { why } => why,
        Outcome::Sent { .. } | Outcome::Gone => panic!("expected a reason, but {outcome:?}"),
    }
}

fn sent(id: &str) -> Outcome {
    Outcome::Sent { id: Some(id.to_owned()) }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed { why: why.to_owned() }
}
