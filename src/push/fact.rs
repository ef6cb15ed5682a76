//! What goes through the feed: a fact, or a notice of the feed itself. Every mouth puts it into its own words.

use std::sync::Arc;

use aggregates::ids::QueryId;
use aggregates::recorded::RecordedEvent;
use tokio::sync::OnceCell;

use super::notice::Notice;
use super::socketio::emissions::{Emission, To, emissions, needs_query};
use super::socketio::rows::Rows;

/// What one line of the feed is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// Something happened at the desk.
    Fact(Arc<Fact>),
    /// The feed says something about itself.
    Notice(Notice),
}

/// A fact on its way to those who listen, with its Socket.IO events, which are written once for all of them.
#[derive(Debug)]
pub struct Fact {
    recorded: RecordedEvent,
    emissions: OnceCell<Vec<Emission>>,
}

impl Fact {
    /// Takes a fact along.
    pub(super) fn new(recorded: RecordedEvent) -> Self {
        Self { recorded, emissions: OnceCell::new() }
    }

    /// The query it is about.
    pub(super) fn query(&self) -> QueryId {
        self.recorded.query
    }

    /// Its Socket.IO events, as far as somebody hears them; they may hold more. Where the fact does not say enough, who
    /// hears it first waits for the row of its query, and who does not hear it waits for nothing.
    pub(super) async fn emissions(&self, rows: &Rows, hears: impl Fn(To) -> bool) -> &[Emission] {
        let lacking = needs_query(&self.recorded.event);
        if lacking.is_some_and(|to| !hears(to)) {
            return &[];
        }
        // Boxed: every listener holds room for it, and one of them writes.
        let written = || {
            Box::pin(async {
                let query = if lacking.is_some() { rows.as_of(&self.recorded).await } else { None };
                emissions(&self.recorded, query.as_deref())
            })
        };
        self.emissions.get_or_init(written).await
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.recorded == other.recorded
    }
}

#[cfg(test)]
mod tests {
    use aggregates::recorded::Event;
    use aggregates::testing::{recorded, samples};
    use futures_util::FutureExt;
    use sqlx::postgres::PgPoolOptions;

    use super::*;

    #[tokio::test]
    async fn who_does_not_hear_a_fact_never_waits_for_a_row() {
        let nowhere = PgPoolOptions::new().connect_lazy("postgres://127.0.0.1:1/nowhere").expect("a good address");
        let rows = Rows::new(nowhere);
        let needy = |event: &Event| needs_query(event).is_some();
        for event in samples().into_iter().filter(needy) {
            let fact = Fact::new(recorded(event));
            assert_eq!(fact.emissions(&rows, |_| false).now_or_never().map(<[Emission]>::len), Some(0));
            assert!(fact.emissions(&rows, |_| true).now_or_never().is_none());
        }
    }
}
